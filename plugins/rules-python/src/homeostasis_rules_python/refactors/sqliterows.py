"""The refactor of rows that are changed: a dict takes their place before."""

from __future__ import annotations

from typing import Iterator

import libcst as cst

from homeostasis.models import Effect, Risk
from homeostasis_rules_python.code.edit import Edits, can_insert_before, statements
from homeostasis_rules_python.code.scope import binding
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.refactors.base import Change, register


@register
class ChangeDict:
    """A row that can only be read is changed."""

    refactor_id = "row-to-dict"
    needs = ("row",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`row = dict(row)` before the change; of a list that is kept, all rows before the loop."""
        tree, row = facts.site.tree, cst.ensure_type(facts.nodes["row"], cst.Name).value
        statement = tree.statement(facts.node)
        code = f"{row} = dict({row})\n"
        if "rows" in facts.nodes:
            rows = cst.ensure_type(facts.nodes["rows"], cst.Name).value
            loop = binding(tree, row, facts.node).node
            statement = loop if isinstance(loop, cst.For) else None
            code = f"{rows} = [dict({row}) for {row} in {rows}]\n"
        if statement is None or not can_insert_before(tree, statement):
            return
        edits = Edits(tree)
        edits.insert_before(statement, statements(code))
        risk = Risk.HIGH if facts.values["kept_elsewhere"] else Risk.LOW
        yield Change.because([edits], Effect.CORRECT, f"Change a dict: `{code.strip()}`", facts.sentence, 1.0, risk)
