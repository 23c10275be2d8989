"""Refactors for objects that calls or threads share by mistake."""

from __future__ import annotations

from typing import Callable, Iterator

import libcst as cst

from homeostasis.models import Effect, Risk
from homeostasis_rules_python.code.edit import Edits, expression, statements
from homeostasis_rules_python.code.imports import NewImport, conflicts
from homeostasis_rules_python.code.scope import parameters
from homeostasis_rules_python.code.tree import Tree
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.facts.sharing import advances
from homeostasis_rules_python.refactors.base import Change, register


@register
class DefaultPerCall:
    """A list, dict or set as the default of a parameter, which all calls share."""

    refactor_id = "default-per-call"
    needs = ("default_of",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """The default is None, and each call that passes nothing makes a value of its own."""
        tree, function, name = facts.site.tree, facts.site.function, facts.values["default_of"]
        default = facts.nodes["parameter_default"]
        parameter = next((each for each in parameters(function) if each.name.value == name), None) if function else None
        if function is None or parameter is None or not isinstance(function.body, cst.IndentedBlock):
            return
        edits = Edits(tree)
        edits.replace(default, cst.Name("None"))
        if parameter.annotation is not None and not _allow_none(edits, parameter.annotation):
            return
        edits.wrap(function.body, _made(name, tree.code(default), docstring=function.get_docstring() is not None))
        evidence = f"the default of `{name}` is made once, when the function is defined, and the function changes it"
        summary = f"Make a new `{name}` for each call"
        yield Change((edits,), Effect.CORRECT, summary, f"{facts.sentence}.", 1.0, evidence=(evidence,))


def _allow_none(edits: Edits, annotation: cst.Annotation) -> bool:
    written = edits.tree.code(annotation.annotation)
    if "None" in written or "Optional" in written:
        return True
    future = any(
        node.module is not None and edits.tree.code(node.module) == "__future__"
        for node in edits.tree.all(cst.ImportFrom)
    )
    if future:
        edits.replace(annotation.annotation, expression(f"{written} | None"))
        return True
    wanted = NewImport("typing", "Optional")
    if conflicts(edits.tree, wanted):
        return False
    edits.replace(annotation.annotation, expression(f"Optional[{written}]"))
    edits.add_imports([wanted])
    return True


def _made(name: str, default: str, *, docstring: bool) -> Callable[[cst.IndentedBlock], cst.IndentedBlock]:
    new = statements(f"if {name} is None:\n    {name} = {default}\n")
    at = 1 if docstring else 0
    return lambda block: block.with_changes(body=[*block.body[:at], *new, *block.body[at:]])


@register
class LockGenerator:
    """A generator of the module that several threads advance."""

    refactor_id = "lock-generator"
    needs = ("generator",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """A lock beside the generator, held wherever it is advanced."""
        tree, name = facts.site.tree, facts.values["generator"]
        lock, places = f"{name}_lock", advances(tree, name)
        made = _definition(tree, name)
        taken = any(use.value == lock for use in tree.all(cst.Name))
        if places is None or made is None or taken or conflicts(tree, NewImport("threading")):
            return
        edits = Edits(tree)
        edits.insert_after(made, statements(f"{lock} = threading.Lock()\n"))
        for line in places:
            held = cst.ensure_type(statements(f"with {lock}:\n    pass\n")[0], cst.With)
            body = held.body.with_changes(body=[line.with_changes(leading_lines=[])])
            edits.replace(line, held.with_changes(body=body, leading_lines=line.leading_lines))
        edits.add_imports([NewImport("threading")])
        evidence = f"`{name}` is one generator for all threads, and a generator runs in one thread at a time"
        summary = f"Hold a lock while `{name}` is advanced"
        yield Change.because((edits,), Effect.CORRECT, summary, evidence, risk=Risk.MEDIUM)


def _definition(tree: Tree, name: str) -> cst.SimpleStatementLine | None:
    for line in tree.module.body:
        small = line.body[0] if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1 else None
        targets = [each.target for each in small.targets] if isinstance(small, cst.Assign) else []
        named = any(isinstance(target, cst.Name) and target.value == name for target in targets)
        if named and isinstance(line, cst.SimpleStatementLine):
            return line
    return None
