"""Compares what two texts of a module do when they are imported, and says in words what differs.

Function bodies do nothing at import, so they are taken out first. What is left (signatures, defaults, decorators, class
layout, statements) did its work long ago in a running process. The one exception are imports that the new bodies need:
these are carried out late.
"""

from __future__ import annotations

import ast
import builtins
from types import CodeType
from typing import Any, Dict, Iterator, List, Tuple, Union

_IMPORTS = (ast.Import, ast.ImportFrom)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_NAMED = (*_FUNCTIONS, ast.ClassDef)

Headers = Dict[Tuple[str, ...], List[ast.AST]]
"""The functions of a text without their bodies, by the names of what is around them and their own."""
ImportNode = Union[ast.Import, ast.ImportFrom]


class Refused(Exception):
    """The change cannot be made in a running process; the message says why. Nothing was changed."""


class Busy(Refused):
    """A call in flight stands in the way: it may work a moment later."""


class Importing(Busy):
    """The file is being imported: it will work as soon as that is done."""


def take_bodies_out(module: ast.Module) -> Headers:
    """Empty all function bodies of a tree, in place, and return the functions."""
    bodies = _Bodies()
    bodies.visit(module)
    return bodies.found


class _Bodies(ast.NodeTransformer):
    def __init__(self) -> None:
        self.found: Headers = {}
        self._path: tuple[str, ...] = ()

    def _function(self, node: Any, name: str) -> Any:
        outer, self._path = self._path, (*self._path, name)
        self.generic_visit(node)
        self.found.setdefault(self._path, []).append(node)
        self._path = outer
        node.body = [] if isinstance(node.body, list) else ast.Constant(value=None)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        return self._function(node, node.name)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> Any:
        return self._function(node, node.name)

    def visit_Lambda(self, node: ast.Lambda) -> Any:
        return self._function(node, "<lambda>")

    def visit_ClassDef(self, node: ast.ClassDef) -> Any:
        outer, self._path = self._path, (*self._path, node.name)
        self.generic_visit(node)
        self._path = outer
        return node


def added_imports(old: ast.Module, new: ast.Module, filename: str) -> tuple[tuple[CodeType, tuple[str, ...]], ...]:
    """The imports that the new module has more, if nothing else differs. Both come without bodies.

    Removed imports stay bound: bodies in flight may still use them.

    Returns:
        Each a statement and the names that it binds.

    Raises:
        Refused: something else differs, or an import cannot be made late.
    """
    if _dumps(_statements(old.body)) != _dumps(_statements(new.body)):
        raise Refused(_difference(old.body, new.body, "the module"))
    had, has = list(_single_imports(old)), list(_single_imports(new))
    for node in _without(had, has):
        _check_import(node)
        if _bound(node) in vars(builtins):
            raise Refused(f"it stops importing {_bound(node)}, which hides a built-in")
    added = list(_without(has, had))
    for node in added:
        _check_import(node)
    return tuple((_statement(node, filename), (_bound(node),)) for node in added)


# --- what differs --------------------------------------------------------------------------------------------------


def _difference(old: list[ast.stmt], new: list[ast.stmt], where: str) -> str:
    """Why two bodies, of modules or of classes, differ in more than function bodies."""
    had = {node.name: node for node in old if isinstance(node, _NAMED)}
    has = {node.name: node for node in new if isinstance(node, _NAMED)}
    for name, node in has.items():
        if name not in had:
            return f"{name} is new in {where}, and a definition works at import only"
        reason = _named_difference(name, had[name], node)
        if reason is not None:
            return reason
    for name in had:
        if name not in has:
            return f"{name} is removed from {where}"
    known = set(_dumps(old))
    for other in _statements(new):
        if ast.dump(other) not in known:
            kind = type(other).__name__
            return f"line {other.lineno} of the new text ({kind} in {where}) works at import only"
    return f"statements of {where} were removed or moved"


def _named_difference(name: str, old: Any, new: Any) -> str | None:
    if ast.dump(old) == ast.dump(new):
        return None
    if isinstance(old, ast.ClassDef) and isinstance(new, ast.ClassDef):
        return _class_difference(name, old, new)
    return f"{name}: {header_difference(old, new)}"


def _class_difference(name: str, old: ast.ClassDef, new: ast.ClassDef) -> str:
    if _dumps(old.decorator_list) != _dumps(new.decorator_list):
        return f"{name}: its decorators change"
    if _dumps([*old.bases, *old.keywords]) != _dumps([*new.bases, *new.keywords]):
        return f"{name}: its base classes or its metaclass change"
    return _difference(old.body, new.body, f"class {name}")


def header_difference(old: Any, new: Any) -> str:
    """What changes between two definitions without bodies that are not the same."""
    if type(old) is not type(new):
        return f"its kind changes from {type(old).__name__} to {type(new).__name__}"
    if _dumps(getattr(old, "decorator_list", [])) != _dumps(getattr(new, "decorator_list", [])):
        return "its decorators change"
    if _parameters(old.args) != _parameters(new.args):
        return "its signature changes"
    if _dumps(_defaults(old.args)) != _dumps(_defaults(new.args)):
        return "its defaults change, and those of the live function were computed long ago"
    return "its annotations change, and a framework may have read them"


def _parameters(arguments: ast.arguments) -> tuple[Any, ...]:
    """Names and kinds of the parameters, and which of them have a default."""
    named = [arguments.vararg, arguments.kwarg]
    return (
        [argument.arg for argument in arguments.posonlyargs],
        [argument.arg for argument in arguments.args],
        [argument.arg for argument in arguments.kwonlyargs],
        [argument and argument.arg for argument in named],
        len(arguments.defaults),
        [default is None for default in arguments.kw_defaults],
    )


def _defaults(arguments: ast.arguments) -> list[ast.expr]:
    return [default for default in (*arguments.defaults, *arguments.kw_defaults) if default is not None]


def _dumps(nodes: Any) -> list[str]:
    return [ast.dump(node) for node in nodes]


def _statements(body: list[ast.stmt]) -> list[ast.stmt]:
    return [node for node in body if not isinstance(node, _IMPORTS)]


# --- imports -------------------------------------------------------------------------------------------------------


def _single_imports(module: ast.Module) -> Iterator[ImportNode]:
    """The module-level imports, one name each, so that a name added to a list of names is seen alone."""
    for node in module.body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield ast.copy_location(ast.Import(names=[alias]), node)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield ast.copy_location(ast.ImportFrom(module=node.module, names=[alias], level=node.level), node)


def _without(these: list[ImportNode], those: list[ImportNode]) -> Iterator[ImportNode]:
    known = {ast.dump(node) for node in those}
    return (node for node in these if ast.dump(node) not in known)


def _check_import(node: ImportNode) -> None:
    if isinstance(node, ast.ImportFrom) and node.module == "__future__":
        raise Refused("it changes a __future__ import, which changes how the whole module is compiled")
    if node.names[0].name == "*":
        raise Refused("it changes an import of *, whose names are not known")


def _bound(node: ImportNode) -> str:
    alias = node.names[0]
    if alias.asname is not None:
        return alias.asname
    return alias.name.partition(".")[0] if isinstance(node, ast.Import) else alias.name


def _statement(node: ImportNode, filename: str) -> CodeType:
    return compile(ast.Module(body=[node], type_ignores=[]), filename, "exec", dont_inherit=True)
