"""Loki as a store to ask.

Source: the HTTP API of Grafana Loki, `GET /loki/api/v1/query_range`: entries with a time from `start` to before `end`,
in nanoseconds; with `direction=forward`, the first `limit` of all streams together. The header
`X-Loki-Response-Encoding-Flags: categorize-labels` (Loki 2.9.3 and later) keeps structured metadata, which differ from
line to line, apart from the labels that tell a stream.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Tuple

from homeostasis_collect_logs.pulling.client import Client
from homeostasis_collect_logs.pulling.collector import AskFailed, Entry, Page, PullCollector

if TYPE_CHECKING:
    from homeostasis.project import Project
    from homeostasis_collect_loki.settings import CollectLokiSettings

VARIABLE_LABELS = frozenset(("detected_level", "level", "trace_id", "traceID", "span_id", "spanID"))
"""Labels that older versions of Loki add to a stream although they are those of a line."""
_MOST = 5000
_MAX_NANO = 1 << 63


def loki_collector(project: Project, settings: CollectLokiSettings) -> PullCollector:
    """The collector for the query of the settings."""
    return PullCollector(project, settings, lambda: Loki(project, settings), "loki")


class Loki:
    """A Loki server, and a query."""

    grain = 1
    most = _MOST

    def __init__(self, project: Project, settings: CollectLokiSettings) -> None:
        self.name = f"loki:{settings.query}"
        self.identity = json.dumps(["loki", settings.url, settings.tenant, settings.query])
        self._query = settings.query
        headers = {"X-Loki-Response-Encoding-Flags": "categorize-labels"}
        if settings.tenant is not None:
            headers["X-Scope-OrgID"] = settings.tenant
        self._client = Client(project, settings, "Bearer", headers)

    def page(self, start: int, end: int, limit: int) -> Page:
        """The first `limit` entries from `start` to before `end`, both in nanoseconds since the epoch.

        Raises:
            AskFailed: Loki gave no answer that can be used.
        """
        params = {"query": self._query, "start": start, "end": end, "limit": limit, "direction": "forward"}
        answer = self._client.ask("GET", "loki/api/v1/query_range", params)
        entries = sorted(_entries(answer), key=lambda entry: entry.at)
        return Page([entry for entry in entries if start <= entry.at < end], len(entries) >= limit)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def _entries(answer: Any) -> Iterator[Entry]:
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, dict) or data.get("resultType") != "streams" or not isinstance(data.get("result"), list):
        raise AskFailed("the answer holds no log lines: is the query one for lines?")
    for found in data["result"]:
        labels = found.get("stream") if isinstance(found, dict) else None
        values = found.get("values") if isinstance(found, dict) else None
        if isinstance(labels, dict) and isinstance(values, list):
            yield from _of_stream(labels, values)


def _of_stream(labels: Dict[str, Any], values: List[Any]) -> Iterator[Entry]:
    stream = _writer(labels)
    seed = "\0".join(stream).encode("utf-8", "replace")
    for value in values:
        if not isinstance(value, list) or len(value) < 2 or not isinstance(value[1], str):
            continue
        at = _nanoseconds(value[0])
        if at is not None:
            digest = hashlib.blake2b(value[1].encode("utf-8", "replace"), digest_size=8, key=_key(seed)).digest()
            yield Entry(at, stream, value[1], (at, digest))


def _key(seed: bytes) -> bytes:
    return hashlib.blake2b(seed, digest_size=16).digest()


def _writer(labels: Dict[str, Any]) -> Tuple[str, ...]:
    return tuple(f"{name}={str(labels[name])[:200]}" for name in sorted(labels) if name not in VARIABLE_LABELS)


def _nanoseconds(value: Any) -> int | None:
    if not isinstance(value, str) or not value.isascii() or not value.isdecimal() or len(value) > 19:
        return None
    return min(int(value), _MAX_NANO)
