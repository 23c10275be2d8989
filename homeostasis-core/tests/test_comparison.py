"""The statistics of the observation, against exact arithmetic and against what is known by definition."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostasis.comparison import RouteTraffic, fisher, poisson, requests_needed, seconds_needed, worse

counts = st.integers(min_value=0, max_value=40)


def exact_fisher(errors_before, total_before, errors_after, total_after):
    errors, total = errors_before + errors_after, total_before + total_after
    ways = sum(
        math.comb(total_after, k) * math.comb(total_before, errors - k)
        for k in range(errors_after, min(errors, total_after) + 1)
        if errors - k <= total_before
    )
    return Fraction(ways, math.comb(total, errors))


def exact_poisson(before, seconds_before, after, seconds_after):
    share, total = Fraction(seconds_after, seconds_before + seconds_after), before + after
    return sum(math.comb(total, k) * share**k * (1 - share) ** (total - k) for k in range(after, total + 1))


@given(counts, counts, counts, counts)
def test_fisher_is_exact(errors_before, good_before, errors_after, good_after):
    """For all small tables."""
    before, after = errors_before + good_before, errors_after + good_after
    found = fisher(errors_before, before, errors_after, after)
    expected = exact_fisher(errors_before, before, errors_after, after) if before and after else 1
    assert found == pytest.approx(float(expected), rel=1e-9)


@given(counts, st.integers(1, 100), counts, st.integers(1, 100))
def test_poisson_is_exact(before, seconds_before, after, seconds_after):
    """For all small counts."""
    found = poisson(before, float(seconds_before), after, float(seconds_after))
    expected = exact_poisson(before, seconds_before, after, seconds_after) if before + after else 1
    assert found == pytest.approx(float(expected), rel=1e-9)


def test_tea_tasting():
    """Fisher's own example: 3 of 4 and 1 of 4."""
    assert fisher(1, 4, 3, 4) == pytest.approx(17 / 70)


def test_large_counts_do_not_overflow():
    """A million requests a minute."""
    assert fisher(100, 1_000_000, 100, 1_000_000) == pytest.approx(0.528, abs=0.01)
    assert fisher(100, 1_000_000, 200, 1_000_000) < 1e-8
    assert poisson(0, 60.0, 5000, 60.0) < 1e-300


@pytest.mark.parametrize(
    ("errors", "total", "needed"),
    [(1, 1, 1), (5, 5, 1), (1, 2, 5), (1, 10, 29), (1, 1000, 2995), (0, 0, 1), (3, 0, 1)],
)
def test_rare_crashes_need_more_requests(errors, total, needed):
    """One in a thousand must not be called healed after ten."""
    assert requests_needed(errors, total, 0.05) == needed
    rate = errors / total if total else 1.0
    assert (1 - rate) ** needed <= 0.05 or needed == 1


def test_rare_crashes_need_more_time():
    """Once an hour: three hours; a single one tells no rate."""
    assert seconds_needed(11, 36000.0, 0.05) == pytest.approx(3 * 3600, rel=0.01)
    assert seconds_needed(1, 0.0, 0.05) == 0.0


def answered(errors=0, **buckets):
    """Traffic with so many durations in each bucket: `b3=100`; all requests have one."""
    counts = tuple(buckets.get(f"b{number}", 0) for number in range(15))
    return RouteTraffic(sum(counts), errors, 0.0, counts)


@pytest.mark.parametrize(
    ("usual", "now", "found"),
    [
        (answered(b1=1000), answered(b1=1000), None),
        (answered(b1=1000, errors=2), answered(b1=100, errors=20), "20 of 100 requests failed, before 2 of 1000"),
        (answered(b1=1000, errors=100), answered(b1=100, errors=12), None),  # no more than by accident
        (answered(b1=10), answered(b1=2, errors=2), None),  # too few
        (answered(b1=1000), answered(b6=1000), "95 % of the requests are answered within 0.242 s, before 0.00975 s"),
        (answered(b1=1000), answered(b6=99), None),  # too few to speak of a percentile
        (answered(b1=1000), answered(b3=1000), None),  # slower by less than anybody would notice
        (answered(b1=96, b7=4), answered(b1=94, b7=6), None),  # the percentile moves far, by two requests
        (answered(b1=960, b7=40), answered(b1=700, b7=300), "95 % of the requests are answered within 0.458 s"),
    ],
)
def test_worse_than_usual(usual, now, found):
    """More errors or a slower 95th percentile, both beyond accident."""
    said = worse(usual, now, 0.001, 2.0, "before")
    assert (said is None) if found is None else str(said).startswith(found)


def test_slowness_counts_as_long_as_a_limit_is_set():
    """`max_slowdown = 0` allows any."""
    assert worse(answered(b1=1000), answered(b9=1000), 0.001, 0.0, "before") is None
