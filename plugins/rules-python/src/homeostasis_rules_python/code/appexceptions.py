"""Exception classes of the app that one of its error handlers answers with a 4xx."""

from __future__ import annotations

from typing import Iterator, Tuple, Union

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.imports import NewImport
from homeostasis_rules_python.code.known import base_names
from homeostasis_rules_python.code.scope import imported_names, parameters
from homeostasis_rules_python.code.tree import Tree, argument, called_name, dotted_name, literal_of
from homeostasis_rules_python.code.web import imported_modules


def app_exception(case: Case, site: Site, status: int) -> Tuple[str, NewImport | None, str] | None:
    """An exception class of the app that one of its error handlers answers with a fitting 4xx.

    Returns the name to raise, the import that it needs and the file of the error handler.
    """
    for mark in (b"error", b"exception_handler"):
        for tree in case.trees(mark):
            for handled, answered in _mapped(tree):
                for name in _raisable(case, handled, answered, status):
                    usable = _usable(case, site, name)
                    if usable is not None:
                        return name, usable[0], tree.path
    return None


def _raisable(case: Case, name: str, answered: Answered, status: int) -> Iterator[str]:
    """The class itself or subclasses of it that are answered with a fitting status."""
    if isinstance(answered, int):
        yield from [name] if _fits(answered, status) else []
        return
    found = _definition(case, name)
    if found is None:
        return
    tree, parent = found
    for definition in tree.all(cst.ClassDef):
        if definition is parent or name in base_names(definition):
            own = _attribute(definition, answered)
            if own is not None and _fits(own, status):
                yield definition.name.value


def _attribute(definition: cst.ClassDef, name: str) -> int | None:
    """The status that a class declares as an attribute, or as the default of its initialiser."""
    for statement in definition.body.body:
        for small in statement.body if isinstance(statement, cst.SimpleStatementLine) else ():
            if isinstance(small, (cst.Assign, cst.AnnAssign)) and small.value is not None:
                targets = [each.target for each in small.targets] if isinstance(small, cst.Assign) else [small.target]
                if any(isinstance(target, cst.Name) and target.value == name for target in targets):
                    value = literal_of(small.value)[1]
                    return value if isinstance(value, int) else None
        if isinstance(statement, cst.FunctionDef) and statement.name.value == "__init__":
            for parameter in parameters(statement):
                value = literal_of(parameter.default)[1] if parameter.name.value == name else None
                if isinstance(value, int):
                    return value
    return None


def _usable(case: Case, site: Site, name: str) -> Tuple[NewImport | None] | None:
    """The import that the site's module needs to raise `name`; None if it cannot or should not."""
    found = _definition(case, name)
    if found is None or not _takes_message(*found):
        return None
    new_import = _import_for(site, found[0], name)
    return (new_import,) if found[0].path == site.path or new_import is not None else None


def _fits(answered: int, status: int) -> bool:
    return answered == status or {answered, status} == {400, 422}


Answered = Union[int, str]
"""The status that an error handler answers with, or the attribute of the exception that holds it."""
_HOLDERS = frozenset(("code", "status", "status_code", "http_status", "http_code"))


def _mapped(tree: Tree) -> Iterator[Tuple[str, Answered]]:
    for function in tree.all(cst.FunctionDef):
        for decorator in function.decorators:
            call = decorator.decorator
            if isinstance(call, cst.Call) and called_name(call) in (
                "errorhandler",
                "app_errorhandler",
                "exception_handler",
            ):
                name = dotted_name(call.args[0].value) if call.args else None
                status = _status_of(tree, function)
                if name is not None and status is not None:
                    yield name.split(".")[-1], status
    for call in tree.all(cst.Call):
        if called_name(call) in ("register_error_handler", "add_exception_handler") and len(call.args) == 2:
            name, by = dotted_name(call.args[0].value), dotted_name(call.args[1].value)
            for function in tree.all(cst.FunctionDef):
                status = _status_of(tree, function) if function.name.value == by else None
                if name is not None and status is not None:
                    yield name.split(".")[-1], status


def _status_of(tree: Tree, function: cst.FunctionDef) -> Answered | None:
    own = {parameter.name.value for parameter in parameters(function)}
    for node in _statuses(tree, function):
        status = literal_of(node)[1]
        if isinstance(status, int) and 400 <= status < 500:
            return status
        if isinstance(node, cst.Attribute) and node.attr.value in _HOLDERS and dotted_name(node.value) in own:
            return node.attr.value
    return None


def _statuses(tree: Tree, function: cst.FunctionDef) -> Iterator[cst.BaseExpression | None]:
    """What stands for the status in the answers of an error handler."""
    for statement in tree.all(cst.Return, function.body):
        value = statement.value
        if isinstance(value, cst.Tuple) and len(value.elements) > 1:
            yield value.elements[1].value
        elif isinstance(value, cst.Call):
            yield argument(value, 9, "status_code")
    for assignment in tree.all(cst.Assign, function.body):
        if (dotted_name(assignment.targets[0].target) or "").endswith(".status_code"):
            yield assignment.value


def _definition(case: Case, name: str) -> Tuple[Tree, cst.ClassDef] | None:
    for tree in case.trees(b"class " + name.encode()):
        for definition in tree.all(cst.ClassDef):
            if definition.name.value == name:
                return tree, definition
    return None


def _takes_message(tree: Tree, definition: cst.ClassDef) -> bool:
    for function in tree.all(cst.FunctionDef, definition.body):
        if function.name.value == "__init__":
            required = [item for item in parameters(function)[1:] if item.default is None]
            return len(required) <= 1 and len(parameters(function)) > 1
    return True


def _import_for(site: Site, owner: Tree, name: str) -> NewImport | None:
    """The import of `name` in the site's module: only from a module that it imports from already, or a leaf module."""
    if owner.path == site.path:
        return None
    module = owner.path[: -len(".py")].replace("/", ".")
    if module.endswith(".__init__"):
        module = module[: -len(".__init__")]
    for node in site.tree.nodes:
        if isinstance(node, cst.ImportFrom) and (name in imported_names(node) or _imports_from(node, module)):
            return NewImport("." * len(node.relative) + (dotted_name(node.module) or ""), name)
    crash_stem = site.path.rsplit("/", 1)[-1][: -len(".py")]
    if crash_stem in imported_modules(owner) or _relative_import(owner):
        return None
    return NewImport(_module_name(site, module), name)


def _imports_from(node: cst.ImportFrom, module: str) -> bool:
    """Whether an import is one of `module`, whose name is relative to the project's root."""
    named = dotted_name(node.module)
    return named is not None and f".{module}".endswith(f".{named}")


def _module_name(site: Site, module: str) -> str:
    """The owner's dotted name as the site's own module name spells the folders before it."""
    own = site.frame.module
    path = site.path[: -len(".py")].replace("/", ".")
    if own and path != own and path.endswith(own):
        prefix = path[: -len(own)]
        return module[len(prefix) :] if module.startswith(prefix) else module
    return module


def _relative_import(tree: Tree) -> bool:
    return any(isinstance(node, cst.ImportFrom) and bool(node.relative) for node in tree.nodes)
