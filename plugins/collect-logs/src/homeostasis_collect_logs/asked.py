"""The HTTP request that a log names for certain as the one that crashed, so that it can be sent again.

Access lines are not used: which of the requests that a process was answering belongs to the traceback beside them
cannot be known.
"""

from __future__ import annotations

import re
from typing import Any, Mapping, Optional
from urllib.parse import unquote, urlsplit

from homeostasis.models import Request

REQUEST_LINE_ONLY = "no local variables, and of the request only its line: the event was read from a log"
MAX_TARGET = 4_096
"""Characters of the longest path with query that is taken."""
_FLASK = "Exception on /"
_FLASK_REST = re.compile(r"(?P<path>.*) \[(?P<method>[A-Z]{3,10})\]")
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_PAIRS = (
    ("http.request.method", "url.original"),
    ("http.request.method", "url.path"),
    ("http.method", "http.target"),
    ("httpRequest.requestMethod", "httpRequest.requestUrl"),
    ("request.method", "request.path"),
    ("request_method", "request_path"),
    ("method", "path"),
)
"""Fields of ECS, OpenTelemetry, Google Cloud, and those that apps bind to their loggers."""
_MESSAGES = ("message", "event", "msg", "short_message")
_NAMED = re.compile(r"(?:<(?:WSGI|ASGI)Request: )?(?P<method>[A-Z]{3,10}) '?(?P<target>/[^\s'>]{0,4096})'?>?")


def flask_request(line: str) -> Optional[Request]:
    """The request of `Exception on /orders/3 [GET]`, which Flask logs right before the traceback; it has no query."""
    _, found, rest = line[-2 * MAX_TARGET :].partition(_FLASK)
    parts = _FLASK_REST.fullmatch(rest.rstrip()) if found else None
    return None if parts is None else _request(parts["method"], f"/{parts['path']}", "", framework="flask")


def request_of(record: Mapping[str, Any]) -> Optional[Request]:
    """The request that fields of a record tell: method and path, with the query if it is there."""
    for method_key, target_key in _PAIRS:
        method, target = value_at(record, method_key), value_at(record, target_key)
        if isinstance(method, str) and isinstance(target, str):
            found = _of_target(method.upper(), target, value_at(record, "url.query"))
            if found is not None:
                return found
    named = record.get("request")  # django's logger and django-structlog
    parts = _NAMED.fullmatch(named[: 2 * MAX_TARGET]) if isinstance(named, str) else None
    if parts is not None:
        return _of_target(parts["method"], parts["target"], None)
    texts = (record.get(key) for key in _MESSAGES)
    lines = (text.split("\n", 1)[0] for text in texts if isinstance(text, str))
    return next((request for request in map(flask_request, lines) if request), None)


def value_at(record: Mapping[str, Any], dotted: str) -> Any:
    """The value of `a.b`, written flat or nested."""
    value = record.get(dotted)
    if value is not None or "." not in dotted:
        return value
    first, _, rest = dotted.partition(".")
    inner = record.get(first)
    return value_at(inner, rest) if isinstance(inner, dict) else None


def _of_target(method: str, target: str, query: Any) -> Optional[Request]:
    """The request; None for a target that is too long, or that could be taken for another one."""
    if len(target) > MAX_TARGET or target.startswith("//"):
        return None
    try:
        parts = urlsplit(target)
    except ValueError:
        return None
    query = parts.query or (query.lstrip("?") if isinstance(query, str) else "")
    return _request(method, unquote(parts.path), query) if len(query) <= MAX_TARGET else None


def _request(method: str, path: str, query: str, framework: Optional[str] = None) -> Optional[Request]:
    if method not in _METHODS or not path.startswith("/") or len(path) > MAX_TARGET:
        return None
    return Request(method=method, path=path, query=query, framework=framework)
