"""The request of a Sentry event, as far as the SDK tells it, made fit to be sent again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Literal, Optional, Tuple
from urllib.parse import urlencode

import orjson

from homeostasis.collecting import requests
from homeostasis.collecting.fields import items, table, text, within
from homeostasis.monitoring.redaction import REDACTED
from homeostasis_collect_sentry.exceptions import values_of
from homeostasis_collect_sentry.variables import FILTERED

if TYPE_CHECKING:
    from homeostasis.models import Request

NO_BODY = "the body of the request is not in the report"
CUT_BODY = "parts of the body of the request were left out of the report"
MULTIPART = "the body of the request was a multipart form, of which the report has the fields only"
_MAX_URL, _MAX_HEADER, _MAX_HEADERS = 8192, 4096, 100
_MAX_DEPTH, _MAX_FRAMES = 100, 200
_Kind = Tuple[Optional[str], Literal["wsgi", "asgi"]]
_FRAMEWORKS: Dict[str, _Kind] = {
    "flask": ("flask", "wsgi"),
    "fastapi": ("fastapi", "asgi"),
    "starlette": ("starlette", "asgi"),
    "litestar": ("litestar", "asgi"),
    "quart": ("quart", "asgi"),
    "asgi": (None, "asgi"),
    "django": ("django", "wsgi"),
    "bottle": ("bottle", "wsgi"),
    "falcon": ("falcon", "wsgi"),
    "pyramid": ("pyramid", "wsgi"),
    "wsgi": (None, "wsgi"),
}
_CUTS = ("!limit", "!raw", "!error")


def framework_of(event: Dict[str, Any]) -> _Kind:
    """Framework and interface of the app: what its first frames are of, or what caught the exception."""
    values = values_of(event.get("exception"))
    latest = values[-1] if values else None
    frames = items(within(latest, "stacktrace", "frames"))
    seen = [text(within(frame, "module"), 200).split(".")[0] for frame in frames[:_MAX_FRAMES]]
    if "fastapi" in seen:
        return _FRAMEWORKS["fastapi"]
    said = [text(within(latest, "mechanism", "type"), 200), _origin(event)]
    return next((_FRAMEWORKS[name] for name in (*seen, *said) if name in _FRAMEWORKS), (None, "wsgi"))


def _origin(event: Dict[str, Any]) -> str:
    return text(within(event, "contexts", "trace", "origin"), 200).rpartition(".")[2]


def request_of(event: Dict[str, Any], limit: int) -> Tuple[Optional[Request], List[str]]:
    """The request, and what is missing of it; None if the event has none.

    Args:
        event: an error or a transaction.
        limit: longest body that is kept, in bytes.
    """
    found = table(event.get("request"))
    headers = _pairs(found.get("headers"))
    media = next((value for name, value in headers if name.lower() == "content-type"), "")
    body, loss = _body(found.get("data"), media, headers, within(event, "_meta", "request", "data"))
    framework, interface = framework_of(event)
    named = within(event, "transaction_info", "source") == "route"
    request = requests.request_of(
        found.get("method"),
        found.get("url") or None,
        headers,
        body,
        framework=framework,
        route=text(event.get("transaction"), 500) or None if named else None,
        interface=interface,
        query=_query(found.get("query_string")),
        limit=limit,
    )
    if request is None or loss is None:
        return request, []
    return request.model_copy(update={"body_truncated": True}), [loss]


def _query(value: Any) -> str:
    if isinstance(value, (dict, list)):
        try:
            return urlencode(_pairs(value))[:_MAX_URL]
        except (TypeError, ValueError):
            return ""
    return text(value, _MAX_URL).lstrip("?")


def _pairs(value: Any) -> List[Tuple[str, str]]:
    """Names and values, of an object or a list of pairs."""
    pairs = list(value.items()) if isinstance(value, dict) else value if isinstance(value, list) else []
    found = [pair for pair in pairs[:_MAX_HEADERS] if isinstance(pair, (list, tuple)) and len(pair) == 2]
    return [(name[:200], _shown(text(value, _MAX_HEADER))) for name, value in found if isinstance(name, str)]


def _shown(value: str) -> str:
    return REDACTED if value == FILTERED else value


def _body(data: Any, media: str, headers: List[Tuple[str, str]], meta: Any) -> Tuple[bytes, Optional[str]]:
    """The body, and what is missing of it."""
    length = next((value for name, value in headers if name.lower() == "content-length"), "0")
    kind = media.partition(";")[0].strip().lower()
    if data is None or data == "":
        return b"", NO_BODY if length not in ("", "0") else None
    loss = CUT_BODY if _is_cut(meta) else None
    if kind.startswith("multipart/"):
        return b"", MULTIPART
    if isinstance(data, str) and not kind.endswith("json"):
        return data.encode(), loss
    if kind == "application/x-www-form-urlencoded":
        return urlencode(_fields(data)).encode(), loss
    return orjson.dumps(_unfiltered(data)), loss


def _fields(data: Any) -> List[Tuple[str, str]]:
    """The fields of a form; one that was sent more than once is a list."""
    found: List[Tuple[str, str]] = []
    for name, value in table(data).items():
        found += [(name, _shown(text(each, 1 << 20))) for each in (value if isinstance(value, list) else [value])]
    return found


def _unfiltered(value: Any, depth: int = 0) -> Any:
    """The value with our own mark in place of Sentry's."""
    if depth > _MAX_DEPTH:
        return None
    if isinstance(value, dict):
        return {name: _unfiltered(each, depth + 1) for name, each in value.items()}
    if isinstance(value, list):
        return [_unfiltered(each, depth + 1) for each in value]
    return _shown(value) if isinstance(value, str) else value


def _is_cut(meta: Any, depth: int = 0) -> bool:
    """Whether the SDK's notes say that something was left out, other than what its filters hide."""
    if not isinstance(meta, dict) or depth > _MAX_DEPTH:
        return False
    note = table(meta.get(""))
    remarks = items(note.get("rem"))
    if "len" in note or any(isinstance(each, list) and each[:1] and each[0] in _CUTS for each in remarks):
        return True
    return any(_is_cut(each, depth + 1) for name, each in meta.items() if name)
