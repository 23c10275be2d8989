"""Tests of texts that are to be read as numbers."""

from __future__ import annotations

from typing import Iterator

import libcst as cst

from homeostasis.models import Effect
from homeostasis_rules_python.code.edit import Edits
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.facts.digitlike import digit_tests
from homeostasis_rules_python.refactors.base import Change, register


@register
class DecimalTest:
    """`isdigit` in front of `int`."""

    refactor_id = "decimal-test"
    needs = ("checked",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`isdecimal`, which is true of exactly the characters that `int` reads."""
        edits, checked = Edits(facts.site.tree), facts.values["checked"]
        for test in digit_tests(facts.site):
            if facts.site.tree.code(test.value) == checked:
                edits.replace(test.attr, cst.Name("isdecimal"))
        evidence = "superscripts and the like are digits for `isdigit`, and not for `isdecimal` and `int`"
        yield Change.because((edits,), Effect.CORRECT, f"Test `{checked}` with isdecimal", evidence)
