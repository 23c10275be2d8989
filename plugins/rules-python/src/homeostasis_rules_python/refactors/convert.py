"""Refactors that convert an operand to the type that the operation needs."""

from __future__ import annotations

from typing import Callable, Dict, Iterator

import libcst as cst

from homeostasis.models import Effect, Risk
from homeostasis_rules_python.code.edit import Edits
from homeostasis_rules_python.code.imports import NewImport
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.refactors.base import Change, register


@register
class TextToNumber:
    """A number that arrived as text."""

    refactor_id = "text-to-number"
    needs = ("text", "text_role")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`int(text)`, or `float(text)` and `Decimal(text)` by the text and the other operand."""
        converter = _converter(facts)
        evidence = f"the other operand is a {facts.values.get('number_type', 'number')}"
        if facts.values["text_value"] is not None:
            evidence = f"the text was {facts.values['text_value']!r:.80}, a number"
        yield _call(facts, "text", converter, evidence)


def _converter(facts: Facts) -> str:
    number = facts.values.get("number_type")
    text = str(facts.values.get("text_value") or "")
    if number == "Decimal" and (not text or "." in text):
        return "Decimal"
    return "float" if "." in text or (number == "float" and facts.values["text_value"] is None) else "int"


@register
class NumberToText:
    """A value that is put into a text."""

    refactor_id = "number-to-text"
    needs = ("left", "right")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`str(value)`."""
        side = "right" if facts.values["left_type"] == "str" else "left"
        yield _call(facts, side, "str", "the other operand is a text")


@register
class FloatToDecimal:
    """A float that meets a Decimal."""

    refactor_id = "float-to-decimal"
    needs = ("left", "right")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`Decimal(str(value))`, which keeps the digits that the float shows."""
        side = "left" if facts.values["left_type"] == "float" else "right"
        inner = cst.Call(cst.Name("str"), [cst.Arg(_bare(facts.nodes[side]))])
        edits = Edits(facts.site.tree)
        edits.replace(facts.nodes[side], cst.Call(cst.Name("Decimal"), [cst.Arg(inner)]))
        edits.add_imports([NewImport("decimal", "Decimal")])
        evidence = "the other operand is a Decimal"
        summary = f"Convert `{facts.values[side]}` to a Decimal"
        yield Change((edits,), Effect.CORRECT, summary, f"{summary}: {evidence}.", 1.0, evidence=(evidence,))


_SPELT_OUT: Dict[type, Callable[[], cst.BaseBinaryOp]] = {
    cst.AddAssign: cst.Add,
    cst.SubtractAssign: cst.Subtract,
    cst.MultiplyAssign: cst.Multiply,
    cst.DivideAssign: cst.Divide,
}


def _call(facts: Facts, part: str, converter: str, evidence: str) -> Change:
    edits = Edits(facts.site.tree)
    node = facts.nodes[part]
    parent = facts.site.tree.parent(node)
    new = cst.Call(cst.Name(converter), [cst.Arg(_bare(node))])
    if isinstance(parent, cst.AugAssign) and parent.target is node:
        # `total += 1` where total is a text: the value cannot be converted in place, so the operation is spelt out.
        operator = _SPELT_OUT.get(type(parent.operator), cst.Add)()
        binary = cst.BinaryOperation(left=new, operator=operator, right=parent.value)
        edits.replace(parent, cst.Assign([cst.AssignTarget(parent.target)], binary))
    else:
        edits.replace(node, new)
    if converter == "Decimal":
        edits.add_imports([NewImport("decimal", "Decimal")])
    summary = f"Convert `{facts.values[part]}` with {converter}"
    return Change((edits,), Effect.CORRECT, summary, f"{summary}: {evidence}.", 1.0, Risk.LOW, (evidence,))


def _bare(node: cst.BaseExpression) -> cst.BaseExpression:
    return (
        node.with_changes(lpar=[], rpar=[])
        if len(node.lpar) == 1 and not isinstance(node, (cst.Tuple, cst.GeneratorExp))
        else node
    )
