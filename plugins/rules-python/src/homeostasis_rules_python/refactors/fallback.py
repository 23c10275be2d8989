"""The refactor of a text that is no number, where the code says what it takes without one."""

from __future__ import annotations

from typing import Iterator

import libcst as cst

from homeostasis.models import Effect, Risk
from homeostasis_rules_python.code.edit import Edits, wrapped_in_try
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.refactors.base import Change, register


@register
class FallbackForText:
    """A stored text that cannot be converted."""

    refactor_id = "fallback-for-text"
    needs = ("text", "converter", "fallback")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`try` around the statement, and the default that it names for no value at all."""
        tree, default = facts.site.tree, facts.values["fallback"]
        line = tree.statement(facts.node)
        handling = _handling(line, facts.node, default)
        if not isinstance(line, cst.SimpleStatementLine) or handling is None:
            return
        kinds = "(TypeError, ValueError)" if facts.values["converter"] in ("int", "float") else "ValueError"
        edits = Edits(tree)
        edits.replace(line, wrapped_in_try(line, kinds, handling))
        evidence = f"the code takes {default} where there is no value, and this is none of the kind that it needs"
        summary = f"Use {default} when `{facts.values['text']}` is not {facts.values['wanted']}"
        yield Change.because((edits,), Effect.RECOVER, summary, evidence, 1.0, Risk.HIGH)


def _handling(line: cst.CSTNode | None, node: cst.CSTNode, default: str) -> str | None:
    small = line.body[0] if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1 else None
    if isinstance(small, cst.Return) and small.value is node:
        return f"return {default}"
    target = small.targets[0].target if isinstance(small, cst.Assign) and small.value is node else None
    return f"{target.value} = {default}" if isinstance(target, cst.Name) else None
