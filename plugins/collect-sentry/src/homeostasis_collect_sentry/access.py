"""Where a call says which key of a DSN it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional
from urllib.parse import parse_qs, urlsplit

from homeostasis_collect_http.endpoint import Refused, load_json

if TYPE_CHECKING:
    from homeostasis_collect_http.endpoint import Call

_LONGEST_KEY = 200


def key_of(call: Call) -> Optional[str]:
    """The public key: of the header `X-Sentry-Auth` or `Authorization`, of the query, or of the envelope's own DSN."""
    for name in ("x-sentry-auth", "authorization"):
        key = _in_header(call.headers.get(name, ""))
        if key:
            return key
    queried = parse_qs(call.query[:4096]).get("sentry_key") if "sentry_key" in call.query else None
    return queried[0][:_LONGEST_KEY] if queried else _in_envelope(call.body)


def _in_header(header: str) -> Optional[str]:
    scheme, _, pairs = header[:4096].partition(" ")
    if scheme.lower() != "sentry":
        return None
    for pair in pairs.split(","):
        name, _, value = pair.partition("=")
        if name.strip() == "sentry_key":
            return value.strip()[:_LONGEST_KEY]
    return None


def _in_envelope(body: bytes) -> Optional[str]:
    line = body.split(b"\n", 1)[0]
    if b'"dsn"' not in line:
        return None
    try:
        dsn = load_json(line)["dsn"]
        return (urlsplit(dsn).username or "")[:_LONGEST_KEY]
    except (Refused, ValueError, TypeError, KeyError, AttributeError):
        return None
