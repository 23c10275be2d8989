"""The refactor of one expression that is put right where it stands."""

from __future__ import annotations

from typing import Iterator

import libcst as cst

from homeostasis.models import Effect, Risk
from homeostasis_rules_python.code.edit import Edits
from homeostasis_rules_python.code.imports import NewImport
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.refactors.base import Change, register


@register
class ReplaceExpression:
    """An expression that says something else than what is meant."""

    refactor_id = "replace-expression"
    needs = ("target", "replacement")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """What the analysis worked out, in the place of what stands there."""
        edits = Edits(facts.site.tree)
        edits.replace(facts.nodes["target"], facts.nodes["replacement"])
        edits.add_imports([NewImport.parse(text) for text in facts.values["imports"]])
        summary = f"Write `{_short(facts.values['replacement'])}` instead of `{_short(facts.values['target'])}`"
        # Such as where another function made the value, which may be wrong for other callers too: a person shall look.
        risk = Risk.HIGH if facts.values.get("doubtful") else Risk.LOW
        # What is put right in a `raise` lets the code refuse what it meant to refuse.
        refuses = facts.site.tree.enclosing(facts.nodes["target"], cst.Raise) is not None
        effect = Effect.REFUSE if refuses else Effect.CORRECT
        yield Change((edits,), effect, summary, f"{facts.sentence}.", 1.0, risk, (facts.sentence,))


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 80 else f"{line[:77]}..."
