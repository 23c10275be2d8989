"""Request handlers of Flask, FastAPI, Starlette and frameworks that look like them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, FrozenSet, Literal, Tuple

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.dispatch import dispatched
from homeostasis_rules_python.code.tree import Tree, called_name, dotted_name, kept_with_tree

Place = Literal["path", "query", "form", "headers", "body", "request"]
Framework = Literal["flask", "fastapi", "starlette"]
FRAMEWORKS: Tuple[Framework, ...] = ("fastapi", "flask", "starlette")
"""Known frameworks; one that is built on another comes first. Quart counts as Flask."""

_ROUTE_METHODS = frozenset(("route", "get", "post", "put", "delete", "patch", "head", "options", "api_route"))
_HTTP_METHODS = frozenset(("get", "post", "put", "delete", "patch", "head", "options", "dispatch_request"))
_VIEW_BASES = ("View", "MethodView", "Resource", "HTTPEndpoint")
_REGISTRATIONS = frozenset(("add_url_rule", "add_api_route", "add_route", "Route", "APIRoute"))
REQUEST_PLACES: Dict[str, Place] = {
    "json": "body",
    "get_json": "body",
    "data": "body",
    "get_data": "body",
    "body": "body",
    "args": "query",
    "query_params": "query",
    "values": "query",
    "form": "form",
    "files": "form",
    "headers": "headers",
    "cookies": "headers",
    "view_args": "path",
    "path_params": "path",
    "params": "query",
}
"""Attributes and methods of a request object that hold what the client sent."""


@dataclass(frozen=True)
class Handler:
    """The function that answers the request."""

    site: Site
    function: cst.FunctionDef
    framework: Framework


def handler(case: Case) -> Handler | None:
    """The frame that the framework called, else the innermost one that is a request handler; None without any."""
    called = dispatched(case)
    for site in reversed(case.sites) if called is None else (called.site,):
        if site.function is not None and answers_requests(case, site.tree, site.function):
            framework = framework_of(case, site)
            if framework is not None:
                return Handler(site, site.function, framework)
    return None


def framework_of(case: Case, site: Site) -> Framework | None:
    """The web framework that a module uses: by its imports, else by those of what answers, else by the request."""
    called = dispatched(case)
    for tree in (site.tree, called.site.tree) if called is not None else (site.tree,):
        modules = imported_modules(tree)
        if "quart" in modules:
            return "flask"
        for name in FRAMEWORKS:
            if name in modules:
                return name
    named = case.event.request.framework if case.event.request else None
    for known in FRAMEWORKS:
        if known == named:
            return known
    installed = case.event.runtime.frameworks
    return next((name for name in FRAMEWORKS if name in installed), None)


@kept_with_tree
def imported_modules(tree: Tree) -> FrozenSet[str]:
    """Top-level names of the modules that a file imports."""
    found: set[str] = set()
    for node in tree.nodes:
        if isinstance(node, cst.Import):
            found.update(alias.evaluated_name.split(".")[0] for alias in node.names)
        elif isinstance(node, cst.ImportFrom) and not node.relative and node.module is not None:
            found.add((dotted_name(node.module) or "").split(".")[0])
    return frozenset(found)


def answers_requests(case: Case, tree: Tree, function: cst.FunctionDef) -> bool:
    """Whether a function may refuse a request: a handler, a dependency of FastAPI, or what runs before a request."""
    called = dispatched(case)
    if called is not None and called.site.function is function:
        return True
    return is_handler(tree, function) or _runs_before(function) or is_dependency(case, tree, function)


def _runs_before(function: cst.FunctionDef) -> bool:
    names = [dotted_name(item.decorator) or "" for item in function.decorators]
    return any(name.split(".")[-1] in ("before_request", "before_app_request") for name in names)


def is_dependency(case: Case, tree: Tree, function: cst.FunctionDef) -> bool:
    """Whether FastAPI calls a function to fill a parameter: `Depends(function)` stands somewhere in the app."""
    if not imported_modules(tree) & {"fastapi", "starlette"} or _is_method(tree, function):
        return False
    mark = function.name.value.encode()
    for other in case.trees(b"Depends"):
        for call in other.all(cst.Call) if mark in case.source.read(other.path) else ():
            asked = call.args[0].value if called_name(call) in ("Depends", "Security") and call.args else None
            if (dotted_name(asked) or "").split(".")[-1] == function.name.value:
                return True
    return False


def _is_method(tree: Tree, function: cst.FunctionDef) -> bool:
    return isinstance(tree.enclosing(function, (cst.ClassDef, cst.FunctionDef)), cst.ClassDef)


def returns_answers(case: Case, tree: Tree, function: cst.FunctionDef) -> bool:
    """Whether what a function returns is the answer to the request."""
    called = dispatched(case)
    return is_handler(tree, function) or (called is not None and called.answers and called.site.function is function)


def is_handler(tree: Tree, function: cst.FunctionDef) -> bool:
    """Whether a function is registered as the answer to a route."""
    for decorator in function.decorators:
        call = decorator.decorator
        attribute = isinstance(call, cst.Call) and isinstance(call.func, cst.Attribute) and bool(call.args)
        if attribute and isinstance(call, cst.Call) and called_name(call) in _ROUTE_METHODS:
            return True
    owner = tree.enclosing(function, cst.ClassDef)
    if owner is not None and function.name.value in _HTTP_METHODS:
        bases = [(dotted_name(base.value) or "").split(".")[-1] for base in owner.bases]
        return any(base in _VIEW_BASES for base in bases)
    return owner is None and function.name.value in _registered(tree)


@kept_with_tree
def handlers(tree: Tree) -> Tuple[cst.FunctionDef, ...]:
    """The functions of a file that answer routes."""
    return tuple(function for function in tree.all(cst.FunctionDef) if is_handler(tree, function))


@kept_with_tree
def _registered(tree: Tree) -> FrozenSet[str]:
    """Names that a file gives to `add_url_rule`, `Route` and the like."""
    calls = (call for call in tree.all(cst.Call) if called_name(call) in _REGISTRATIONS)
    return frozenset(arg.value.value for call in calls for arg in call.args if isinstance(arg.value, cst.Name))


def path_parameters(function: cst.FunctionDef) -> set[str]:
    """Names between the brackets of the routes of a handler's decorators."""
    names: set[str] = set()
    for decorator in function.decorators:
        if not isinstance(decorator.decorator, cst.Call):
            continue
        for arg in decorator.decorator.args:
            if isinstance(arg.value, cst.SimpleString) and isinstance(arg.value.evaluated_value, str):
                names.update(bracketed(arg.value.evaluated_value))
    return names


