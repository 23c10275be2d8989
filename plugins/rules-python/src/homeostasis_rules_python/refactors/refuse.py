"""Refactors that answer a faulty request with the framework's 4xx."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Iterator

import libcst as cst

from homeostasis.models import Risk
from homeostasis_rules_python.code.dropped import dropped_result
from homeostasis_rules_python.code.express import is_repeatable
from homeostasis_rules_python.code.lookingup import (
    counted_from_one,
    found_before,
    is_as_sent,
    key_is_unchanged,
    names_entities,
    told_elsewhere,
)
from homeostasis_rules_python.code.nottext import exceptions_of
from homeostasis_rules_python.code.optional import may_be_none
from homeostasis_rules_python.code.origin import request_place
from homeostasis_rules_python.code.scope import binding
from homeostasis_rules_python.code.sent import field_name
from homeostasis_rules_python.code.tree import called_name, dotted_name
from homeostasis_rules_python.facts.base import Facts, words
from homeostasis_rules_python.refactors.base import Change, register
from homeostasis_rules_python.refactors.placement import Guard, hoisted, refusals

_OF_TEXT = frozenset(
    ("split", "rsplit", "partition", "strip", "lstrip", "rstrip", "lower", "upper", "replace", "splitlines")
)


def shown(facts: Facts, part: str) -> str:
    """A part of the failing code as the client may read it: the name of a field or a variable."""
    node: cst.CSTNode | None = facts.nodes.get(part)
    while isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) and node.func.attr.value in _OF_TEXT:
        node = node.func.value
    if isinstance(node, cst.BooleanOperation):
        node = node.left
    if isinstance(node, cst.Name) and facts.values.get(f"{part}_origin") == "client":
        field = field_name(facts.case, facts.site, node)
        if field is not None:
            return field
    return _name_of(node)


def _name_of(node: cst.CSTNode | None) -> str:
    if isinstance(node, cst.Subscript):
        index = node.slice[0].slice
        node = index.value if isinstance(index, cst.Index) and isinstance(index.value, cst.SimpleString) else node.value
    if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) and node.func.attr.value in _OF_TEXT:
        return _name_of(node.func.value)
    if isinstance(node, cst.Call) and node.args:
        node = node.args[0].value
        if isinstance(node, (cst.Call, cst.Subscript)):
            return _name_of(node)
    if isinstance(node, cst.BinaryOperation):
        node = next((side for side in (node.left, node.right) if dotted_name(side)), None)
    if isinstance(node, cst.SimpleString):
        return str(node.evaluated_value)
    name = dotted_name(node)
    return name.split(".")[-1] if name else "value"


_LOOKUP = re.compile(r"^_?(?:find|get|load|fetch|lookup|read|query)_(\w+?)(?:_by_\w+|_or_none)?$")


def _sought(facts: Facts) -> str:
    """What a lookup looks for: `product` for `find_product(...)`, else the name of the variable."""
    name = _name_in_call(facts.nodes["lookup"])
    if name is not None:
        return name
    return shown(facts, "lookup" if isinstance(facts.nodes["subject"], cst.Call) else "subject")


def _name_in_call(lookup: cst.BaseExpression) -> str | None:
    """`product` of `find_product(...)`."""
    if isinstance(lookup, cst.Await):
        lookup = lookup.expression
    match = _LOOKUP.match(called_name(lookup) or "") if isinstance(lookup, cst.Call) else None
    return match.group(1) if match is not None else None


def name_of_lookup(facts: Facts, node: cst.BaseExpression) -> str:
    """What a looked-up value is called: after its variable, its function, or what it was looked up by."""
    return dotted_name(node) or _name_in_call(node) or shown(facts, "asked")


def _status(facts: Facts, part: str) -> int:
    return 404 if facts.values.get(f"{part}_place") == "path" else 400


def finds_by_key(facts: Facts) -> bool:
    """Whether the client names in the path, unchanged, what is sought: that nothing is there is then its affair."""
    asked, lookup = facts.nodes.get("asked"), facts.nodes.get("lookup")
    if isinstance(lookup, (cst.Attribute, cst.Subscript)):
        # The thing was found; what it has there is stored.
        return False
    if facts.values.get("lookup_place") != "path" or asked is None or not key_is_unchanged(asked):
        return False
    # What stands in the database under a key that was found is for a person to tell.
    return lookup is None or not found_before(facts.case, facts.site, asked, lookup)


def asking_unless(founded: bool, facts: Facts, guard: Guard) -> Iterator[Change]:
    """Refusals that are asked about, unless it is founded that the client is at fault."""
    for change in refusals(facts, guard):
        yield change if founded else replace(change, risk=Risk.HIGH)


@register
class RefuseMissingKey:
    """The client left out a field that the code reads."""

    refactor_id = "refuse-missing-key"
    needs = ("key", "container")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """A guard `key not in container` before the statement, or in the handler."""
        key = facts.values["key_literal"]
        name = str(key) if isinstance(key, str) else shown(facts, "key")
        listed = isinstance(facts.nodes["key"], cst.Name) and facts.values["key_origin"] != "client"
        yield from refusals(
            facts,
            Guard(
                parts=(facts.nodes["key"], facts.nodes["container"]),
                test="{} not in {}".format,
                exception="KeyError",
                status=400,
                message="a field is missing" if listed else f"{name} is required",
                summary=f"Refuse requests without {name}",
            ),
        )


@register
class RefuseUnknownKey:
    """The client asks for something that does not exist."""

    refactor_id = "refuse-unknown-key"
    needs = ("key", "container")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """A guard `key not in container` that answers 404 for a path, 400 for the rest of a request."""
        what = words(shown(facts, "key"))
        status = _status(facts, "key")
        key, container = facts.nodes["key"], facts.nodes["container"]
        guard = Guard(
            parts=(key, container),
            test="{} not in {}".format,
            exception="KeyError",
            status=status,
            message=f"{what} not found" if status == 404 else f"unknown {what}",
            summary=f"Refuse requests for an unknown {what}",
        )
        founded = key_is_unchanged(key) and names_entities(facts.site, container)
        yield from asking_unless(founded, facts, guard)


@register
class RefuseBadIndex:
    """The client asks for an item beyond the end."""

    refactor_id = "refuse-bad-index"
    needs = ("index", "container")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """A guard on the range of the index."""
        name = shown(facts, "index")
        status = _status(facts, "index")
        founded = is_as_sent(facts.site, counted_from_one(facts.nodes["index"]))
        yield from asking_unless(
            founded,
            facts,
            Guard(
                parts=(facts.nodes["index"], facts.nodes["container"]),
                test="not 0 <= {} < len({})".format,
                exception="IndexError",
                status=status,
                message=f"{words(name)} not found" if status == 404 else f"{name} is out of range",
                summary=f"Refuse requests with {name} out of range",
            ),
        )


@register
class RefuseEmpty:
    """The client sent too few items, or asked for something that has none."""

    refactor_id = "refuse-empty"
    needs = ("container",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """A guard on the emptiness of the sequence; 404 if the client asked for it, 400 if the client sent it."""
        name = shown(facts, "container")
        sent = facts.values["container_origin"] == "client"
        index = facts.values["index_literal"]
        short = isinstance(index, int) and index not in (0, -1)
        least = index + 1 if isinstance(index, int) and index >= 0 else -index if isinstance(index, int) else 1
        test = (lambda text: f"len({text}) < {least}") if short else "not {}".format
        # Of what was looked up, only that there is nothing at all may be the client's affair.
        founded = sent or (not short and self._finds(facts))
        yield from asking_unless(
            founded,
            facts,
            Guard(
                parts=(facts.nodes["container"],),
                test=test,
                exception="IndexError",
                status=400 if sent else 404 if facts.values.get("lookup_place") == "path" else 400,
                message=f"{words(name)} has too few items" if sent else f"{words(name)} not found",
                summary=f"Refuse requests for which {name} is {'too short' if short else 'empty'}",
            ),
        )

    @staticmethod
    def _finds(facts: Facts) -> bool:
        container = facts.nodes["container"]
        found = binding(facts.site.tree, container.value, container) if isinstance(container, cst.Name) else None
        lookup = found.value if found is not None and found.kind == "assign" and found.value is not None else container
        of_text = isinstance(lookup, cst.Call) and called_name(lookup) in _OF_TEXT
        if of_text or isinstance(lookup, (cst.Attribute, cst.Subscript)):
            return False
        return finds_by_key(facts) or told_elsewhere(facts.case, facts.site, container) is not None


@register
class RefuseZeroDivisor:
    """The client sent a divisor of zero."""

    refactor_id = "refuse-zero-divisor"
    needs = ("divisor",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """A guard `divisor == 0`; `not items` for the length of what the client sent."""
        divisor = facts.nodes["divisor"]
        counted = isinstance(divisor, cst.Call) and dotted_name(divisor.func) == "len" and len(divisor.args) == 1
        part = divisor.args[0].value if isinstance(divisor, cst.Call) and counted else divisor
        name = dotted_name(part) or shown(facts, "divisor")
        name = name.split(".")[-1]
        yield from asking_unless(
            is_as_sent(facts.site, part),
            facts,
            Guard(
                parts=(part,),
                test="not {}".format if counted else "{} == 0".format,
                exception="ZeroDivisionError",
                status=400,
                message=f"{name} must not be {'empty' if counted else '0'}",
                summary=f"Refuse requests with {'an empty' if counted else 'a zero'} {name}",
            ),
        )


@register
class RefuseBadText:
    """The client sent a text that cannot be converted."""

    refactor_id = "refuse-bad-text"
    needs = ("text", "wanted")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`try` and `except` around the conversion."""
        name = shown(facts, "text")
        exception = narrow = "ValueError" if facts.case.raised.type != "InvalidOperation" else "ArithmeticError"
        known = [facts.case.raised.type] if facts.case.raised.type == "InvalidOperation" else ["ValueError"]
        text = facts.nodes["text"]
        also = exceptions_of(facts.case, facts.site, text, facts.values.get("text_place"), known)
        if also != known:
            names = sorted([exception, *(name for name in also if name not in known)])
            exception = f"({', '.join(names)})"
        yield from refusals(
            facts,
            Guard(
                parts=(facts.nodes["text"],),
                test="not {}".format,
                exception=exception,
                status=400,
                message=f"{name} must be {facts.values['wanted']}",
                summary=f"Refuse requests whose {name} is not {facts.values['wanted']}",
                prefer_try=True,
                subject=name,
                sayable=False,
                narrow=narrow,
            ),
        )


