"""The refactor for a result that is not returned."""

from __future__ import annotations

from typing import Iterator

import libcst as cst

from homeostasis.models import Effect, Risk
from homeostasis_rules_python.code.dropped import dropped_result
from homeostasis_rules_python.code.edit import Edits
from homeostasis_rules_python.code.unreturned import called_around, unreturned
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.refactors.base import Change, register


@register
class ReturnResult:
    """A function that drops its result."""

    refactor_id = "return-result"
    needs = ("none", "forgetful")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`return` before the value that is dropped."""
        traced = unreturned(facts.case) or dropped_result(facts.case, facts.site, facts.nodes["none"])
        found = traced or called_around(facts.case)
        if found is None:
            return
        tree, function, line = found
        edits = Edits(tree)
        edits.replace(line, cst.Return(line.value))
        name, text = function.name.value, tree.code(line.value).strip()
        evidence = f"`{name}` makes `{text[:80]}` and drops it"
        summary = f"Return the result of `{name}`"
        risk = Risk.MEDIUM if isinstance(line.value, cst.Call) else Risk.LOW
        yield Change.because((edits,), Effect.CORRECT, summary, evidence, risk=risk)
