"""How the app itself answers a request that is at fault: learnt from its handlers and exception classes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Iterator, List, Literal, Tuple

import libcst as cst

from homeostasis_rules_python.code.appexceptions import app_exception
from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.dispatch import dispatched
from homeostasis_rules_python.code.imports import NewImport, bound_module_name
from homeostasis_rules_python.code.refusing import refusing_function
from homeostasis_rules_python.code.scope import imported_names
from homeostasis_rules_python.code.tree import Tree, argument, called_name, literal_of
from homeostasis_rules_python.code.web import (
    Framework,
    framework_of,
    imported_modules,
    is_handler,
    returns_answers,
)

Form = Literal["abort", "http_exception", "jsonify", "mapping", "json_response", "app_exception", "helper"]
_FALLBACK_STATUS = {"fastapi": 422, "flask": 400, "starlette": 400}


@dataclass(frozen=True)
class Answer:
    """One way to refuse a request, as statements to put into a module."""

    form: Form
    statement: str
    imports: Tuple[NewImport, ...]
    evidence: str


@dataclass
class Style:
    """What the handlers of a module do when they refuse."""

    forms: Counter[str] = field(default_factory=Counter)
    keys: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)

    def learn(self, tree: Tree) -> None:
        """Count what the functions of a file do."""
        for statement in tree.all(cst.Return):
            self._returned(statement.value)
        for call in tree.all(cst.Call):
            self._called(call)

    def _returned(self, value: cst.BaseExpression | None) -> None:
        if not isinstance(value, cst.Tuple) or len(value.elements) < 2:
            return
        status = literal_of(value.elements[1].value)[1]
        if not _client_error(status):
            return
        body = value.elements[0].value
        if isinstance(body, cst.Call) and called_name(body) == "jsonify":
            self._count("jsonify", status)
            first = body.args[0].value if body.args and body.args[0].keyword is None else None
            keyword = body.args[0].keyword if body.args else None
            self.keys[keyword.value if keyword is not None else _first_key(first) or "error"] += 1
        elif isinstance(body, cst.Dict):
            self._count("mapping", status)
            self.keys[_first_key(body) or "error"] += 1

    def _called(self, call: cst.Call) -> None:
        name = called_name(call)
        if name == "abort":
            status = literal_of(argument(call, 0, "code"))[1]
            if _client_error(status):
                self._count("abort", status)
        elif name == "HTTPException":
            status = literal_of(argument(call, 0, "status_code"))[1]
            if _client_error(status):
                self._count("http_exception", status)
        elif name in ("JSONResponse", "ORJSONResponse"):
            status = literal_of(argument(call, 1, "status_code"))[1]
            if name == "JSONResponse" and _client_error(status):
                self._count("json_response", status)
                self.keys[_first_key(argument(call, 0, "content")) or "detail"] += 1

    def _count(self, form: str, status: object) -> None:
        self.forms[form] += 1
        if isinstance(status, int):
            self.statuses[status] += 1


def _client_error(status: object) -> bool:
    return isinstance(status, int) and 400 <= status < 500


def _first_key(node: cst.CSTNode | None) -> str | None:
    if isinstance(node, cst.Dict) and node.elements and isinstance(node.elements[0], cst.DictElement):
        key = literal_of(node.elements[0].key)[1]
        return key if isinstance(key, str) else None
    return None


def client_status(case: Case, site: Site, wanted: int) -> int:
    """The status for a malformed request: 400 or 422 as the app's handlers do; `wanted` if it is another one."""
    if wanted != 400:
        return wanted
    style = _learnt(case, site)
    if style.statuses[400] or style.statuses[422]:
        return 400 if style.statuses[400] >= style.statuses[422] else 422
    framework = framework_of(case, site)
    return _FALLBACK_STATUS.get(framework or "", 400)


