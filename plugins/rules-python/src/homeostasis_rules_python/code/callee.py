"""The function of the app that a call means: by the imports of its file, by its class, or by being the only one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator

import libcst as cst

from homeostasis_rules_python.code.case import Case, tree_at
from homeostasis_rules_python.code.known import functions_named
from homeostasis_rules_python.code.modules import absolute, modules, package_at
from homeostasis_rules_python.code.tree import Tree, called_name, dotted_name

COMMON = frozenset(
    ("get", "first", "all", "one", "pop", "find", "read", "load", "loads", "open", "items", "keys", "values", "append",
     "add", "update", "execute", "commit", "close", "split", "join", "format", "match", "search")
)  # fmt: skip
"""Methods that many libraries have: being the only one of the app says nothing."""


@dataclass(frozen=True)
class Callee:
    """A function and its file."""

    tree: Tree
    function: cst.FunctionDef

    @property
    def is_generator(self) -> bool:
        """Whether a call gives an iterator."""
        return any(self.tree.function(node) is self.function for node in self.tree.all(cst.Yield, self.function.body))


def callee(case: Case, tree: Tree, call: cst.Call) -> Callee | None:
    """The function that a call certainly means, or None."""
    name = called_name(call)
    if name is None:
        return None
    if isinstance(call.func, cst.Name):
        return _top_level(tree, name) or _imported(case, tree, name)
    owner = dotted_name(call.func.value) if isinstance(call.func, cst.Attribute) else None
    if owner in ("self", "cls"):
        cls = tree.enclosing(call, cst.ClassDef)
        return _method(tree, cls, name) if cls is not None else None
    if owner is not None:
        found = _of_module(case, tree, owner, name)
        if found is not None:
            return found
    return only_function(case, name) if name not in COMMON else None


def _top_level(tree: Tree, name: str) -> Callee | None:
    for statement in tree.module.body:
        if isinstance(statement, cst.FunctionDef) and statement.name.value == name:
            return Callee(tree, statement)
    return None


def _method(tree: Tree, cls: cst.ClassDef, name: str) -> Callee | None:
    for statement in cls.body.body:
        if isinstance(statement, cst.FunctionDef) and statement.name.value == name:
            return Callee(tree, statement)
    return None


def _imported(case: Case, tree: Tree, bound: str) -> Callee | None:
    """`from module import function`, under its own or another name."""
    for node in tree.all(cst.ImportFrom):
        for alias in () if isinstance(node.names, cst.ImportStar) else node.names:
            if (alias.evaluated_alias or alias.evaluated_name) == bound:
                other = _module_tree(case, absolute(node, package_at(case, tree)))
                return _top_level(other, alias.evaluated_name) if other is not None else None
    return None


def _of_module(case: Case, tree: Tree, owner: str, name: str) -> Callee | None:
    """`module.function`, however the module was imported."""
    for dotted in _modules_named(case, tree, owner):
        other = _module_tree(case, dotted)
        if other is not None:
            return _top_level(other, name)
    return None


def _modules_named(case: Case, tree: Tree, owner: str) -> Iterator[str]:
    for plain in tree.all(cst.Import):
        for alias in plain.names:
            if (alias.evaluated_alias or alias.evaluated_name) == owner:
                yield alias.evaluated_name
    for node in tree.all(cst.ImportFrom):
        start = absolute(node, package_at(case, tree))
        for alias in () if isinstance(node.names, cst.ImportStar) or start is None else node.names:
            if (alias.evaluated_alias or alias.evaluated_name) == owner:
                yield f"{start}.{alias.evaluated_name}" if start else alias.evaluated_name


def _module_tree(case: Case, name: str | None) -> Tree | None:
    path = modules(case).get(name) if name is not None else None
    return tree_at(case.source, path) if path is not None and case.source.refusal(path) is None else None


def only_function(case: Case, name: str) -> Callee | None:
    """The one function or method of that name in the app; None if there is none or several."""
    found = list(functions_named(case, name))
    return Callee(*found[0]) if len(found) == 1 else None
