"""Requests are counted once, from metrics or from spans, in the buckets that releases are judged by."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from homeostasis.monitoring.traffic import BOUNDARIES
from homeostasis_collect_otlp.intake import Intake
from homeostasis_collect_otlp.messages import METRICS, TRACES
from homeostasis_collect_otlp.settings import CollectOtlpSettings

from .messages import HTTP, histogram, server, spans

NOW = time.time_ns() + 3_600_000_000_000
"""Later than the receiver began."""
SECOND = 1_000_000_000
DELTA = {"temporality": 1}


def point(count, *, start=NOW, at=NOW + SECOND, bucket=3, status=200, route="/", **fields):
    """A data point whose requests all lie in one bucket."""
    buckets = [0] * (len(BOUNDARIES) + 1)
    buckets[bucket] = count
    return {
        "start_time_unix_nano": start,
        "time_unix_nano": at,
        "count": count,
        "sum": count * 0.04,
        "bucket_counts": buckets,
        "explicit_bounds": BOUNDARIES,
        "attributes": {"http.route": route, "http.response.status_code": status},
        **fields,
    }


@pytest.fixture
def count(place):
    """Takes a message and gives its traffic: requests, errors, seconds and buckets by route."""
    made = {}

    def take(message, source="metrics"):
        intake = made.setdefault(source, Intake(place, CollectOtlpSettings(traffic=source)))
        signal = METRICS if isinstance(message, METRICS.request) else TRACES
        take.taken = intake.take(signal, lambda: message).taken
        found = {}
        for each in take.taken.traffic:
            assert (each.service, each.at <= time.time()) == ("shop", True)
            so_far = found.get(each.route, (0, 0, 0.0, [0] * len(each.buckets)))
            both = [a + b for a, b in zip(so_far[3], each.buckets)]
            found[each.route] = (so_far[0] + each.requests, so_far[1] + each.errors, so_far[2] + each.seconds, both)
        return {
            route: (*values[:2], round(values[2], 6), +Counter(dict(enumerate(values[3]))))
            for route, values in found.items()
        }

    return take


def test_increments(count):
    """Delta temporality: each point counts, and a 5xx is an error."""
    found = count(histogram(point(7), point(2, status=503, bucket=14), point(1, route="/other"), **DELTA))
    assert found["/"] == (9, 2, 0.36, Counter({3: 7, 14: 2}))
    assert found["/other"][:2] == (1, 0)


def test_a_request_that_was_not_answered_has_failed(count):
    """Where an app raises instead, there is no status; a span says that it failed."""
    without = {key: value for key, value in HTTP.items() if key != "http.response.status_code"}
    assert count(histogram(point(2, attributes={"http.route": "/"}), **DELTA))["/"][:2] == (2, 2)
    message = spans(server(attributes=without, status={"code": 2}), server(span_id=b"x" * 8, attributes=without))
    assert count(message, "spans")["/orders/<int:number>"][:2] == (2, 1)


def test_totals(count):
    """Cumulative temporality: what a point has more than the one before."""
    assert count(histogram(point(5)))["/"][0] == 5
    assert count(histogram(point(8, at=NOW + 2 * SECOND)))["/"] == (3, 0, 0.12, Counter({3: 3}))
    assert count(histogram(point(8, at=NOW + 3 * SECOND))) == {}


def test_totals_of_a_process_that_began_before_the_receiver(count):
    """When its requests were answered, nobody knows: the first point counts nothing."""
    start = NOW - 7200 * SECOND
    assert count(histogram(point(5000, start=start))) == {}
    assert count(histogram(point(5003, start=start, at=NOW + 2 * SECOND)))["/"][0] == 3


def test_a_process_that_began_anew(count):
    """Its totals are all new; so are totals that shrink."""
    count(histogram(point(50)))
    assert count(histogram(point(4, start=NOW + SECOND, at=NOW + 2 * SECOND)))["/"][0] == 4
    assert count(histogram(point(3, start=NOW + SECOND, at=NOW + 3 * SECOND)))["/"][0] == 3


def test_processes_that_the_resource_does_not_tell_apart(count):
    """Workers whose resources are the same have begun at different moments: each has its own totals."""
    for report in range(1, 4):
        for start in (NOW, NOW + 5):
            found = count(histogram(point(10 * report, start=start, at=NOW + report * SECOND + start % 7)))
            assert found["/"][0] == 10


def test_a_stream_that_begins_late(count):
    """The first error of a process is new since its last report, also if the process is older than the receiver."""
    start = NOW - 7200 * SECOND
    assert count(histogram(point(5000, start=start), point(7, start=start, status=404))) == {}
    late = {"start": start, "at": NOW + 2 * SECOND}
    assert count(histogram(point(5000, **late), point(2, status=500, **late)))["/"][:2] == (2, 2)


@pytest.mark.parametrize("temporality", [1, 2])
def test_the_second_process_of_a_service_whose_spans_were_counted(temporality, count):
    """What its first report tells of the time before the service's first metric, its spans told."""
    resources = [{"service.name": "shop", "process.pid": pid} for pid in (1, 2)]
    count(spans(server(), resource=resources[0]), "auto")
    began = time.time_ns()

    def report(number, requests, start, at):
        told = point(requests, start=began + start, at=began + at)
        return count(histogram(told, resource=resources[number], temporality=temporality), "auto")

    assert report(0, 4, 0, 1) == report(1, 4, 0, 2) == {}
    later = 0 if temporality == 2 else 1
    assert report(0, 6, later, 11)["/"][0] == (2 if temporality == 2 else 6)
    assert report(1, 7, later + 1 if later else 0, 12)["/"][0] == (3 if temporality == 2 else 7)


