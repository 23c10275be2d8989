"""Requests without secrets that can still be sent again: values are replaced, the structure stays."""

from __future__ import annotations

import json
import re
from typing import Any, Callable, Iterable
from urllib.parse import quote_plus, unquote_plus

from homeostasis.monitoring.redaction import REDACTED, Redactor

_PART_NAME = re.compile(r'name="?([^";\r\n]+)"?', re.IGNORECASE)
_SCHEMES = ("basic", "bearer", "digest", "negotiate", "token")
MAX_DEPTH = 60
"""Deeper JSON is treated as text: the walk must not exhaust the stack of the app."""


def redact_headers(headers: Iterable[tuple[str, str]], redactor: Redactor) -> list[tuple[str, str]]:
    """Headers whose secret values are replaced; cookies keep their names."""
    return [(name, _header(name, value, redactor)) for name, value in headers]


def _header(name: str, value: str, redactor: Redactor) -> str:
    if not redactor.is_secret(name):
        return value if value in redactor.clean else redactor.text(value)
    if name.lower() in ("cookie", "set-cookie"):
        pairs = [part.strip().partition("=")[0] for part in value.split(";")]
        return "; ".join(f"{key}={REDACTED}" for key in pairs if key)
    scheme, space, _ = value.partition(" ")
    return f"{scheme} {REDACTED}" if space and scheme.lower() in _SCHEMES else REDACTED


def redact_query(query: str, redactor: Redactor) -> str:
    """A query string or form body, pair by pair; untouched where it holds no secret."""
    return "&".join(_pair(pair, redactor) for pair in query.split("&"))


def _pair(pair: str, redactor: Redactor) -> str:
    key, equals, value = pair.partition("=")
    if not value:
        return pair
    if redactor.is_secret(unquote_plus(key)):
        return f"{key}{equals}{quote_plus(REDACTED)}"
    plain = unquote_plus(value)
    clean = redactor.text(plain)
    return pair if clean == plain else f"{key}{equals}{quote_plus(clean)}"


def redact_body(body: bytes, content_type: str, redactor: Redactor) -> bytes:
    """A request body without secrets, of the same media type; byte for byte the same where it holds none.

    Args:
        body: possibly cut off; then it is treated as text.
        content_type: value of the header, with parameters.
        redactor: decides what is a secret.
    """
    if not body:
        return body
    media = content_type.partition(";")[0].strip().lower()
    if media.endswith("json") or body[:1] in (b"{", b"["):
        redacted = _json(body, redactor)
        if redacted is not None:
            return redacted
    if media == "application/x-www-form-urlencoded":
        return redact_query(body.decode("latin-1"), redactor).encode("latin-1")
    if media == "multipart/form-data":
        return _multipart(body, redactor)
    return _as_text(body, redactor.text)


def _as_text(body: bytes, redact: Callable[[str], str]) -> bytes:
    text = body.decode("latin-1")  # maps each byte to one character and back
    clean = redact(text)
    return body if clean == text else clean.encode("latin-1")


def _json(body: bytes, redactor: Redactor) -> bytes | None:
    try:
        document = json.loads(body)
        clean = _walk(document, redactor, 0)
    except (ValueError, RecursionError):
        return None
    return body if clean is document else json.dumps(clean).encode()


def _walk(node: Any, redactor: Redactor, depth: int) -> Any:
    """The node itself if it holds no secret, else a copy without."""
    if depth > MAX_DEPTH:
        raise RecursionError
    if isinstance(node, str):
        clean = redactor.text(node)
        return node if clean == node else clean
    if isinstance(node, int) and not isinstance(node, bool) and abs(node) > 10**12:
        return node if redactor.values(str(node)) == str(node) else 0
    if isinstance(node, list):
        if len(node) == 2 and isinstance(node[0], str) and isinstance(node[1], str) and redactor.is_secret(node[0]):
            return [node[0], _blank(node[1])]
        items = [_walk(item, redactor, depth + 1) for item in node]
        return node if all(a is b for a, b in zip(items, node)) else items
    if isinstance(node, dict):
        pairs = {
            key: _blank(value) if redactor.is_secret(key) else _walk(value, redactor, depth + 1)
            for key, value in node.items()
        }
        return node if all(pairs[key] is node[key] for key in node) else pairs
    return node


def _blank(value: Any) -> Any:
    """A value of the same JSON type that tells nothing."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return REDACTED if value else value
    if isinstance(value, (int, float)):
        return 0
    if isinstance(value, list):
        return [_blank(item) for item in value]
    return {key: _blank(item) for key, item in value.items()}


def _multipart(body: bytes, redactor: Redactor) -> bytes:
    boundary = body.split(b"\r\n", 1)[0]
    parts = body.split(boundary) if boundary.startswith(b"--") else [body]
    return boundary.join(_part(part, redactor) for part in parts) if len(parts) > 1 else _as_text(body, redactor.text)


def _part(part: bytes, redactor: Redactor) -> bytes:
    head, blank, _ = part.partition(b"\r\n\r\n")
    name = _PART_NAME.search(head.decode("latin-1"))
    if blank and name and redactor.is_secret(name.group(1)):
        return head + blank + REDACTED.encode() + b"\r\n"
    if b"filename=" in head.lower():
        return part
    return _as_text(part, redactor.text)