def answers(case: Case, site: Site, function: cst.FunctionDef | None, status: int, message: str) -> Iterator[Answer]:
    """Ways to refuse the request from inside `function`, the app's own way first.

    Args:
        case: the crash.
        site: the frame whose module the statement will stand in.
        function: the function that will hold it.
        status: HTTP status, 4xx.
        message: what the client is told; it becomes a string literal and nothing else.
    """
    text = repr(message)
    own = app_exception(case, site, status)
    if own is not None:
        name, new_import, where = own
        imports = (new_import,) if new_import is not None else ()
        yield Answer("app_exception", f"raise {name}({text})", imports, f"{where} answers `{name}` with a 4xx")
    handling = function is not None and returns_answers(case, site.tree, function)
    helper = refusing_function(case, site, status, text) if handling else None
    if helper is not None:
        yield Answer("helper", *helper)
    if not handling and not _knows_framework(case, site):
        return
    framework = framework_of(case, site)
    if framework is None:
        return
    style = _learnt(case, site)
    form = _form(style, framework, handling)
    key = style.keys.most_common(1)[0][0] if style.keys else "error"
    yield _render(site.tree, form, framework, status, text, key, style.forms[form])


_FRAMEWORKS = frozenset(("flask", "fastapi", "starlette", "quart", "werkzeug"))


def _knows_framework(case: Case, site: Site) -> bool:
    """Whether the module imports the framework, or one beside it that has no handlers refuses requests by itself."""
    if imported_modules(site.tree) & _FRAMEWORKS:
        return True
    folder, _slash, _name = site.path.rpartition("/")
    if not folder:
        return False
    called = dispatched(case)
    answering = called.site.path if called is not None else None
    return any(
        tree.path.rpartition("/")[0] == folder and tree.path != answering and _refuses(tree) and not _has_handlers(tree)
        for mark in (b"HTTPException", b"abort")
        for tree in case.trees(mark)
    )


def _refuses(tree: Tree) -> bool:
    style = Style()
    style.learn(tree)
    return bool(style.forms)


def _has_handlers(tree: Tree) -> bool:
    return any(is_handler(tree, function) for function in tree.all(cst.FunctionDef))


def _form(style: Style, framework: Framework, handling: bool) -> Form:
    allowed: List[Form] = ["abort"] if framework == "flask" else ["http_exception"]
    if handling:
        allowed += ["jsonify", "mapping"] if framework == "flask" else ["json_response"]
    best = [(style.forms[form], -order, form) for order, form in enumerate(allowed)]
    return max(best)[2]


def _render(tree: Tree, form: Form, framework: Framework, status: int, text: str, key: str, seen: int) -> Answer:
    evidence = (
        f"the app refuses requests this way {seen} times" if seen else f"the way of {framework} to refuse a request"
    )
    package = framework if framework != "flask" or "quart" not in imported_modules(tree) else "quart"
    names = {"abort": "abort", "jsonify": "jsonify", "http_exception": "HTTPException", "json_response": "JSONResponse"}
    imports: Tuple[NewImport, ...] = ()
    called = names.get(form, "")
    if called:
        module = {"JSONResponse": f"{package}.responses"}.get(called, package)
        if called == "HTTPException" and package == "starlette":
            module = "starlette.exceptions"
        qualified = bound_module_name(tree, package) if module == package else None
        if called not in _all_imported(tree) and qualified is not None:
            called = f"{qualified}.{called}"
        else:
            imports = (NewImport(module, called),)
    statement = {
        "abort": f"{called}({status}, description={text})",
        "jsonify": f"return {called}({{{key!r}: {text}}}), {status}",
        "mapping": f"return {{{key!r}: {text}}}, {status}",
        "http_exception": f"raise {called}(status_code={status}, detail={text})",
        "json_response": f"return {called}({{{key!r}: {text}}}, status_code={status})",
    }[form]
    return Answer(form, statement, imports, evidence)


def _all_imported(tree: Tree) -> set[str]:
    found: set[str] = set()
    for node in tree.nodes:
        if isinstance(node, (cst.Import, cst.ImportFrom)):
            found.update(imported_names(node))
    return found


def _learnt(case: Case, site: Site) -> Style:
    style = Style()
    style.learn(site.tree)
    if not style.forms:
        for mark in (b"abort(", b"HTTPException", b"jsonify"):
            for tree in case.trees(mark):
                style.learn(tree)
            if style.forms:
                break
    return style
