"""The refactor of a path that is None."""

from __future__ import annotations

from typing import Iterator

import libcst as cst

from homeostasis.models import Effect
from homeostasis_rules_python.code.edit import Edits, statements
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.refactors.base import Change, register


@register
class NoPathNoFile:
    """No path was given, and the function knows what to do without a file."""

    refactor_id = "no-path-no-file"
    needs = ("path_name", "without_file")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`if path is None: return x`, before the path is used."""
        statement = facts.site.tree.statement(facts.node)
        if not isinstance(statement, (cst.SimpleStatementLine, cst.BaseCompoundStatement)):
            return
        name, answer = facts.values["path_name"], facts.values["without_file"]
        edits = Edits(facts.site.tree)
        edits.insert_before(statement, statements(f"if {name} is None:\n    {answer}\n"))
        yield Change.because((edits,), Effect.RECOVER, f"Do without a file when `{name}` is None", facts.evidence[-1])
