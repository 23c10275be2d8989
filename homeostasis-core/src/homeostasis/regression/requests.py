"""Writes a recorded HTTP request as calls of the test client that the app's framework brings."""

from __future__ import annotations

import ast
import json
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, quote

from homeostasis.monitoring.bodies import redact_body, redact_headers, redact_query
from homeostasis.monitoring.redaction import REDACTED
from homeostasis.regression.literals import NoLiteral, literal
from homeostasis.regression.subject import plain

if TYPE_CHECKING:
    from homeostasis.models import Request
    from homeostasis.regression.subject import Subject

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
_NEVER = frozenset(("connection", "content-length", "content-type", "host", "keep-alive", "transfer-encoding"))
_BROWSER = frozenset(
    ("accept", "accept-encoding", "priority", "sec-ch-ua", "sec-fetch-mode", "upgrade-insecure-requests", "user-agent")
)
_PROXY = frozenset(("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"))
_TRACE = frozenset(("traceparent", "tracestate", "x-request-id"))
_NOISE = _NEVER | _BROWSER | _PROXY | _TRACE
"""Headers that the way brings along; they are written only if the test proves nothing without them."""
_NO_HEADER_VALUE = "\r\n\0"


class Unwritable(Exception):
    """No test can be written; the message says why, in a phrase."""


class Written(NamedTuple):
    """A request in code: `status` is the expression that holds the answer's status code."""

    imports: list[str]
    fixture: str
    lines: list[str]
    status: str
    what: str


def request_lines(subject: Subject, fixtures: dict[str, str], *, all_headers: bool) -> Written:
    """The request of a subject.

    Args:
        subject: has a request.
        fixtures: those of the app's tests; see `homeostasis.regression.layout.Layout`.
        all_headers: also write headers that seldom matter.

    Raises:
        Unwritable: the app or its framework is not known.
    """
    request = subject.request
    if request is None:
        raise Unwritable("no request was recorded")
    what = plain(f"{request.method} {request.route or request.path}")
    headers = _headers(request, subject, all_headers)
    if request.framework == "flask":
        imports, fixture, lines, client = _client_of_flask(subject, fixtures)
        lines = [*lines, _send(client, request, subject, headers, flask=True)]
    elif request.interface == "asgi" and request.framework in ("fastapi", "starlette"):
        imports, fixture, lines, client = _client_of_starlette(subject, fixtures)
        sent = _send(client, request, subject, headers, flask=False)
        if client == "TestClient":  # entered, so that the app's start-up runs
            app = lines.pop()
            lines = [*lines, f"with TestClient({app}) as client:", f"    {sent.replace('TestClient', 'client', 1)}"]
        else:
            lines = [*lines, sent]
    else:
        kind = request.framework or f"plain {request.interface.upper()}"
        raise Unwritable(f"no test client is known for {kind} apps")
    return Written(imports, fixture, lines, "response.status_code", what)


def _client_of_flask(subject: Subject, fixtures: dict[str, str]) -> tuple[list[str], str, list[str], str]:
    if "client" in fixtures:
        return [], fixtures["client"], [], fixtures["client"]
    if "app" in fixtures:
        return [], fixtures["app"], [f"client = {fixtures['app']}.test_client()"], "client"
    line, app = _app(subject)
    return [line], "", [f"client = {app}.test_client()"], "client"


def _client_of_starlette(subject: Subject, fixtures: dict[str, str]) -> tuple[list[str], str, list[str], str]:
    if "client" in fixtures:
        return [], fixtures["client"], [], fixtures["client"]
    framework = "fastapi" if subject.request and subject.request.framework == "fastapi" else "starlette"
    imported = f"from {framework}.testclient import TestClient"
    if "app" in fixtures:
        return [imported], fixtures["app"], [fixtures["app"]], "TestClient"
    line, app = _app(subject)
    return [imported, line], "", [app], "TestClient"


