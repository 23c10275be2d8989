"""The refactor of a question for None that nothing follows from."""

from __future__ import annotations

from typing import Iterator

import libcst as cst

from homeostasis.models import Effect
from homeostasis_rules_python.code.edit import Edits, statements
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.refactors.base import Change, register


@register
class FinishGuard:
    """`if name is None: pass`."""

    refactor_id = "finish-guard"
    needs = ("unfinished", "start")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """The empty value that the name is used as, in the place of `pass`."""
        guard = facts.node
        if not isinstance(guard, cst.If) or not isinstance(guard.body, cst.IndentedBlock):
            return
        name, start = facts.values["unfinished"], facts.values["start"]
        edits = Edits(facts.site.tree)
        edits.replace(guard.body, guard.body.with_changes(body=statements(f"{name} = {start}\n")))
        yield Change.because((edits,), Effect.CORRECT, f"Start `{name}` at {start} when it is None", facts.evidence[-1])