def test_points_that_were_overtaken_or_sent_again(count):
    """They count nothing, and are counted."""
    count(histogram(point(5)))
    assert count(histogram(point(4))) == {}
    assert list(count.taken.lost.values()) == [1]


def test_the_old_metric_is_in_milliseconds(count):
    """`http.server.duration` has the route of Flask and Starlette in `http.target`."""
    old = {
        "start_time_unix_nano": NOW,
        "time_unix_nano": NOW + 1,
        "count": 3,
        "sum": 90.0,
        "bucket_counts": [0, 1, 0, 2],
        "explicit_bounds": [5.0, 10.0, 25.0],
        "attributes": {"http.target": "/orders/{id}", "http.status_code": 200},
    }
    message = histogram(old, name="http.server.duration", unit="ms", **DELTA)
    assert count(message) == {"/orders/{id}": (3, 0, 0.09, Counter({1: 1, 3: 2}))}
    assert count(histogram(point(7), **DELTA)) == {}  # a service that sends both forms is counted by the first


def test_exponential_buckets(count):
    """A bucket counts where its upper bound lies."""
    fields = {
        "start_time_unix_nano": NOW,
        "time_unix_nano": NOW + 1,
        "count": 6,
        "sum": 1.5,
        "scale": 0,
        "zero_count": 1,
    }
    message = histogram({**fields, "positive": (-3, [2, 0, 3])}, kind="exponential_histogram", **DELTA)
    (found,) = count(message).values()
    assert found[3] == Counter({0: 1, 6: 2, 9: 3})  # up to 2 ** -2 = 0.25 s, and up to 1 s


@pytest.mark.parametrize(
    "wrong",
    [
        {"bucket_counts": [1, 2]},
        {"explicit_bounds": [1.0] * len(BOUNDARIES)},
        {"explicit_bounds": [float("nan")] * len(BOUNDARIES)},
        {"count": 8},
        {"count": 1 << 63, "bucket_counts": []},
        {"sum": float("inf")},
        {"sum": float("nan")},
    ],
)
def test_numbers_that_contradict_each_other(wrong, count):
    """Such a point is dropped and counted; its neighbour is not."""
    found = count(histogram({**point(7), **wrong}, point(1, route="/other"), **DELTA))
    assert list(found) == ["/other"]
    assert list(count.taken.lost.values()) == [1]


def test_more_points_than_are_read(count, monkeypatch):
    """They are counted as lost."""
    monkeypatch.setattr("homeostasis_collect_otlp.traffic.MAX_POINTS", 2)
    found = count(histogram(*(point(1, route=f"/{number}") for number in range(5)), **DELTA))
    assert list(found) == ["/0", "/1"]
    assert list(count.taken.lost.values()) == [3]


def test_what_lasted_is_spread(count):
    """A minute that is told at its end is not all after a release in its middle."""
    end = time.time_ns()
    count(histogram(point(120, start=end - 60 * SECOND, at=end), **DELTA))
    moments = [round(end / 1e9 - each.at) for each in count.taken.traffic]
    assert moments == list(range(55, -1, -5))
    assert [each.requests for each in count.taken.traffic] == [10] * 12


def test_spans_where_no_metrics_come(count):
    """A span of a server is a request; once metrics come, it is not counted any more."""
    found = count(
        spans(server(), server(span_id=b"x" * 8, attributes={**HTTP, "http.response.status_code": 200})), "auto"
    )
    assert found["/orders/<int:number>"] == (2, 1, 0.04, Counter({2: 2}))
    assert count(histogram(point(2), **DELTA), "auto") == {}  # those that the spans told of
    assert count(histogram(point(3, at=NOW + 2 * SECOND), **DELTA), "auto")["/"][0] == 3
    assert count(spans(server()), "auto") == {}
    assert count(spans(server()), "spans") != {}
    assert count(spans(server()), "none") == {}
    assert count(histogram(point(2), **DELTA), "none") == {}