def _app(subject: Subject) -> tuple[str, str]:
    """The line that imports what `app = "module:expression"` starts from, and the expression."""
    module, _, expression = (subject.app or "").partition(":")
    expression = expression or "app"
    try:
        name = _start(ast.parse(expression, mode="eval").body)
    except (SyntaxError, ValueError) as error:
        raise Unwritable("the app's import path is not understood") from error
    if not all(part.isidentifier() for part in module.split(".")):
        raise Unwritable("the app's import path is not understood")
    return f"from {module} import {name}", expression


def _start(node: ast.expr) -> str:
    """The name that an expression of names, attributes and calls with literal arguments starts from.

    Raises:
        ValueError: it is something else.
    """
    if isinstance(node, ast.Attribute):
        return _start(node.value)
    if isinstance(node, ast.Call):
        for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
            ast.literal_eval(argument)
        return _start(node.func)
    if isinstance(node, ast.Name):
        return node.id
    raise ValueError("an app is named by names, attributes and calls with literal arguments")


def _send(client: str, request: Request, subject: Subject, headers: dict[str, str], *, flask: bool) -> str:
    path = quote(request.path, safe="/:@!$&'()*+,;=~-._", errors="surrogateescape")
    if subject.redactor.values(request.path) != request.path:
        raise Unwritable("the path holds a secret")
    query = redact_query(request.query, subject.redactor)
    target = literal(f"{path}?{query}" if query else path)
    arguments = [target, *_body(request, subject, headers, flask=flask)]
    if headers:
        arguments.append(f"headers={literal(headers, 4)}")
    if request.method in _METHODS[:5]:
        call = f"{client}.{request.method.lower()}"
    else:
        call = f"{client}.{'open' if flask else 'request'}"
        method = literal(request.method)
        arguments = [*arguments, f"method={method}"] if flask else [method, *arguments]
    if not flask and request.method == "DELETE" and len(arguments) > 1:
        call, arguments = f"{client}.request", ['"DELETE"', *arguments]
    return _call(f"response = {call}", arguments, inside=4 if client == "TestClient" else 0)


def _call(head: str, arguments: list[str], inside: int) -> str:
    line = f"{head}({', '.join(arguments)})"
    if "\n" not in line and len(line) <= 108:
        return line
    space = " " * (8 + inside)
    lines = [f"{space}{_deeper(one, 4 + inside)},\n" for one in arguments]
    return f"{head}(\n{''.join(lines)}{space[4:]})"


def _deeper(argument: str, by: int) -> str:
    return argument.replace("\n", "\n" + " " * by)  # literals have no line ends within strings


def _headers(request: Request, subject: Subject, all_headers: bool) -> dict[str, str]:
    kept: dict[str, str] = {}
    left_out = _NEVER if all_headers else _NOISE
    for name, value in redact_headers(request.headers, subject.redactor):
        low = name.lower()
        if low not in left_out and REDACTED not in value and not any(mark in value for mark in _NO_HEADER_VALUE):
            kept[name] = value
    return kept


def _body(request: Request, subject: Subject, headers: dict[str, str], *, flask: bool) -> list[str]:
    content_type = next((value for name, value in request.headers if name.lower() == "content-type"), "")
    body = redact_body(request.body, content_type, subject.redactor)
    media = content_type.partition(";")[0].strip().lower()
    if not body:
        if content_type:
            headers["Content-Type"] = content_type
        return []
    if media == "application/json":
        try:
            return [f"json={literal(json.loads(body), 4, 5)}"]
        except (ValueError, RecursionError, NoLiteral):
            pass  # it is sent byte for byte
    if media == "application/x-www-form-urlencoded":
        fields = _fields(body)
        if fields is not None:
            return [f"data={literal(fields, 4, 5)}"]
    if media == "multipart/form-data" and REDACTED.encode() in body:
        raise Unwritable("the form holds a secret")
    headers["Content-Type"] = content_type or "application/octet-stream"
    return [f"{'data' if flask else 'content'}={literal(body)}"]


def _fields(body: bytes) -> dict[str, Any] | None:
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True)
    except ValueError:
        return None
    fields: dict[str, Any] = {}
    for name, value in pairs:
        fields[name] = value if name not in fields else [*_listed(fields[name]), value]
    return fields


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
