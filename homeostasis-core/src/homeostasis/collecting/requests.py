"""Requests that a report holds: how they are read, and that no secret stays, whatever the sender left in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterable, Literal, Optional, Tuple
from urllib.parse import unquote, urlsplit

from homeostasis.monitoring.bodies import redact_body, redact_headers, redact_query

if TYPE_CHECKING:
    from homeostasis.models import Request
    from homeostasis.monitoring.redaction import Redactor

MAX_HEADERS, MAX_VALUE = 100, 8_192
MAX_BODY = 65_536
"""Bytes of a body that are kept."""
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "QUERY"))
_ASGI = ("fastapi", "starlette", "litestar", "quart", "asgi")


def request_of(
    method: object,
    url: object,
    headers: Iterable[Tuple[object, object]] = (),
    body: bytes = b"",
    *,
    framework: Optional[str] = None,
    route: Optional[str] = None,
    interface: Optional[Literal["wsgi", "asgi"]] = None,
    query: str = "",
    limit: int = MAX_BODY,
) -> Optional[Request]:
    """The request of a report; None if it has no method or no URL.

    Args:
        method: such as `POST`.
        url: whole, or from the path on.
        headers: those whose name or value is no text are left out, and the length, which that of `body` need not be.
        body: as it was sent.
        framework: name of the app's framework.
        route: pattern of the route.
        interface: how the app is called; by default as `framework` is.
        query: used instead of that of the URL, if there is one.
        limit: bytes of the body that are kept.
    """
    from homeostasis.models import Request

    if not isinstance(method, str) or method.upper() not in _METHODS or not isinstance(url, str):
        return None
    try:
        parts = urlsplit(url[:MAX_VALUE])
        host = parts.netloc.rpartition("@")[2] if parts.hostname else "localhost"
    except ValueError:
        return None
    named = framework.lower() if framework else None
    return Request(
        method=method.upper(),
        path=unquote(parts.path) or "/",
        query=query or parts.query,
        route=route,
        headers=tuple(_texts(headers)),
        body=body[:limit],
        body_truncated=len(body) > limit,
        scheme=parts.scheme if parts.scheme in ("http", "https") else "http",
        host=host,
        interface=interface or ("asgi" if named in _ASGI else "wsgi"),
        framework=named,
    )


def _texts(headers: Iterable[Tuple[object, object]]) -> Iterable[Tuple[str, str]]:
    for _, (name, value) in zip(range(MAX_HEADERS), headers):
        if isinstance(name, str) and isinstance(value, str) and name.isascii() and "\n" not in value:
            if name.lower() == "content-length":
                continue
            yield name[:200], value[:MAX_VALUE]


def without_secrets(request: Request, redactor: Redactor) -> Request:
    """The request with secret values replaced in path, query, headers and body."""
    media = next((value for name, value in request.headers if name.lower() == "content-type"), "")
    return request.model_copy(
        update={
            "path": redactor.values(request.path),
            "query": redact_query(request.query, redactor),
            "headers": tuple(redact_headers(request.headers, redactor)),
            "body": redact_body(request.body, media, redactor),
        }
    )
