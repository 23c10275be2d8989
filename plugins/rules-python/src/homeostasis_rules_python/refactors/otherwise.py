"""The refactor of a lookup whose default nobody uses."""

from __future__ import annotations

from typing import Iterator

import libcst as cst

from homeostasis.models import Effect, Risk
from homeostasis_rules_python.code.edit import Edits, wrapped_in_try
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.refactors.base import Change, register


@register
class ReturnOtherwise:
    """A function that takes a default and lets the lookup fail."""

    refactor_id = "return-otherwise"
    needs = ("otherwise", "missing")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """The failing statement in a `try`, and `return default` where it does not find anything."""
        line = facts.node
        if not isinstance(line, cst.SimpleStatementLine):
            return
        name, missing = facts.values["otherwise"], facts.values["missing"]
        edits = Edits(facts.site.tree)
        edits.replace(line, wrapped_in_try(line, missing, f"return {name}"))
        summary = f"Return `{name}` where nothing is found"
        # What comes behind an assignment may have been meant to work on the default as well.
        risk = Risk.LOW if isinstance(line.body[0], cst.Return) else Risk.HIGH
        yield Change.because((edits,), Effect.RECOVER, summary, facts.evidence[-1], 1.0, risk)
