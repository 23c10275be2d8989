"""The refactor of an item that is not there."""

from __future__ import annotations

from typing import Iterator

import libcst as cst

from homeostasis.models import Effect
from homeostasis_rules_python.code.edit import Edits
from homeostasis_rules_python.code.express import is_repeatable
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.refactors.base import Change, register

_LOOSER = (cst.BooleanOperation, cst.Comparison, cst.IfExp, cst.UnaryOperation)
"""What needs parentheses in a comparison."""


@register
class NoItemThere:
    """An index past the end of a sequence that has items."""

    refactor_id = "no-item-there"
    needs = ("container", "index")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`xs[i] if i < len(xs) else None`: an invented answer, for a person to judge."""
        node = facts.expression
        container, index = facts.values["container"], facts.values["index"]
        literal = facts.values["index_literal"]
        parent = facts.site.tree.parent(node)
        followed = isinstance(parent, (cst.Attribute, cst.Subscript)) or (
            isinstance(parent, cst.Call) and parent.func is node
        )
        repeatable = all(is_repeatable(facts.nodes[part]) for part in self.needs)
        if not isinstance(node, cst.Subscript) or followed or not repeatable:
            return
        if isinstance(literal, int) and literal < 0:
            return
        if isinstance(literal, int):
            bounds = f"len({container}) > {index}"
        else:
            at = f"({index})" if isinstance(facts.nodes["index"], _LOOSER) else index
            bounds = f"-len({container}) <= {at} < len({container})"
        test = cst.parse_expression(bounds)
        edits = Edits(facts.site.tree)
        edits.replace(node, cst.IfExp(test=test, body=node, orelse=cst.Name("None")))
        evidence = "nothing in the code base says what stands for an item that is not there"
        yield Change.because((edits,), Effect.INVENT, f"Answer None when `{container}` has no item {index}", evidence)
