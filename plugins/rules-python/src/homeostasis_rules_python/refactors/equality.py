"""The refactor of a comparison with a foreign object."""

from __future__ import annotations

from typing import Iterator

import libcst as cst

from homeostasis.models import Effect
from homeostasis_rules_python.code.edit import Edits, statements
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.refactors.base import Change, register
from homeostasis_rules_python.refactors.bind import first_statement


@register
class RefuseOperand:
    """`__eq__` that takes every object for one of its own kind."""

    refactor_id = "refuse-operand"
    needs = ("guard", "operand")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`return NotImplemented` for a foreign object, at the top of the method."""
        first = first_statement(facts.site.function)
        if first is None or isinstance(facts.site.tree.parent(first), cst.SimpleStatementSuite):
            return
        edits = Edits(facts.site.tree)
        edits.insert_before(first, statements(f"if {facts.values['guard']}:\n    return NotImplemented\n"))
        summary = f"Let `{facts.values['method']}` give NotImplemented for an object of another kind"
        yield Change.because((edits,), Effect.CORRECT, summary, facts.evidence[-1])
