"""How many requests of each route were answered, and how: from metrics, or from the spans of servers."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from homeostasis.collecting.durations import buckets_of
from homeostasis.monitoring.traffic import METRIC
from homeostasis_collect_http.calls import Traffic
from homeostasis_collect_otlp.attributes import read, text
from homeostasis_collect_otlp.histograms import (
    NOTHING,
    SECONDS,
    Histogram,
    Unusable,
    explicit,
    exponential,
    spread,
)
from homeostasis_collect_otlp.requests import status_of

if TYPE_CHECKING:
    from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

    from homeostasis_collect_otlp.origin import Origin
    from homeostasis_collect_otlp.requests import Served

OLD_METRIC = "http.server.duration"
"""The name, and milliseconds the unit, before the semantic conventions of HTTP were stable."""
UNUSABLE = "data point of a metric that contradicts itself"
OVERTAKEN = "data point of a metric that is not newer than the last one"
MAX_STREAMS = 20_000
"""Cumulative streams whose last state is remembered."""
MAX_POINTS = 5_000
"""Data points of one metric that are read."""
BEYOND = f"data point beyond the first {MAX_POINTS} of a metric"
METRICS_LAST = 600.0
"""Seconds after its last metric in which the spans of a service are not counted."""
MAX_SERVICES = 200
"""Services that are told apart."""
_PART, _MAX_PARTS = 5.0, 12
"""What a metric tells of a longer time is spread over parts of so many seconds, at most so many."""
_WANTED = frozenset(
    (
        "http.route",
        "http.target",
        "http.response.status_code",
        "http.status_code",
        "error.type",
        "http.request.method",
        "http.method",
        "http.scheme",
        "url.scheme",
        "http.flavor",
        "http.host",
        "http.server_name",
        "net.host.name",
        "net.host.port",
        "server.address",
        "server.port",
        "network.protocol.name",
        "network.protocol.version",
        "user_agent.synthetic.type",
    )
)
_DELTA, _CUMULATIVE = 1, 2
_NEVER = 1 << 64
"""Later than any moment of OTLP."""


class _State(NamedTuple):
    at: int
    total: Histogram


class _Metered(NamedTuple):
    name: str
    heard: float
    since: int


class Meter:
    """Makes traffic of metrics and of spans, never of both for one service.

    Args:
        source: `metrics`, `spans`, `none`, or `auto` for metrics where a service sends them, and spans elsewhere.
        default: the service of a sender that has no name.
        override: the service of all senders.
    """

    def __init__(self, source: str, default: str, override: Optional[str]) -> None:
        self._source = source
        self._default = default
        self._override = override
        self._streams: OrderedDict[int, _State] = OrderedDict()
        self._reports: OrderedDict[int, Tuple[Optional[int], int]] = OrderedDict()
        self._metered: Dict[str, _Metered] = {}
        self._begun = time.time_ns()

    def of_span(self, served: Served, origin: Origin) -> Optional[Traffic]:
        """The request that a span is about; None if it is not to be counted."""
        service = self.service(origin)
        route = served.route
        if route is None or not self._counts_spans(service):
            return None
        seconds = max(served.end - served.start, 0) / 1e9
        return Traffic(service, route, 1, int(served.failed), _moment(served.end), seconds, buckets_of(seconds))

    def of_metric(self, metric: Metric, origin: Origin, lost: Dict[str, int]) -> Iterator[Traffic]:
        """What a metric tells of requests that were answered; nothing if it is about something else."""
        if metric.name not in (METRIC, OLD_METRIC) or self._source not in ("auto", "metrics"):
            return
        kind = metric.WhichOneof("data")
        if kind not in ("histogram", "exponential_histogram"):
            return
        service = self.service(origin)
        data = getattr(metric, kind)
        since = self._counted_since(service, metric.name, max((p.time_unix_nano for p in data.data_points), default=0))
        if since is None:
            return
        if len(data.data_points) > MAX_POINTS:
            lost[BEYOND] = lost.get(BEYOND, 0) + len(data.data_points) - MAX_POINTS
        unit = SECONDS.get(metric.unit, 1.0 if metric.name == METRIC else 1_000.0)
        for _, point in zip(range(MAX_POINTS), data.data_points):
            try:
                total = explicit(point, unit) if kind == "histogram" else exponential(point, unit)
            except (Unusable, OverflowError):
                lost[UNUSABLE] = lost.get(UNUSABLE, 0) + 1
                continue
            found = read(point.attributes, _WANTED)
            if data.aggregation_temporality == _DELTA:
                added, start = total, point.start_time_unix_nano
                told_before = 0 < start < since or since == _NEVER
            elif data.aggregation_temporality == _CUMULATIVE:
                process = origin.instance, service, metric.name, point.start_time_unix_nano
                stream = hash((*process, *sorted((k, str(v)) for k, v in found.items())))
                added, start = self._added(stream, hash(process), point, total, lost)
                told_before = start < since
            else:
                continue
            route = text(found, "http.route", "http.target")
            if added.requests and route is not None and not told_before:
                status = status_of(found)
                failed = status is None or status >= 500  # there is none where the app raised instead of answering
                yield from _traffic(service, route, added, failed, start, point.time_unix_nano)

    def service(self, origin: Origin) -> str:
        """The service that requests and events of a process are of."""
        return self._override or origin.service or self._default

    def _counts_spans(self, service: str) -> bool:
        if self._source != "auto":
            return self._source == "spans"
        return self._metric_of(service) is None

    def _metric_of(self, service: str) -> Optional[str]:
        """The metric that a service has sent lately."""
        metered = self._metered.get(service)
        return metered.name if metered is not None and time.monotonic() - metered.heard <= METRICS_LAST else None

    def _counted_since(self, service: str, name: str, at: int) -> Optional[int]:
        """From which moment on requests are counted by this metric; None if they are not.

        Of a service that sends it in the old and in the new form, the first one counts. Until its first metric the
        spans of a service were counted, of all its processes: what a metric tells of that time was told before.
        """
        known = self._metric_of(service)
        if known not in (None, name):
            return None
        if len(self._metered) >= MAX_SERVICES and service not in self._metered:
            self._metered.clear()
        if known is not None:
            since = result = self._metered[service].since
        elif self._source == "auto":
            since, result = min(at, time.time_ns()), _NEVER
        else:
            since = result = 0
        self._metered[service] = _Metered(name, time.monotonic(), since)
        return result

    def _added(
        self, stream: int, process: int, point: Any, total: Histogram, lost: Dict[str, int]
    ) -> Tuple[Histogram, int]:
        """What a cumulative stream has more than when it was last told, and since when.

        Of a stream that is told for the first time, that is all, if its process has begun after this receiver or told
        of other streams before; else nobody knows when it happened.
        """
        last = self._streams.get(stream)
        start, at = point.start_time_unix_nano, point.time_unix_nano
        if last is not None and at <= last.at:
            lost[OVERTAKEN] = lost.get(OVERTAKEN, 0) + 1
            return NOTHING, start
        self._streams[stream] = _State(at, total)
        _trim(self._streams, stream)
        before = self._report_before(process, at) if start else None
        if last is None:
            if before is not None:
                return total, max(start, before)
            return (total if start >= self._begun else NOTHING), start
        if total.requests < last.total.requests:  # the process has begun anew
            return total, max(start, last.at)
        return total.since(last.total), last.at

    def _report_before(self, process: int, at: int) -> Optional[int]:
        """The moment of the report of a process before the one at this moment; None for its first one."""
        before, latest = self._reports.get(process, (None, at))
        if at > latest:
            before, latest = latest, at
        self._reports[process] = before, latest
        _trim(self._reports, process)
        return before


def _trim(remembered: OrderedDict[int, Any], used: int) -> None:
    remembered.move_to_end(used)
    if len(remembered) > MAX_STREAMS:
        remembered.popitem(last=False)


def _traffic(service: str, route: str, added: Histogram, failed: bool, start: int, at: int) -> Iterator[Traffic]:
    """What was told of a stretch of time, spread over it: a release may lie in the middle."""
    end = _moment(at)
    length = max(end - start / 1e9, 0.0) if start else 0.0
    parts = min(max(int(length / _PART), 1), _MAX_PARTS)
    buckets: List[List[int]] = [spread(count, parts) for count in added.buckets]
    known = any(added.buckets)
    counts = spread(added.requests, parts)
    for part in range(parts):
        part_buckets = [bucket[part] for bucket in buckets]
        requests = sum(part_buckets) if known else counts[part]
        if requests:
            yield Traffic(
                service,
                route,
                requests,
                requests if failed else 0,
                end - length * (parts - 1 - part) / parts,
                added.seconds * requests / added.requests,
                part_buckets if known else (),
            )


def _moment(nanoseconds: int) -> float:
    """Seconds since the epoch, never later than now."""
    now = time.time()
    return min(nanoseconds / 1e9, now) if nanoseconds else now
