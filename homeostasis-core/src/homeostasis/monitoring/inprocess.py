"""Send recorded requests to a WSGI app in this process, without a server and without a socket.

`send_wsgi`, like `send_asgi` of `homeostasis.monitoring.inprocess_asgi`, calls `done` with an answer, in the form
`{"status", "headers", "body", "error"}`, for each request in order. `error` is the exception that escaped from the app,
as any server would see it.
"""

from __future__ import annotations

import base64
import inspect
import io
import sys
from typing import Any, Callable, Iterable

MAX_BODY = 1_000_000
"""Bytes of an answer's body that are kept; a longer one is compared by its beginning."""

_HOP = ("transfer-encoding", "connection", "content-length")


def is_asgi(app: Any) -> bool:
    """Whether the app is called as ASGI, with a coroutine, rather than as WSGI."""
    if inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(type(app).__call__):
        return True
    try:  # a callable that returns another one's coroutine: `app(scope, receive, send)` against `app(environ, start)`
        parameters = inspect.signature(app).parameters.values()
    except (TypeError, ValueError):
        return False
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return len([one for one in parameters if one.kind in kinds and one.default is one.empty]) == 3


def body_of(request: dict[str, Any]) -> bytes:
    """The recorded body; bytes travel as base64 in JSON, in either alphabet."""
    return base64.b64decode((request.get("body") or "").replace("-", "+").replace("_", "/"))


def headers_of(request: dict[str, Any], body: bytes) -> list[tuple[str, str]]:
    """The recorded headers, without those of one connection, and with the length of the body that is really sent."""
    kept = [(name.lower(), value) for name, value in request.get("headers") or () if name.lower() not in _HOP]
    if not any(name == "host" for name, _ in kept):
        kept.insert(0, ("host", request.get("host") or "localhost"))
    if body or request.get("method") in ("POST", "PUT", "PATCH"):
        kept.append(("content-length", str(len(body))))
    return kept


def answer(
    status: int | None = None,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    error: BaseException | None = None,
) -> dict[str, Any]:
    """What the app answered."""
    return {"status": status, "headers": list(headers), "body": body[:MAX_BODY], "error": error}


def send_wsgi(app: Any, requests: list[dict[str, Any]], done: Callable[[dict[str, Any]], None]) -> None:
    """Send the requests one after the other to a WSGI app (PEP 3333)."""
    for request in requests:
        done(_call_wsgi(app, request))


def _call_wsgi(app: Any, request: dict[str, Any]) -> dict[str, Any]:
    started: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:  # noqa: ARG001
        started[:] = [int(status.split(None, 1)[0]), headers]
        return body.write

    body = io.BytesIO()
    try:
        chunks = app(wsgi_environ(request), start_response)
        try:
            for chunk in chunks:
                body.write(chunk)
        finally:
            if hasattr(chunks, "close"):
                chunks.close()
    except Exception as error:
        return answer(error=error)
    return answer(started[0] if started else None, started[1] if started else (), body.getvalue())


def wsgi_environ(request: dict[str, Any]) -> dict[str, Any]:
    """The WSGI environment of a recorded request."""
    body = body_of(request)
    host, _, port = (request.get("host") or "localhost").partition(":")
    scheme = request.get("scheme") or "http"
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.get("method") or "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": (request.get("path") or "/").encode("utf-8", "surrogateescape").decode("latin-1"),
        "QUERY_STRING": request.get("query") or "",
        "SERVER_NAME": host,
        "SERVER_PORT": port or ("443" if scheme == "https" else "80"),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scheme,
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in headers_of(request, body):
        key = name.upper().replace("-", "_")
        key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    return environ
