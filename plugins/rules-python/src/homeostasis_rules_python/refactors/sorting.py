"""The refactor of a sort of values that have no order."""

from __future__ import annotations

from typing import Iterator

import libcst as cst

from homeostasis.models import Effect, Risk
from homeostasis_rules_python.code.edit import Edits
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.refactors.base import Change, register
from homeostasis_rules_python.refactors.emptied import keyword_argument, with_argument


@register
class SortBy:
    """Values of different types, or None among values, in a sort."""

    refactor_id = "sort-by"
    needs = ("order",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`key=str`, or None last; which order is meant is a guess unless the result is only shown."""
        call, own = facts.node, facts.nodes.get("sort_key")
        key = _key(facts.values["order"], own)
        if not isinstance(call, cst.Call) or key is None:
            return
        edits = Edits(facts.site.tree)
        if own is not None:
            edits.replace(own, key)
        elif call.args:
            edits.replace(call, with_argument(call, keyword_argument("key", key)))
        else:
            edits.replace(call, call.with_changes(args=[keyword_argument("key", key)]))
        effect = Effect.CORRECT if facts.values["shown"] and facts.values["order"] == "text" else Effect.INVENT
        told = "by what is shown" if facts.values["order"] == "text" else "with None at the end"
        evidence = (
            "the order is for people to read" if effect is Effect.CORRECT else "nothing says which order is meant"
        )
        yield Change.because((edits,), effect, f"Sort {told}", evidence, 1.0, Risk.LOW)


def _key(order: str, own: cst.BaseExpression | None) -> cst.BaseExpression | None:
    if own is None:
        return cst.parse_expression("str" if order == "text" else "lambda item: (item is None, item)")
    if not isinstance(own, cst.Lambda):
        return None
    if order == "text":
        return own.with_changes(body=cst.Call(cst.Name("str"), [cst.Arg(own.body)]))
    missing = cst.Comparison(own.body, [cst.ComparisonTarget(cst.Is(), cst.Name("None"))])
    pair = cst.Tuple([cst.Element(missing), cst.Element(own.body)], lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    return own.with_changes(body=pair)
