"""The parameters of what a call means: a function, a method, or a class by its `__init__` or its dataclass fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator, List, Sequence, Tuple

import libcst as cst

from homeostasis_rules_python.code.callee import callee
from homeostasis_rules_python.code.case import Case
from homeostasis_rules_python.code.members import is_instance
from homeostasis_rules_python.code.scope import parameters
from homeostasis_rules_python.code.tree import Tree, called_name, dotted_name


@dataclass(frozen=True)
class Signature:
    """What a call may and must pass, without `self`."""

    tree: Tree
    name: cst.Name
    """Where the function or class is defined."""
    names: Tuple[str, ...]
    required: Tuple[str, ...]
    positional: Tuple[str, ...]
    """Names in the order in which positional arguments fill them."""
    takes_any_keyword: bool
    kind: str
    """`function`, `method` or `class`."""
    owner: cst.ClassDef | None = None
    """The class of a method."""

    def filled(self, call: cst.Call) -> List[str] | None:
        """Names that a call fills; None if it passes stars, so that nobody knows."""
        if any(arg.star for arg in call.args):
            return None
        plain = sum(1 for arg in call.args if arg.keyword is None)
        return [*self.positional[:plain], *(arg.keyword.value for arg in call.args if arg.keyword is not None)]

    def lacking(self, call: cst.Call) -> List[str] | None:
        """Required names that a call does not fill; None if nobody knows."""
        filled = self.filled(call)
        return None if filled is None else [name for name in self.required if name not in filled]


def signature(case: Case, tree: Tree, call: cst.Call, owner: str | None = None) -> Signature | None:
    """The signature of what a call calls, if the app has it; None if several could be meant.

    Args:
        case: the crash, whose files are searched.
        tree: the file of the call.
        call: the call.
        owner: the class of the method, where the message names it.
    """
    name = called_name(call)
    if name is None:
        return None
    found = [each for other in case.trees(name.encode("utf-8")) for each in _defined(other, name)]
    if len(found) > 1 and owner is not None:
        found = [each for each in found if each.owner is not None and each.owner.name.value == owner]
    if len(found) > 1 and isinstance(call.func, cst.Attribute):
        receiver = call.func.value
        found = [each for each in found if each.owner is not None and is_instance(tree, receiver, each.owner)]
    elif len(found) > 1:
        meant = callee(case, tree, call)
        found = [each for each in found if meant is not None and each.name is meant.function.name]
    return found[0] if len(found) == 1 else None


def _defined(tree: Tree, name: str) -> Iterator[Signature]:
    for function in tree.all(cst.FunctionDef):
        if function.name.value == name and name != "__init__":
            yield _of_function(tree, function)
    for cls in tree.all(cst.ClassDef):
        if cls.name.value == name:
            made = _of_class(tree, cls)
            if made is not None:
                yield made


def _of_function(tree: Tree, function: cst.FunctionDef, cls: cst.ClassDef | None = None) -> Signature:
    owner = tree.enclosing(function, (cst.ClassDef, cst.FunctionDef))
    marks = {dotted_name(item.decorator) for item in function.decorators}
    bound = isinstance(owner, cst.ClassDef) and "staticmethod" not in marks
    given = function.params
    positional: List[cst.Param] = [*given.posonly_params, *given.params]
    named: Sequence[cst.Param] = parameters(function)
    if bound:
        positional, named = positional[1:], named[1:]
    return Signature(
        tree,
        cls.name if cls is not None else function.name,
        tuple(item.name.value for item in named),
        tuple(item.name.value for item in named if item.default is None),
        tuple(item.name.value for item in positional),
        given.star_kwarg is not None,
        "class" if cls is not None else "method" if isinstance(owner, cst.ClassDef) else "function",
        owner if cls is None and isinstance(owner, cst.ClassDef) else None,
    )


def _of_class(tree: Tree, cls: cst.ClassDef) -> Signature | None:
    for statement in cls.body.body:
        if isinstance(statement, cst.FunctionDef) and statement.name.value == "__init__":
            return _of_function(tree, statement, cls)
    if not any(_is_dataclass(item.decorator) for item in cls.decorators) or cls.bases:
        return None
    fields = [
        (small.target.value, small.value is not None)
        for statement in cls.body.body
        if isinstance(statement, cst.SimpleStatementLine)
        for small in statement.body
        if isinstance(small, cst.AnnAssign) and isinstance(small.target, cst.Name)
    ]
    names = tuple(name for name, _has_default in fields)
    required = tuple(name for name, has_default in fields if not has_default)
    return Signature(tree, cls.name, names, required, names, False, "class")


def _is_dataclass(decorator: cst.BaseExpression) -> bool:
    called = decorator.func if isinstance(decorator, cst.Call) else decorator
    return dotted_name(called) in ("dataclass", "dataclasses.dataclass")
