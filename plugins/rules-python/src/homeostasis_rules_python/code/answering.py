"""The handler of a request whose answer was wrong: it returned before the exception, so no frame of it is left."""

from __future__ import annotations

import re
from typing import Iterator, List, Tuple

import libcst as cst

from homeostasis.models import Event
from homeostasis.source import SourceTree
from homeostasis_rules_python.code.called import called_site, definition_site
from homeostasis_rules_python.code.case import Case, Site, read_value
from homeostasis_rules_python.code.known import Function
from homeostasis_rules_python.code.tree import called_name, literal_of
from homeostasis_rules_python.code.web import handlers

_ENDPOINT = re.compile(r"^The view function for '([\w.]{1,200})'")
_PARAMETER = re.compile(r"<[^<>]{1,100}>|\{[^{}]{1,100}\}")
ABOUT_ANSWERS = (
    re.compile(r"^The view function "),
    re.compile(r"^\d{1,4} validation errors?:\s*\{'type': .{1,200}'loc': \('response'", re.DOTALL),
    re.compile(r"^\[TypeError\(\"'coroutine' object is not iterable"),
)
"""Messages of errors that are raised for what a handler returned."""


def told(case: Case) -> str:
    """The message; where the monitoring could not ask the exception for it, what the innermost frame tells instead."""
    message = case.raised.message
    local = case.raised.frames[-1].locals if case.raised.frames else {}
    errors, encoded = local.get("errors"), local.get("obj")
    if not message and errors is not None and errors.repr is not None and errors.repr.startswith("[{'type': "):
        return f"1 validation error:\n  {errors.repr[1:-1]}"
    if encoded is not None and encoded.type == "coroutine" and case.raised.type == "ValueError":
        return "[TypeError(\"'coroutine' object is not iterable\")]"
    return message


def case_of(event: Event, number: int, source: SourceTree) -> Case:
    """The case of an exception of an event.

    Its innermost site is the handler that answered, or the function that was called wrongly, if no frame of it is left.

    Args:
        event: what happened.
        number: index into `event.exceptions`.
        source: the files.
    """
    case = Case(event, number, source)
    site = _handler_that_answered(case) or called_site(case)
    if site is not None:
        case.sites = (*case.sites, site)
    return case


def _handler_that_answered(case: Case) -> Site | None:
    """Only where no frame of the app is left, or where the error is about what a handler returned."""
    about_answer = any(pattern.match(told(case)) for pattern in ABOUT_ANSWERS)
    if case.event.request is None and not about_answer:
        return None
    if case.sites and not about_answer:
        return None
    found = _by_endpoint(case) or _by_route(case)
    if found is None:
        return None
    tree, function = found
    return definition_site(case, tree, function)


def _handlers(case: Case) -> Iterator[Function]:
    for mark in (b"@", b"add_url_rule", b"Route("):
        for tree in case.trees(mark):
            for function in handlers(tree):
                yield tree, function


def _by_endpoint(case: Case) -> Function | None:
    named = _ENDPOINT.match(case.raised.message)
    # FastAPI keeps the name of the function in the exception.
    known, name = read_value(case.raised.attributes["endpoint_function"]) if _knows_endpoint(case) else (False, None)
    if named is not None:
        name = named.group(1).split(".")[-1]
    elif not known or not isinstance(name, str):
        return None
    found = list({id(item[1]): item for item in _handlers(case) if item[1].name.value == name}.values())
    return found[0] if len(found) == 1 else None


def _knows_endpoint(case: Case) -> bool:
    return case.raised.type == "ResponseValidationError" and "endpoint_function" in case.raised.attributes


def _by_route(case: Case) -> Function | None:
    """The one handler whose route and method fit the request; the longest route where several do."""
    request = case.event.request
    if request is None:
        return None
    best: List[Tuple[int, Function]] = []
    for tree, function in _handlers(case):
        for route, methods in _routes(function):
            if methods and request.method.upper() not in methods:
                continue
            if _fits(route, request.route, request.path):
                best.append((len(route), (tree, function)))
    best.sort(key=lambda item: -item[0])
    names = {id(found[1]) for length, found in best if length == best[0][0]}
    return best[0][1] if len(names) == 1 else None


def _routes(function: cst.FunctionDef) -> Iterator[Tuple[str, List[str]]]:
    for decorator in function.decorators:
        call = decorator.decorator
        route = literal_of(call.args[0].value)[1] if isinstance(call, cst.Call) and call.args else None
        if not isinstance(call, cst.Call) or not isinstance(route, str):
            continue
        name = (called_name(call) or "").upper()
        methods = [name] if name in ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS") else _listed(call)
        yield route, methods


def _listed(call: cst.Call) -> List[str]:
    for arg in call.args:
        if arg.keyword is not None and arg.keyword.value == "methods" and isinstance(arg.value, (cst.List, cst.Tuple)):
            return [str(literal_of(item.value)[1]).upper() for item in arg.value.elements]
    return []


def _fits(route: str, known: str | None, path: str) -> bool:
    """Whether a route is the known one, or fits the path; what a prefix of a blueprint or router adds is left out."""
    if known is not None:
        return known.endswith(route) if route not in ("", "/") else known == route
    pattern = "".join(
        "[^/]+" if _PARAMETER.fullmatch(part) else re.escape(part)
        for part in re.split(r"(<[^<>]{1,100}>|\{[^{}]{1,100}\})", route)
    )
    return route not in ("", "/") and re.search(f"{pattern}$", path) is not None
