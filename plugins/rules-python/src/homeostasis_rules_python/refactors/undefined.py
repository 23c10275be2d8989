"""The refactor of a forgotten import."""

from __future__ import annotations

from typing import Iterator

from homeostasis.models import Effect
from homeostasis_rules_python.code.edit import Edits
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.facts.undefined import forgotten
from homeostasis_rules_python.refactors.base import Change, register


@register
class AddImport:
    """A name that is used and never imported."""

    refactor_id = "add-import"
    needs = ("forgotten",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """The import, as the other files of the app have it, or of the standard library."""
        wanted = forgotten(facts)
        edits = Edits(facts.site.tree)
        edits.add_imports([wanted])
        summary = f"Import `{wanted.name or wanted.module}`"
        evidence = facts.evidence[-1]
        yield Change.because((edits,), Effect.CORRECT, summary, evidence)
