"""The refactor of `__getattr__` that raises KeyError."""

from __future__ import annotations

from typing import Iterator

import libcst as cst

from homeostasis.models import Effect
from homeostasis_rules_python.code.edit import Edits, wrapped_in_try
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.refactors.base import Change, register


@register
class RaiseAttributeError:
    """A lookup of an attribute among keys."""

    refactor_id = "raise-attribute-error"
    needs = ("sought",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """AttributeError in the place of the KeyError."""
        line, name = facts.node, facts.values["sought"]
        if not isinstance(line, cst.SimpleStatementLine):
            return
        edits = Edits(facts.site.tree)
        edits.replace(line, wrapped_in_try(line, "KeyError", f"raise AttributeError({name}) from None"))
        summary = f"Let `__getattr__` raise AttributeError for a `{name}` that it does not find"
        yield Change.because((edits,), Effect.CORRECT, summary, facts.evidence[-1])
