"""Histograms of durations, with the buckets that traffic is counted in."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, List, NamedTuple, Sequence, Tuple

from homeostasis.monitoring.traffic import BOUNDARIES

if TYPE_CHECKING:
    from opentelemetry.proto.metrics.v1.metrics_pb2 import ExponentialHistogramDataPoint, HistogramDataPoint

MAX_BUCKETS = 2_000
"""Buckets of one histogram that are read."""
MAX_COUNT = 1 << 40
SECONDS = {"s": 1.0, "ms": 1_000.0, "us": 1_000_000.0, "ns": 1_000_000_000.0, "": 1.0}
"""How many of a unit are a second."""


class Histogram(NamedTuple):
    """How many requests lasted how long; `seconds` is the sum of their durations."""

    requests: int
    seconds: float
    buckets: Tuple[int, ...]

    def since(self, earlier: Histogram) -> Histogram:
        """What was added after an earlier state. All are at least zero, also if the sender cannot count."""
        return Histogram(
            max(self.requests - earlier.requests, 0),
            max(self.seconds - earlier.seconds, 0.0),
            tuple(max(now - then, 0) for now, then in zip(self.buckets, earlier.buckets)),
        )


NOTHING = Histogram(0, 0.0, (0,) * (len(BOUNDARIES) + 1))


class Unusable(Exception):
    """Not a histogram that can be counted."""


def explicit(point: HistogramDataPoint, unit: float) -> Histogram:
    """The histogram of a data point with bounds.

    A bucket is counted where its upper bound lies, so that no request seems faster than it was.

    Args:
        point: the data point.
        unit: how many units of its bounds are a second.

    Raises:
        Unusable: its numbers contradict each other.
    """
    bounds, counts = point.explicit_bounds, point.bucket_counts
    if not counts:
        return _checked(point.count, point.sum / unit, ())
    if len(counts) != len(bounds) + 1 or len(counts) > MAX_BUCKETS:
        raise Unusable
    edges = [bound / unit for bound in bounds]
    if not all(math.isfinite(edge) for edge in edges) or any(low >= high for low, high in zip(edges, edges[1:])):
        raise Unusable
    places = [bisect_left(BOUNDARIES, edge) for edge in edges]
    places.append(bisect_right(BOUNDARIES, edges[-1]) if edges else len(BOUNDARIES))
    return _checked(point.count, point.sum / unit, _together(counts, places))


def exponential(point: ExponentialHistogramDataPoint, unit: float) -> Histogram:
    """The same of a data point with exponential buckets. A duration below zero is none."""
    counts, offset = point.positive.bucket_counts, point.positive.offset
    if len(counts) > MAX_BUCKETS or not -20 <= point.scale <= 20 or point.negative.bucket_counts:
        raise Unusable
    step = math.ldexp(1.0, -point.scale)
    places = [_place((offset + index + 1) * step, unit) for index in range(len(counts))]
    return _checked(point.count, point.sum / unit, _together([point.zero_count, *counts], [0, *places]))


def spread(count: int, parts: int) -> List[int]:
    """A count in equal parts, as far as whole numbers are equal; a count of one is in the middle."""
    sums = [(2 * count * part + parts) // (2 * parts) for part in range(parts + 1)]
    return [later - earlier for earlier, later in zip(sums, sums[1:])]


def _place(power: float, unit: float) -> int:
    """The bucket of the upper bound 2 ** power."""
    return bisect_left(BOUNDARIES, math.pow(2.0, power) / unit) if abs(power) < 1_000 else len(BOUNDARIES) * (power > 0)


def _together(counts: Sequence[int], places: Sequence[int]) -> Tuple[int, ...]:
    buckets = [0] * (len(BOUNDARIES) + 1)
    for count, place in zip(counts, places):
        buckets[place] += count
    return tuple(buckets)


def _checked(count: int, seconds: float, buckets: Tuple[int, ...]) -> Histogram:
    if count > MAX_COUNT or (buckets and sum(buckets) != count) or not math.isfinite(seconds):
        raise Unusable
    return Histogram(count, max(seconds, 0.0), buckets or (0,) * (len(BOUNDARIES) + 1))
