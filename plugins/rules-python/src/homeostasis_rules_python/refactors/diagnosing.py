"""The refactor of what no change of the code mends."""

from __future__ import annotations

from typing import Iterator

from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.refactors.base import Change, register


@register
class DiagnoseOnly:
    """A cause that no change of the code mends."""

    refactor_id = "diagnose-only"
    needs = ()

    def changes(self, facts: Facts) -> Iterator[Change]:  # noqa: ARG002
        """Nothing: the diagnosis itself is what a person needs."""
        yield from ()