def bracketed(route: str) -> set[str]:
    """Names of the parameters of a route: `id` of `/orders/{id}` and of `/orders/<int:id>`."""
    names = set()
    for opening, closing in (("<", ">"), ("{", "}")):
        for part in route.split(opening)[1:]:
            inside = part.split(closing)[0]
            # Flask puts the converter before the name, Starlette behind it.
            names.add(inside.split(":")[-1] if opening == "<" else inside.split(":")[0])
    return names


def parameter_place(site: Site, function: cst.FunctionDef, parameter: cst.Param, framework: Framework) -> Place | None:
    """From which part of the request a handler's parameter is filled; None if it is not the client's."""
    name = parameter.name.value
    if name in ("self", "cls"):
        return None
    annotation = site.tree.code(parameter.annotation.annotation) if parameter.annotation is not None else ""
    if annotation.split(".")[-1] == "Request" or name == "request":
        return "request"
    if framework == "flask":
        return "path"
    default = parameter.default
    called = called_name(default) if isinstance(default, cst.Call) else None
    if called in ("Depends", "Security") or "Depends(" in annotation or annotation.split(".")[-1] in _FASTAPI_SPECIAL:
        return None
    if name in path_parameters(function):
        return "path"
    if called in ("Header", "Cookie"):
        return "headers"
    if called in ("Form", "File"):
        return "form"
    scalar = annotation.replace(" ", "").split("|")[0].replace("Optional[", "").rstrip("]")
    if called == "Query" or scalar in ("str", "int", "float", "bool", "date", "datetime", "UUID", "Decimal"):
        return "query"
    return "body" if called == "Body" or annotation else "query"


_FASTAPI_SPECIAL = ("Response", "BackgroundTasks", "WebSocket", "SecurityScopes")
