"""Refactors for a local variable that has no value on some way."""

from __future__ import annotations

from typing import Iterator, Sequence

import libcst as cst

from homeostasis.models import Effect
from homeostasis_rules_python.code.edit import Edits, statements
from homeostasis_rules_python.code.neutral import neutral
from homeostasis_rules_python.code.scope import Binding, bindings_in
from homeostasis_rules_python.code.tree import Statement, literal_of
from homeostasis_rules_python.code.usedas import used_as
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.refactors.base import Change, register


@register
class DeclareGlobal:
    """A function that means to change a variable of the module."""

    refactor_id = "declare-global"
    needs = ("name",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`global name` at the top of the function."""
        function, name = facts.site.function, facts.values["name"]
        first = first_statement(function)
        if first is None:
            return
        edits = Edits(facts.site.tree)
        edits.insert_before(first, statements(f"global {name}\n"))
        evidence = f"the module has a variable `{name}`, which the function reads before it assigns to it"
        summary = f"Declare `{name}` as the variable of the module"
        yield Change.because((edits,), Effect.CORRECT, summary, evidence)


@register
class InitialiseLocal:
    """A variable that only some branches assign."""

    refactor_id = "initialise-local"
    needs = ("name",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`name = value` before the statement that assigns it in some branches."""
        function, tree, name = facts.site.function, facts.site.tree, facts.values["name"]
        if function is None:
            return
        found = list(bindings_in(function.body, name))
        statement = _outermost(facts, found)
        if statement is None:
            return
        text, effect, weight, evidence = _start(facts, found)
        edits = Edits(tree)
        edits.insert_before(statement, statements(f"{name} = {text}\n"))
        summary = f"Start `{name}` at {text}"
        yield Change.because((edits,), effect, summary, evidence, weight)


@register
class StartCollection:
    """A collection that is filled and was never made."""

    refactor_id = "start-collection"
    needs = ("name", "started")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`name = []` before the first statement of the function's own block that uses it."""
        function, tree, name = facts.site.function, facts.site.tree, facts.values["name"]
        if function is None or not isinstance(function.body, cst.IndentedBlock):
            return
        for statement in function.body.body:
            used = any(use.value == name for use in tree.all(cst.Name, statement))
            if used and isinstance(statement, (cst.SimpleStatementLine, cst.BaseCompoundStatement)):
                edits = Edits(tree)
                edits.insert_before(statement, statements(f"{name} = {facts.values['started']}\n"))
                summary = f"Start `{name}` at {facts.values['started']}"
                yield Change.because((edits,), Effect.CORRECT, summary, facts.evidence[-1])
                return


def first_statement(function: cst.FunctionDef | None) -> Statement | None:
    """The first statement of a function behind its docstring."""
    if function is None or not isinstance(function.body, cst.IndentedBlock):
        return None
    body = function.body.body
    start = 1 if len(body) > 1 and function.get_docstring() is not None else 0
    first = body[start]
    return first if isinstance(first, (cst.SimpleStatementLine, cst.BaseCompoundStatement)) else None


def _outermost(facts: Facts, found: Sequence[Binding]) -> Statement | None:
    """The first statement of the function's own block that assigns the variable somewhere inside."""
    function, tree = facts.site.function, facts.site.tree
    if function is None or not isinstance(function.body, cst.IndentedBlock):
        return None
    inside = {item.node for item in found}
    for statement in function.body.body:
        if not isinstance(statement, (cst.SimpleStatementLine, cst.BaseCompoundStatement)):
            continue
        if statement in inside or any(statement in tree.ancestors(node) for node in inside if node is not None):
            return statement
    return None


def _is_chosen(facts: Facts, found: Sequence[Binding]) -> bool:
    """Whether several branches of one `if` assign the variable: then none of them says what it is without."""
    tree = facts.site.tree
    for item in found:
        branch = tree.enclosing(item.node, cst.If) if item.kind == "assign" and item.node is not None else None
        others = [other.node for other in found if other is not item and other.kind == "assign"]
        for chain in _chain(branch):
            if any(chain in tree.ancestors(node) for node in others if node is not None):
                return True
    return False


def _chain(branch: cst.If | None) -> Iterator[cst.CSTNode]:
    """What comes behind a branch: its `elif` and `else`."""
    while isinstance(branch, cst.If) and branch.orelse is not None:
        yield branch.orelse
        branch = branch.orelse if isinstance(branch.orelse, cst.If) else None


def _start(facts: Facts, found: Sequence[Binding]) -> tuple[str, Effect, float, str]:
    if _is_chosen(facts, found):
        return "None", Effect.INVENT, 0.3, "the branches give the variable values of their own, and one forgot to"
    for item in found:
        if item.kind == "augment":
            kind = item.value
            text = (
                '""'
                if isinstance(kind, (cst.SimpleString, cst.FormattedString))
                else "[]"
                if isinstance(kind, cst.List)
                else "0"
            )
            return text, Effect.CORRECT, 1.0, f"the function adds up in this variable, which starts at {text}"
    values = [literal_of(item.value)[1] for item in found if item.kind == "assign" and literal_of(item.value)[0]]
    if values and all(isinstance(value, bool) for value in values) and len(set(values)) == 1:
        text = str(not values[0])
        return text, Effect.CORRECT, 1.0, f"the function only ever sets this flag to {values[0]}"
    use, function = neutral(facts.site.tree, facts.node), facts.site.function
    if use.use == "condition":
        return "False", Effect.INVENT, 0.4, "nothing says whether what is asked for holds at the start"
    if use.text is not None:
        weight = 0.4 if use.use == "product" else 0.7
        return use.text, Effect.RECOVER, weight, f"{use.text} is the neutral element of the {use.use} it is used in"
    used = used_as(facts.site.tree, function.body, facts.values["name"]) if function is not None else None
    if used is not None:
        return used, Effect.INVENT, 0.4, f"the function uses the variable as it would use {used}"
    return "None", Effect.INVENT, 0.3, "nothing in the code base says what the variable starts with"
