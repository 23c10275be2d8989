"""Requests as the spans of servers tell them, in the old and in the present words of the semantic conventions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, List, Literal, NamedTuple, Optional, Tuple
from urllib.parse import unquote, urlsplit

from homeostasis.models import Request
from homeostasis.monitoring.request import UNMATCHED
from homeostasis_collect_otlp.attributes import Attributes, number, read, text

if TYPE_CHECKING:
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

LINE_ONLY = "no body and no headers of the request but those that OpenTelemetry was told to record"
_WANTED = frozenset(
    (
        "http.request.method",
        "http.request.method_original",
        "http.method",
        "url.path",
        "url.query",
        "url.full",
        "url.scheme",
        "http.target",
        "http.url",
        "http.scheme",
        "http.host",
        "http.route",
        "server.address",
        "server.port",
        "http.server_name",
        "net.host.name",
        "net.host.port",
        "user_agent.original",
        "http.user_agent",
        "http.response.status_code",
        "http.status_code",
        "http.request.body.size",
        "http.request_content_length",
    )
)
HEADER = "http.request.header."
_ERROR = 2
"""STATUS_CODE_ERROR."""
_Kind = Tuple[Optional[str], Literal["wsgi", "asgi"]]
_FRAMEWORKS: Dict[str, _Kind] = {
    "flask": ("flask", "wsgi"),
    "fastapi": ("fastapi", "asgi"),
    "starlette": ("starlette", "asgi"),
    "django": ("django", "wsgi"),
    "falcon": ("falcon", "wsgi"),
    "pyramid": ("pyramid", "wsgi"),
    "asgi": (None, "asgi"),
    "wsgi": (None, "wsgi"),
}
"""Framework and interface by the end of the name of the instrumentation."""
_PORTS = {"http": 80, "https": 443}
_MAX_TEXT, _MAX_PATH, _MAX_HEADERS = 4_096, 8_192, 50


class Served(NamedTuple):
    """A span of a server that answered a request; moments are nanoseconds since the epoch."""

    span_id: bytes
    start: int
    end: int
    attributes: Attributes
    scope: str
    error: bool
    """The span itself says that it failed."""

    @property
    def characters(self) -> int:
        """How many characters its texts have."""
        texts = (value if isinstance(value, list) else [str(value)] for value in self.attributes.values())
        return sum(map(len, self.attributes)) + sum(len(each) for items in texts for each in items)

    @property
    def _kind(self) -> _Kind:
        return _FRAMEWORKS.get(self.scope.rpartition(".")[2], (None, "wsgi"))

    @property
    def route(self) -> Optional[str]:
        """What the request is counted under, as the monitoring has it; None if the span does not tell."""
        route = text(self.attributes, "http.route")
        if route is None and self._kind[0] is not None:
            return UNMATCHED
        return route or _target(self.attributes)[0]

    @property
    def failed(self) -> bool:
        """Whether it was answered with a 5xx, or not at all."""
        status = status_of(self.attributes)
        return self.error if status is None else status >= 500

    def request(self) -> Optional[Request]:
        """The request, as far as the span tells it; None if it does not tell the path."""
        found = self.attributes
        path, query = _target(found)
        if path is None:
            return None
        framework, interface = self._kind
        size = number(found, "http.request.body.size", "http.request_content_length")
        return Request(
            method=_method(found),
            path=path[:_MAX_PATH],
            query=query[:_MAX_PATH],
            route=text(found, "http.route"),
            headers=_headers(found),
            body_truncated=bool(size),
            scheme=_scheme(found),
            host=_host(found)[:_MAX_TEXT],
            interface=interface,
            framework=framework,
            status=status_of(found),
        )


def served(span: Span, scope: str) -> Optional[Served]:
    """The request that a span of kind SERVER is about; None if it is not about HTTP."""
    found = read(span.attributes, _WANTED, HEADER)
    if "http.request.method" not in found and "http.method" not in found:
        return None
    error = span.status.code == _ERROR
    return Served(span.span_id, span.start_time_unix_nano, span.end_time_unix_nano, found, scope, error)


def status_of(found: Attributes) -> Optional[int]:
    """The status code of attributes, if it is one."""
    status = number(found, "http.response.status_code", "http.status_code")
    return status if status is not None and 100 <= status <= 599 else None


def _method(found: Attributes) -> str:
    method = text(found, "http.request.method", "http.method") or "GET"
    if method == "_OTHER":
        method = text(found, "http.request.method_original") or "GET"
    return method[:40]


def _target(found: Attributes) -> Tuple[Optional[str], str]:
    """Decoded path and raw query."""
    path, query = text(found, "url.path"), text(found, "url.query") or ""
    if path is None:
        target = text(found, "http.target")
        if target is not None and target.startswith("/"):
            path, _, query = target.partition("#")[0].partition("?")
        else:
            path, query = _of_url(text(found, "url.full", "http.url"))
    if path is None:
        return None, ""
    if "?" in path and not query:
        path, _, query = path.partition("?")
    return unquote(path) or "/", query.lstrip("?")


def _of_url(url: Optional[str]) -> Tuple[Optional[str], str]:
    if url is None:
        return None, ""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None, ""
    return parts.path or "/", parts.query


def _scheme(found: Attributes) -> str:
    scheme = text(found, "url.scheme", "http.scheme") or "http"
    return scheme if scheme in ("http", "https", "ws", "wss") else "http"


def _host(found: Attributes) -> str:
    host = text(found, "http.host", "server.address", "http.server_name", "net.host.name") or "localhost"
    if host.endswith(":None"):  # what ASGI has of a socket that is no port
        host = host[: -len(":None")]
    port = number(found, "server.port", "net.host.port")
    if port is None or ":" in host or port == _PORTS.get(_scheme(found)):
        return host
    return f"{host}:{port}"


def _headers(found: Attributes) -> Tuple[Tuple[str, str], ...]:
    headers: Dict[str, str] = {}
    for name, value in found.items():
        if name.startswith(HEADER):
            values: List[str] = value if isinstance(value, list) else [str(value)]
            headers[name[len(HEADER) :].replace("_", "-")[:200]] = ", ".join(values)[:_MAX_TEXT]
    agent = text(found, "user_agent.original", "http.user_agent")
    if agent is not None:
        headers.setdefault("user-agent", agent[:_MAX_TEXT])
    return tuple(headers.items())[:_MAX_HEADERS]
