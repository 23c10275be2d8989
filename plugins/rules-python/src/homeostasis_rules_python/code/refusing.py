"""Functions of the app that make an error answer: `return bad_request("name is required")`."""

from __future__ import annotations

from typing import Iterator, Tuple

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.imports import NewImport
from homeostasis_rules_python.code.known import functions_named
from homeostasis_rules_python.code.scope import parameters
from homeostasis_rules_python.code.tree import Tree, argument, called_name, dotted_name, literal_of

Refusal = Tuple[str, Tuple[NewImport, ...], str]


def refusing_function(case: Case, site: Site, status: int, text: str) -> Refusal | None:
    """The call of a function of the app that the module's handlers use to answer with a 4xx.

    Only functions that the module itself returns from are considered, so that the name is there already.

    Args:
        case: the crash.
        site: where the answer will stand.
        status: HTTP status, 4xx.
        text: the message as a literal.

    Returns:
        The statement, the imports that it needs (none) and the evidence; None if the app has no such function.
    """
    for call in _returned_calls(site.tree):
        name = called_name(call)
        if name is None or not isinstance(call.func, cst.Name):
            continue
        for tree, function in _definitions(case, name):
            arguments = _arguments(tree, function, call, status, text)
            if arguments is not None:
                return f"return {name}({arguments})", (), f"the app refuses requests with `{name}`"
    return None


def _returned_calls(tree: Tree) -> Iterator[cst.Call]:
    for statement in tree.all(cst.Return):
        value = statement.value
        if isinstance(value, cst.Call) and value.args and any(_is_text(arg.value) for arg in value.args):
            yield value


def _is_text(node: cst.BaseExpression) -> bool:
    return isinstance(literal_of(node)[1], str) or isinstance(node, cst.FormattedString)


def _definitions(case: Case, name: str) -> Iterator[Tuple[Tree, cst.FunctionDef]]:
    for tree, function in functions_named(case, name):
        if not function.decorators:
            yield tree, function


def _arguments(tree: Tree, function: cst.FunctionDef, used: cst.Call, status: int, text: str) -> str | None:
    """The arguments in the order of the function: the message alone, or the message and the status."""
    required = [item.name.value for item in parameters(function) if item.default is None]
    if len(required) == 1 and _fits(_status_returned(tree, function), status):
        return text
    given = parameters(function)
    if len(required) > 2 or len(given) < 2:
        return None
    first, second = (literal_of(argument(used, position))[1] for position in (0, 1))
    if _is_status(first) and isinstance(second, str):
        return f"{status}, {text}"
    return f"{text}, {status}" if isinstance(first, str) and _is_status(second) else None


def _fits(answered: int | None, status: int) -> bool:
    return answered == status or {answered, status} == {400, 422}


def _is_status(value: object) -> bool:
    return isinstance(value, int) and 400 <= value < 500


def _status_returned(tree: Tree, function: cst.FunctionDef) -> int | None:
    """The status that a function answers with: of its tuple, of a response, or handed to another function."""
    for statement in tree.all(cst.Return, function.body):
        value = statement.value
        candidates: list[cst.BaseExpression | None] = []
        if isinstance(value, cst.Tuple):
            candidates = [item.value for item in value.elements[1:2]]
        elif isinstance(value, cst.Call):
            candidates = [argument(value, 99, "status_code"), *(arg.value for arg in value.args)]
        for candidate in candidates:
            status = literal_of(candidate)[1]
            if isinstance(status, int) and _is_status(status):
                return status
    for assignment in tree.all(cst.Assign, function.body):
        target = dotted_name(assignment.targets[0].target) or ""
        status = literal_of(assignment.value)[1]
        if target.endswith(".status_code") and isinstance(status, int) and _is_status(status):
            return status
    return None
