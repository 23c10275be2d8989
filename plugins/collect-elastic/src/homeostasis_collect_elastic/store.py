"""Elasticsearch and OpenSearch as a store to ask.

Source: their search API, `POST /<index>/_search`, as Elasticsearch 7 to 9 and OpenSearch have it in common. Documents
are asked for by stretches of time, in whole milliseconds since a field of type `date` knows no shorter ones; so a page
needs neither a point in time nor a tie breaker, which the two name differently.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Tuple
from urllib.parse import quote

from homeostasis_collect_logs.asked import value_at
from homeostasis_collect_logs.pulling.client import Client
from homeostasis_collect_logs.pulling.collector import AskFailed, Entry, Page, PullCollector

if TYPE_CHECKING:
    from homeostasis.project import Project
    from homeostasis_collect_elastic.settings import CollectElasticSettings

WRITER = (
    "container.id", "kubernetes.pod.uid", "kubernetes.pod.name", "kubernetes.container.name", "log.file.path", "stream",
    "host.id", "host.name", "service.name", "service.node.name", "process.pid", "process.thread.id", "agent.id",
)  # fmt: skip
"""Fields of ECS that tell who wrote a line."""
PLACES = ("event.sequence", "log.offset")
_MOST = 10_000
_MILLI = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_NANOS = "strict_date_optional_time_nanos"


def elastic_collector(project: Project, settings: CollectElasticSettings) -> PullCollector:
    """The collector for the query of the settings."""
    return PullCollector(project, settings, lambda: Elastic(project, settings), "elastic")


class Elastic:
    """A cluster, and a query."""

    grain = _MILLI
    most = _MOST

    def __init__(self, project: Project, settings: CollectElasticSettings) -> None:
        self.name = f"elastic:{settings.index}"
        self.identity = json.dumps(["elastic", settings.url, settings.index, settings.query, settings.time_field])
        self._field = settings.time_field
        self._query = settings.query
        self._path = f"{quote(settings.index, safe='*,-_.:')}/_search"
        self._client = Client(project, settings, settings.token_type)

    def page(self, start: int, end: int, limit: int) -> Page:
        """The first `limit` documents from `start` to before `end`, both in nanoseconds since the epoch.

        Raises:
            AskFailed: the cluster gave no answer that can be used, or only a part of one.
        """
        found = self._client.ask("POST", self._path, {"ignore_unavailable": "true"}, self._body(start, end, limit))
        hits = _hits(found)
        entries = sorted(filter(None, map(self._entry, hits)), key=lambda entry: (entry.at, _place(entry.content)))
        return Page(entries, len(hits) >= limit)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _body(self, start: int, end: int, limit: int) -> Dict[str, Any]:
        stretch = {"gte": start // _MILLI, "lt": end // _MILLI, "format": "epoch_millis"}
        return {
            "size": limit,
            "query": {
                "bool": {
                    "filter": [{"range": {self._field: stretch}}, {"query_string": {"query": self._query}}],
                }
            },
            "sort": [{self._field: {"order": "asc"}}, {"_doc": {"order": "asc"}}],
            "docvalue_fields": [{"field": self._field, "format": _NANOS}],
            "track_total_hits": False,
        }

    def _entry(self, hit: Any) -> Optional[Entry]:
        source = hit.get("_source") if isinstance(hit, dict) else None
        if not isinstance(source, dict):
            return None
        at = _nanoseconds(_first(hit.get("fields"), self._field))
        if at is None:
            return None
        return Entry(at, _writer(source), source, (str(hit.get("_index"))[:300], str(hit.get("_id"))[:600]))


def _hits(answer: Any) -> List[Any]:
    """The hits of a whole answer."""
    if not isinstance(answer, dict):
        raise AskFailed("the answer is no search result")
    shards, hits = answer.get("_shards"), answer.get("hits")
    if answer.get("timed_out") or (isinstance(shards, dict) and shards.get("failed")):
        raise AskFailed("some shards gave no answer")
    found = hits.get("hits") if isinstance(hits, dict) else None
    if not isinstance(found, list):
        raise AskFailed("the answer is no search result")
    return found


def _first(fields: Any, name: str) -> Any:
    values = fields.get(name) if isinstance(fields, dict) else None
    return values[0] if isinstance(values, list) and values else None


def _writer(record: Mapping[str, Any]) -> Tuple[str, ...]:
    found = ((name, value_at(record, name)) for name in WRITER)
    return tuple(f"{name}={str(value)[:200]}" for name, value in found if isinstance(value, (str, int)))


def _place(record: Any) -> int:
    """Where a line stood, for lines of one millisecond: as Filebeat and others tell it."""
    found = (value_at(record, name) for name in PLACES)
    return next((value for value in found if isinstance(value, int)), 0)


def _nanoseconds(value: Any) -> Optional[int]:
    """Nanoseconds since the epoch of `2026-01-02T03:04:05.123456789Z`; None if it is something else."""
    if not isinstance(value, str) or not value.endswith("Z") or len(value) > 40:
        return None
    seconds, _, fraction = value[:-1].partition(".")
    try:
        moment = datetime.strptime(seconds, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
    except ValueError:
        return None
    if fraction and not (fraction.isascii() and fraction.isdecimal()):
        return None
    return (moment - _EPOCH) // timedelta(seconds=1) * 1_000_000_000 + int(fraction[:9].ljust(9, "0"))
