"""The refactor of a parameter that callers leave out."""

from __future__ import annotations

from typing import Iterator

import libcst as cst

from homeostasis.models import Effect, Risk
from homeostasis_rules_python.code.edit import Edits, expression
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.refactors.base import Change, register


@register
class DeclareDefault:
    """A parameter whose default the code base knows."""

    refactor_id = "declare-default"
    needs = ("unfilled", "default", "agreeing")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`name=default` in the function's own definition; that one it only walks through is empty is a guess."""
        parameter = facts.site.tree.parent(facts.node)
        if not isinstance(parameter, cst.Param):
            return
        default, agreeing = facts.values["default"], facts.values["agreeing"]
        blank = cst.SimpleWhitespace("" if parameter.annotation is None else " ")
        equal = cst.AssignEqual(whitespace_before=blank, whitespace_after=blank)
        edits = Edits(facts.site.tree)
        edits.replace(parameter, parameter.with_changes(default=expression(default), equal=equal))
        effect = Effect.INVENT if agreeing == 0 and default != "None" else Effect.RECOVER
        # One declaration may differ for a reason, and a caller may have forgotten what it had to say.
        risk = Risk.LOW if agreeing > 1 else Risk.HIGH
        summary = f"Let `{facts.values['unfilled']}` of `{facts.values['called']}` be {default} by default"
        yield Change.because((edits,), effect, summary, facts.evidence[-1], 1.0, risk)
