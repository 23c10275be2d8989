"""The refactor of an operator that hands on `NotImplemented`."""

from __future__ import annotations

from typing import Iterator

import libcst as cst

from homeostasis.models import Effect
from homeostasis_rules_python.code.edit import Edits, statements
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.refactors.base import Change, register


@register
class ReturnNotImplemented:
    """An operation that the base class does not support for this operand."""

    refactor_id = "return-not-implemented"
    needs = ("result",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`if result is NotImplemented: return result` behind the call of the base class."""
        tree, name = facts.site.tree, facts.values["result"]
        line = tree.statement(facts.node)
        if not isinstance(line, cst.SimpleStatementLine) or len(line.body) != 1:
            return
        edits = Edits(tree)
        edits.insert_after(line, statements(f"if {name} is NotImplemented:\n    return {name}\n"))
        evidence = "Python asks the other operand if the first one answers `NotImplemented`"
        yield Change.because((edits,), Effect.CORRECT, "Answer `NotImplemented` as the base class does", evidence)