def _is_optional(facts: Facts) -> bool:
    """Whether a parameter declares that the client may leave it out."""
    lookup = facts.nodes["lookup"]
    found = binding(facts.site.tree, lookup.value, lookup) if isinstance(lookup, cst.Name) else None
    return found is not None and isinstance(found.node, cst.Param) and may_be_none(facts.site, lookup)


@register
class RefuseNone:
    """The client asks for something that a lookup does not find, or left out a field that is read with `get`."""

    refactor_id = "refuse-none"
    needs = ("subject", "lookup")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """A guard `subject is None`; a lookup inside a larger expression gets a name first."""
        sent = facts.values["subject_origin"] == "client"
        place = facts.values.get("lookup_place")
        subject = facts.nodes["subject"]
        name = shown(facts, "lookup") if sent else _sought(facts)
        if facts.values["source"] == "match":
            name = shown(facts, "asked") if "asked" in facts.nodes else name
            message, status = f"{name} is malformed", 400
        elif request_place(facts.nodes["lookup"]) == "body":
            name, message, status = "body", "a JSON body is required", 400
        elif sent:
            message, status = f"{name} is required", 400
        else:
            message, status = f"{words(name)} not found", 404 if place in ("path", "query", None) else 400
            if dropped_result(facts.case, facts.site, subject) is not None:
                return
        risk, told = Risk.HIGH if sent and _is_optional(facts) else Risk.LOW, None
        if not sent and facts.values["source"] != "match":
            told = told_elsewhere(facts.case, facts.site, facts.nodes["lookup"])
            status = told.status if told is not None else status
            risk = Risk.LOW if told is not None or finds_by_key(facts) else Risk.HIGH
        problem = "malformed" if facts.values["source"] == "match" else "missing" if sent else "not found"
        summary = f"Refuse requests when {words(name)} is {problem}"
        guard = Guard((subject,), "{} is None".format, None, status, message, summary)
        hoisting = isinstance(subject, cst.Call) and not is_repeatable(subject)
        for change in hoisted(facts, guard, subject) if hoisting else refusals(facts, guard):
            yield replace(
                change,
                risk=change.risk if risk is Risk.LOW else risk,
                evidence=(*change.evidence, *((told.evidence,) if told is not None else ())),
            )
