"""Counts requests and their durations per route, and picks the healthy ones that are kept for comparison.

A request pays for appending its duration to a list, which no other thread can interrupt; histograms are made of the
lists when the counters are collected.
"""

from __future__ import annotations

import threading
import time
from typing import Any

MAX_ROUTES = 300
"""Routes that are told apart; in an app without a router every path is one."""
OTHER = "(other)"
CONSIDERED = 50
"""Healthy requests of a route that are looked at for samples; afterwards a request costs its counters only."""
MAX_WAITING = 4096
"""Durations of a route that wait at most, should nobody collect them."""
METRIC = "http.server.request.duration"
"""The name of OpenTelemetry's semantic conventions for what is counted here."""
BOUNDARIES = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Upper bounds in seconds, inclusive, of all buckets but the last.

OpenTelemetry's semantic conventions advise them for this metric.
"""
_SAMPLED_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class _Route:
    __slots__ = (
        "buckets",
        "considered",
        "errors",
        "failed",
        "healthy",
        "requests",
        "samples",
        "seconds",
        "seen",
        "wanting",
    )

    def __init__(self, wanting: bool) -> None:
        self.healthy: list[float] = []  # durations that are not in the counters yet
        self.failed: list[float] = []
        self.wanting = wanting  # samples are still looked for
        self.samples = 0
        self.considered = 0
        self.seen: set[int] = set()
        self.clear()

    def clear(self) -> None:
        """Count anew."""
        self.requests = self.errors = 0
        self.seconds = 0.0
        self.buckets = [0] * (len(BOUNDARIES) + 1)


class Traffic:
    """The counters of one process.

    Args:
        service: name of the service, as it appears in the records.
        healthy_samples: requests kept per method and route.
    """

    def __init__(self, service: str, healthy_samples: int) -> None:
        self._service = service
        self._wanted = healthy_samples
        self.routes: dict[tuple[str, str], _Route] = {}
        self._told: dict[str, list[int]] = {}
        self._lock = threading.RLock()  # see Storms

    def count(self, method: str, route: str, seconds: float, error: bool) -> bool:
        """Count an answered request.

        Returns:
            Whether it may become a sample, which `pick` then decides.
        """
        counters = self.routes.get((method, route))
        if counters is None:
            counters = self._add(method, route)
        waiting = counters.failed if error else counters.healthy
        waiting.append(seconds)
        if len(waiting) >= MAX_WAITING:
            self.fold(counters)
        return counters.wanting and not error

    def fold(self, counters: _Route) -> None:
        """Make room in the lists of durations."""
        with self._lock:
            _fold(counters)

    def pick(self, method: str, route: str, content: tuple[object, ...]) -> bool:
        """Whether a healthy request is kept: there is room, and none with the same content was kept before."""
        with self._lock:
            counters = self.routes.get((method, route))
            if counters is None or not counters.wanting:
                return False
            counters.considered += 1
            mark = hash(content)
            fresh = mark not in counters.seen
            if fresh:
                counters.seen.add(mark)
                counters.samples += 1
            counters.wanting = counters.samples < self._wanted and counters.considered < CONSIDERED
            return fresh

    def collect(self) -> list[dict[str, Any]]:
        """The `traffic` records of what was counted since the last call: data points, named as OpenTelemetry does.

        `sum` is that of the durations in seconds, `bucket_counts` how many lie between the `BOUNDARIES`, and `errors`
        how many of them have an `http.response.status_code` of 500 or above.
        """
        records: dict[str, dict[str, Any]] = {}
        at = time.time()
        with self._lock:
            for (_, route), counters in list(self.routes.items()):
                _fold(counters)
                if not counters.requests:
                    continue
                record = records.setdefault(route, self._record(route, at))
                record["count"] += counters.requests
                record["sum"] += counters.seconds
                record["bucket_counts"] = [sum(pair) for pair in zip(record["bucket_counts"], counters.buckets)]
                record["errors"] += counters.errors
                self._told[route] = _sum(self._told.get(route), counters)
                counters.clear()
        return list(records.values())

    def totals(self) -> dict[str, list[int]]:
        """What this process has answered since it began, whether it was collected or not.

        Returns:
            For each route: requests, errors, and how many lie in each bucket.
        """
        with self._lock:
            totals = dict(self._told)
            for (_, route), counters in list(self.routes.items()):
                _fold(counters)
                totals[route] = _sum(totals.get(route), counters)
            return totals

    def after_fork(self) -> None:
        """Start counting anew in a child: the parent reports what it counted."""
        self._lock = threading.RLock()
        self._told.clear()
        for counters in self.routes.values():
            counters.healthy.clear()
            counters.failed.clear()
            counters.clear()

    def _add(self, method: str, route: str) -> _Route:
        with self._lock:
            key = (method, route) if len(self.routes) < MAX_ROUTES else ("", OTHER)
            wanting = self._wanted > 0 and key[0] in _SAMPLED_METHODS
            return self.routes.setdefault(key, _Route(wanting))

    def _record(self, route: str, at: float) -> dict[str, Any]:
        return {
            "record": "traffic",
            "name": METRIC,
            "unit": "s",
            "at": at,
            "attributes": {"service.name": self._service, "http.route": route},
            "count": 0,
            "sum": 0.0,
            "bucket_counts": [0] * (len(BOUNDARIES) + 1),
            "errors": 0,
        }


def _sum(so_far: list[int] | None, counters: _Route) -> list[int]:
    """A new list, so that nobody who reads the old one sees it change."""
    more = [counters.requests, counters.errors, *counters.buckets]
    return more if so_far is None else [a + b for a, b in zip(so_far, more)]


def _fold(counters: _Route) -> None:
    """Move the waiting durations into the counters. Requests go on appending meanwhile, to the end of the lists."""
    from bisect import bisect_right

    for waiting in (counters.healthy, counters.failed):
        taken = waiting[:]
        if not taken:
            continue
        del waiting[: len(taken)]
        counters.requests += len(taken)
        counters.seconds += sum(taken)
        if waiting is counters.failed:
            counters.errors += len(taken)
        taken.sort()  # a search per boundary then takes the place of one per request
        below = 0
        for index, boundary in enumerate(BOUNDARIES):
            up_to = bisect_right(taken, boundary, below)
            counters.buckets[index] += up_to - below
            below = up_to
        counters.buckets[-1] += len(taken) - below
