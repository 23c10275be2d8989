"""The request that is being answered, as WSGI and ASGI apps see it."""

from __future__ import annotations

from contextvars import ContextVar
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Callable, Mapping, Optional

from homeostasis.monitoring.internal import failed

if TYPE_CHECKING:
    from homeostasis.monitoring.redaction import Redactor

MAX_HEADERS = 100
MAX_HEADER = 4096
MAX_ROUTE = 1000
"""Characters of a route, or of the path that stands for it, that are kept."""
UNMATCHED = "(unmatched)"
"""Route of requests that a framework's router knows no route for."""

current: ContextVar[RequestState | None] = ContextVar("homeostasis_request", default=None)
"""The request of this task or thread."""


class BodyRecorder:
    """Keeps the beginning of a body while the app reads it."""

    __slots__ = ("_chunks", "complete", "left", "truncated")

    def __init__(self, limit: int) -> None:
        self._chunks: list[bytes] = []
        self.left = limit  # bytes that are still kept
        self.truncated = False
        self.complete = False  # the app has read the body to its end

    def add(self, chunk: bytes) -> None:
        """Take note of bytes that the app has just read."""
        if len(chunk) > self.left:
            chunk, self.truncated = chunk[: self.left], True
        if chunk:
            self.left -= len(chunk)
            self._chunks.append(chunk)

    @property
    def content(self) -> bytes:
        """What was read, up to the limit."""
        return b"".join(self._chunks)


Router = Callable[[Mapping[str, Any]], Optional[str]]
"""Finds the pattern of the route that matched, in the environ or scope of a request that was dispatched."""


class RequestState:
    """What is known of a request while it is answered.

    What a request begins with is the class's, and not set for each: most of it stays as it is. `for_app` goes further:
    to set the same for each request of an app costs as much as to read the clock.

    Args:
        interface: `wsgi` or `asgi`.
        source: the environ or the scope.
        framework: its name; None for an app without one.
        router: finds the route, when it is asked for.
    """

    interface: str
    source: Mapping[str, Any]
    method: str
    framework: str | None = None
    router: Router | None = None
    route: str | None = None
    status: int | None = None
    body: BodyRecorder | None = None
    pending: BaseException | None = None
    """An exception that may still become an answer."""
    captured: bool = False
    whole: bool = False
    """The answer is complete: nothing of the app runs while it is sent."""

    def __init__(
        self, interface: str, source: Mapping[str, Any], framework: str | None = None, router: Router | None = None
    ) -> None:
        self.interface = interface
        self.source = source
        method = source.get("REQUEST_METHOD" if interface == "wsgi" else "method")
        self.method = method if method and type(method) is str else "GET"
        self.framework = framework
        self.router = router

    @classmethod
    def for_app(cls, framework: str | None, router: Router | None) -> Any:
        """A class for the requests of one app, which knows these; what its instances are made of is the subclass's."""
        return type(cls.__name__, (cls,), {"framework": framework, "router": router and staticmethod(router)})

    def find_route(self) -> str | None:
        """The pattern of the route, once it is known."""
        if self.route is None and self.router is not None:
            try:
                self.route = self.router(self.source)
            except Exception as error:
                failed("finding the route", error)
        return self.route

    @property
    def path(self) -> str:
        """The decoded path, without the query."""
        if self.interface == "wsgi":
            raw = str(self.source.get("PATH_INFO") or "/")
            return raw.encode("latin-1", "replace").decode("utf-8", "replace")
        return str(self.source.get("path") or "/")

    @property
    def group(self) -> str:
        """What the request is counted under: its route; its path, where nothing routes."""
        route = self.find_route() if self.route is None else self.route
        if route is not None:
            return route
        return self.path if self.framework is None else UNMATCHED

    @property
    def content(self) -> tuple[object, ...]:
        """What tells this request from others of its route."""
        query = self.source.get("QUERY_STRING" if self.interface == "wsgi" else "query_string")
        return (self.path, query, self.body.content if self.body else b"")

    def describe(self, redactor: Redactor) -> dict[str, Any]:
        """The redacted fields of a `homeostasis.models.Request`, as JSON values."""
        from homeostasis.monitoring.bodies import redact_headers, redact_query

        headers = _wsgi_headers(self.source) if self.interface == "wsgi" else _asgi_headers(self.source)
        by_name = {name.lower(): value for name, value in reversed(headers)}  # the first of a name counts
        query, route = self._query(), self.find_route()
        return {
            "method": self.method,
            "path": redactor.values(self.path),
            "query": redact_query(query, redactor) if query else "",
            "route": None if route is None else route[:MAX_ROUTE],
            "headers": redact_headers(headers, redactor),
            "body": self._body(by_name.get("content-type", ""), redactor),
            "body_truncated": self.body is not None and self.body.truncated,
            "host": by_name.get("host") or self._host(),
            "interface": self.interface,
            "framework": self.framework,
            "status": self.status,
            "scheme": str(self.source.get("wsgi.url_scheme" if self.interface == "wsgi" else "scheme") or "http"),
        }

    def _body(self, media_type: str, redactor: Redactor) -> str:
        body = self.body.content if self.body else b""
        if not body:
            return ""
        import base64

        from homeostasis.monitoring.bodies import redact_body

        return base64.urlsafe_b64encode(redact_body(body, media_type, redactor)).decode("ascii")

    def _query(self) -> str:
        if self.interface == "wsgi":
            return str(self.source.get("QUERY_STRING") or "")
        query = self.source.get("query_string") or b""
        return query.decode("latin-1") if isinstance(query, bytes) else str(query)

    def _host(self) -> str:
        if self.interface == "wsgi":
            return str(self.source.get("SERVER_NAME") or "localhost")
        server = self.source.get("server")
        return str(server[0]) if isinstance(server, (list, tuple)) and server else "localhost"


def _wsgi_headers(environ: Mapping[str, Any]) -> list[tuple[str, str]]:
    content = [(key, environ.get(key)) for key in ("CONTENT_TYPE", "CONTENT_LENGTH")]
    # They come first: the body is read by its type, however many other headers there are.
    found = [(_header_name(key), value[:MAX_HEADER]) for key, value in content if value and type(value) is str]
    found += [
        (_header_name(key[5:]), value[:MAX_HEADER])
        for key, value in environ.items()
        if type(key) is str and key.startswith("HTTP_") and type(value) is str
    ]
    return found[:MAX_HEADERS]


@lru_cache(maxsize=256)
def _header_name(key: str) -> str:
    return key.replace("_", "-").title()


def _asgi_headers(scope: Mapping[str, Any]) -> list[tuple[str, str]]:
    headers = list(scope.get("headers") or ())
    if len(headers) > MAX_HEADERS:  # as above
        headers.sort(key=lambda header: bytes(header[0]) not in (b"content-type", b"content-length"))
    kept = headers[:MAX_HEADERS]
    return [(bytes(name).decode("latin-1"), bytes(value)[:MAX_HEADER].decode("latin-1")) for name, value in kept]
