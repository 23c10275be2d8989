"""Arguments that are refused as the function refuses others."""

from __future__ import annotations

from typing import Iterator

import libcst as cst

from homeostasis.models import Effect, Risk
from homeostasis_rules_python.code.edit import Edits, can_insert_before, statements
from homeostasis_rules_python.code.tree import Statement, Tree
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.facts.refusedelsewhere import refusal
from homeostasis_rules_python.refactors.base import Change, register

_SAID = {"none": "None", "empty": "nothing", "type": "what is no text"}


@register
class RefuseAsElsewhere:
    """A parameter that is None, empty or no text."""

    refactor_id = "refuse-as-elsewhere"
    needs = ("argument", "test")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """A guard in front of the failing statement, with the function's own `raise` or `return False`."""
        tree, function, name = facts.site.tree, facts.site.function, facts.values["argument"]
        found = refusal(tree, function, name) if function is not None else None
        place = _place(tree, facts.node)
        if found is None or place is None or function is None:
            return
        guard = cst.ensure_type(statements(f"if {facts.values['test'].format(name)}:\n    pass\n")[0], cst.If)
        answer = found.statement.with_changes(leading_lines=[])
        edits = Edits(tree)
        edits.insert_before(place, [guard.with_changes(body=guard.body.with_changes(body=[answer]))])
        how = "raises" if found.raises else "returns False"
        evidence = f"`{function.name.value}` {how} for other values of `{name}` that it cannot use"
        summary = f"Refuse {_SAID[facts.values['fault']]} as `{name}`"
        sure = found.raises and found.named and facts.values["fault"] == "empty"
        effect = Effect.REFUSE if found.raises else Effect.RECOVER
        yield Change.because((edits,), effect, summary, evidence, 1.0, Risk.LOW if sure else Risk.HIGH)


def _place(tree: Tree, node: cst.CSTNode) -> Statement | None:
    """The innermost statement around a node before which a guard can stand."""
    statement = tree.statement(node)
    while statement is not None and not isinstance(statement, cst.FunctionDef):
        if can_insert_before(tree, statement) and not _is_elif(tree, statement):
            return statement
        outer = tree.parent(statement)
        statement = tree.statement(outer) if outer is not None else None
    return None


def _is_elif(tree: Tree, statement: cst.CSTNode) -> bool:
    parent = tree.parent(statement)
    return isinstance(parent, cst.If) and parent.orelse is statement
