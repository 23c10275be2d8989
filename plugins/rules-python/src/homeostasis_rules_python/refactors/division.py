"""Refactors for a division by zero that is not the client's fault."""

from __future__ import annotations

from typing import Iterator

import libcst as cst

from homeostasis.models import Effect, Risk
from homeostasis_rules_python.code.edit import Edits, expression
from homeostasis_rules_python.code.express import is_repeatable
from homeostasis_rules_python.code.scope import binding
from homeostasis_rules_python.code.tree import called_name, dotted_name
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.refactors.base import Change, register

_SIZED = ("list", "tuple", "dict", "set", "str", "deque", "frozenset")


@register
class NeutralForZero:
    """A ratio of nothing."""

    refactor_id = "neutral-for-zero"
    needs = ("divisor",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`a / b if b else 0`: what the function returns elsewhere; 0 for the average of nothing; else invented."""
        node, divisor, tree = facts.node, facts.nodes["divisor"], facts.site.tree
        if not isinstance(node, cst.BinaryOperation) or not is_repeatable(divisor):
            return
        declared = facts.values["declared"] if _is_result(facts) else None
        if declared is not None and declared not in ('""', "''", "True", "False"):
            text, effect, weight, risk = declared, Effect.RECOVER, 1.0, Risk.LOW
            evidence = f"the function itself returns {declared} when there is nothing"
        elif facts.values["counted"]:
            text, effect, weight = _zero(facts), Effect.RECOVER, 0.9
            risk = Risk.LOW if _averages(facts) else Risk.HIGH
            evidence = f"`{facts.values['divisor']}` counts, and the average or share of nothing is 0"
        else:
            text, effect, weight, risk = _zero(facts), Effect.INVENT, 0.4, Risk.HIGH
            evidence = "nothing in the code base says what stands for a division by zero"
        edits = Edits(tree)
        edits.replace(node, cst.IfExp(test=_test(facts, divisor), body=_bare(node), orelse=expression(text)))
        summary = f"Use {text} when `{facts.values['divisor']}` is zero"
        yield Change.because((edits,), effect, summary, evidence, weight, risk)


def _zero(facts: Facts) -> str:
    """`0.0` where a quotient of plain numbers is a float; 0 where it may be a Decimal, a fraction or a duration."""
    node, dividend = facts.node, facts.nodes["dividend"]
    divides = isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Divide)
    known, value = facts.site.value(dividend)
    plain = (known and isinstance(value, (int, float))) or facts.site.type_of(dividend) in ("int", "float")
    named = _named(facts, dividend)
    counted = isinstance(named, cst.Call) and dotted_name(named.func) == "len"
    return "0.0" if divides and (plain or counted) else "0"


def _averages(facts: Facts) -> bool:
    """Whether a sum is divided by the number of its items: a mean. Any other share of nothing need not be 0."""
    dividend, divisor = (_named(facts, facts.nodes[part]) for part in ("dividend", "divisor"))
    return (
        any(called_name(call) == "sum" for call in facts.site.tree.all(cst.Call, dividend))
        and isinstance(divisor, cst.Call)
        and called_name(divisor) in ("len", "count")
    )


def _named(facts: Facts, node: cst.BaseExpression) -> cst.BaseExpression:
    """What a name was assigned; any other expression itself."""
    found = binding(facts.site.tree, node.value, node) if isinstance(node, cst.Name) else None
    return found.value if found is not None and found.kind == "assign" and found.value is not None else node


def _bare(node: cst.BinaryOperation) -> cst.BaseExpression:
    return node.with_changes(lpar=[], rpar=[]) if node.lpar else node


def _is_result(facts: Facts) -> bool:
    parent = facts.site.tree.parent(facts.node)
    if isinstance(parent, cst.Arg):
        call = facts.site.tree.parent(parent)
        if isinstance(call, cst.Call) and dotted_name(call.func) == "round":
            return isinstance(facts.site.tree.parent(call), cst.Return)
    return isinstance(parent, cst.Return)


def _test(facts: Facts, divisor: cst.BaseExpression) -> cst.BaseExpression:
    """`items` for `len(items)` of a built-in container, else the divisor itself."""
    if isinstance(divisor, cst.Call) and dotted_name(divisor.func) == "len" and len(divisor.args) == 1:
        inner = divisor.args[0].value
        if facts.site.type_of(inner) in _SIZED:
            return inner
    return _unparenthesized(divisor)


def _unparenthesized(node: cst.BaseExpression) -> cst.BaseExpression:
    return node.with_changes(lpar=[], rpar=[]) if node.lpar else node
