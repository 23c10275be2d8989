"""Refactors for datetimes and for values that JSON does not know."""

from __future__ import annotations

from typing import Iterator

import libcst as cst

from homeostasis.models import Effect
from homeostasis_rules_python.code.construct import with_keywords
from homeostasis_rules_python.code.edit import Edits
from homeostasis_rules_python.code.imports import NewImport, conflicts
from homeostasis_rules_python.code.tree import dotted_name
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.refactors.base import Change, register


@register
class AwareNow:
    """The current time without a time zone, beside a time with one."""

    refactor_id = "aware-now"
    needs = ("naive",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`datetime.now(timezone.utc)` for `datetime.now()` and `datetime.utcnow()`."""
        call = facts.nodes["naive"]
        if not isinstance(call, cst.Call) or not isinstance(call.func, cst.Attribute):
            return
        owner = dotted_name(call.func.value)
        edits = Edits(facts.site.tree)
        if owner == "datetime.datetime":
            zone = "datetime.timezone.utc"
        else:
            zone = "timezone.utc"
            wanted = NewImport("datetime", "timezone")
            if conflicts(facts.site.tree, wanted):
                return
            edits.add_imports([wanted])
        func = call.func.with_changes(attr=cst.Name("now"))
        edits.replace(call, call.with_changes(func=func, args=[cst.Arg(cst.parse_expression(zone))]))
        evidence = "the other side has a time zone, and the two cannot be compared"
        summary = f"Take the current time in UTC instead of `{facts.values['naive']}`"
        yield Change.because((edits,), Effect.CORRECT, summary, evidence)


@register
class JSONDefault:
    """`json.dumps` of a datetime, Decimal, UUID or set."""

    refactor_id = "json-default"
    needs = ("type", "called")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`default=str`, or `default=list` for sets; `jsonable_encoder(...)` for FastAPI's JSONResponse."""
        call = facts.node
        if not isinstance(call, cst.Call) or not call.args:
            return
        edits = Edits(facts.site.tree)
        kind = facts.values["type"]
        if facts.values["called"] == "JSONResponse":
            if facts.values["framework"] != "fastapi":
                return
            position = next(
                (i for i, arg in enumerate(call.args) if arg.keyword is None or arg.keyword.value == "content"), 0
            )
            content = call.args[position].value
            edits.replace(content, cst.Call(cst.Name("jsonable_encoder"), [cst.Arg(content)]))
            edits.add_imports([NewImport("fastapi.encoders", "jsonable_encoder")])
            evidence = f"FastAPI's encoder knows {kind}"
        else:
            function = "list" if kind in ("set", "frozenset") else "str"
            edits.replace(call, with_keywords(call, [("default", function)]))
            evidence = f"`default={function}` writes a {kind} in its usual form"
        summary = f"Write a {kind} as JSON"
        yield Change.because((edits,), Effect.CORRECT, summary, evidence)
