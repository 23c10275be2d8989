"""The statistics that a release is judged by: exact tests, since the counts are small. Logarithms are natural."""

from __future__ import annotations

import math
from typing import NamedTuple

from homeostasis.monitoring.traffic import BOUNDARIES

FEWEST_ERRORS = 3
FEWEST_DURATIONS = 100
"""Durations that both sides need for their 95th percentiles to be compared."""
SLOW_ENOUGH = 0.05
"""Seconds that a route must have become slower for anybody to care."""

# scipy has these tests, and is larger than everything else that the orchestrator needs taken together.


class RouteTraffic(NamedTuple):
    """What was heard of one route in a stretch of time, or of one worker."""

    requests: int
    errors: int
    """Answers with a 5xx."""
    seconds: float
    """Sum of the durations of those requests that `buckets` counts."""
    buckets: tuple[int, ...]
    """How many lasted up to each of `homeostasis.monitoring.traffic.BOUNDARIES`, and, last, longer."""

    def quantile(self, share: float) -> float | None:
        """Seconds within which this share (0 to 1) of the requests was answered; None if no duration is known.

        Within a bucket the durations are taken to be spread evenly, and those above the last bound to equal it, as in
        the `histogram_quantile` of Prometheus.
        """
        rank, below = share * sum(self.buckets), 0
        for lower, upper, count in zip((0.0, *BOUNDARIES), BOUNDARIES, self.buckets):
            if count and below + count >= rank:
                return lower + (upper - lower) * (rank - below) / count
            below += count
        return BOUNDARIES[-1] if any(self.buckets) else None


def worse(usual: RouteTraffic, now: RouteTraffic, chance: float, max_slowdown: float, usually: str) -> str | None:
    """In which way a route does worse than usual.

    Args:
        usual: what it is compared with.
        now: what may be worse.
        chance: how unlikely it must be that a difference is an accident.
        max_slowdown: how many times longer its 95th percentile may be; 0 for any.
        usually: how the sentence goes on about `usual`, such as "before it were".

    Returns:
        A phrase that follows the name of the route; None if it does no worse, or too little is known.
    """
    if _fails_more(usual, now, chance):
        return f"{now.errors} of {now.requests} requests failed, {usually} {usual.errors} of {usual.requests}"
    if max_slowdown and _is_slower(usual, now, chance, max_slowdown):
        then, since = usual.quantile(0.95), now.quantile(0.95)
        return f"95 % of the requests are answered within {since:.3g} s, {usually} {then:.3g} s"
    return None


def _fails_more(usual: RouteTraffic, now: RouteTraffic, chance: float) -> bool:
    if now.errors < FEWEST_ERRORS or now.errors * usual.requests <= usual.errors * now.requests:
        return False
    return fisher(usual.errors, usual.requests, now.errors, now.requests) < chance


def _is_slower(usual: RouteTraffic, now: RouteTraffic, chance: float, limit: float) -> bool:
    """Whether the 95th percentile is beyond the limit, and more requests are beyond the usual one than by accident."""
    if min(sum(usual.buckets), sum(now.buckets)) < FEWEST_DURATIONS:
        return False
    then, since = usual.quantile(0.95), now.quantile(0.95)
    if then is None or since is None or since <= max(then * limit, then + SLOW_ENOUGH):
        return False
    first = sum(bound < then for bound in BOUNDARIES) + 1  # of the buckets above the one that holds the percentile
    above = [sum(side.buckets[first:]) for side in (usual, now)]
    return fisher(above[0], sum(usual.buckets), above[1], sum(now.buckets)) < chance


def fisher(errors_before: int, total_before: int, errors_after: int, total_after: int) -> float:
    """One-sided exact test of Fisher: how likely so many errors after the change are, if nothing had changed.

    Args:
        errors_before: requests with an error, of `total_before`.
        total_before: requests before the change.
        errors_after: requests with an error, of `total_after`.
        total_after: requests after the change.

    Returns:
        The p-value: a small one speaks for an increase. 1.0 if one side has no requests.
    """
    if not total_before or not total_after:
        return 1.0
    errors, total = errors_before + errors_after, total_before + total_after
    most = min(errors, total_after)
    whole = _choose(total, errors)
    terms = [
        _choose(total_after, count) + _choose(total_before, errors - count) - whole
        for count in range(errors_after, most + 1)
        if errors - count <= total_before
    ]
    return min(1.0, math.fsum(math.exp(term) for term in terms))


def poisson(count_before: int, seconds_before: float, count_after: int, seconds_after: float) -> float:
    """One-sided exact comparison of two rates: how likely so many events after the change are, if nothing had changed.

    Given their sum, the later ones are binomial (Przyborowski and Wilenski, 1940).

    Returns:
        The p-value: a small one speaks for an increase. 1.0 if one side has no time.
    """
    total, duration = count_before + count_after, seconds_before + seconds_after
    if seconds_before <= 0 or seconds_after <= 0 or not total:
        return 1.0
    share = seconds_after / duration
    terms = (
        _choose(total, count) + count * math.log(share) + (total - count) * math.log1p(-share)
        for count in range(count_after, total + 1)
    )
    return min(1.0, math.fsum(math.exp(term) for term in terms))


def requests_needed(errors: int, total: int, chance: float) -> int:
    """How many requests must go well before their going well says something.

    Args:
        errors: requests of the route that crashed before the change, of `total`.
        total: requests of the route before the change; with none, the crash itself is the only one known.
        chance: how likely it may be that all go well although nothing has changed, such as 0.05.

    Returns:
        The number of requests after the change; at least 1.
    """
    rate = min(1.0, max(errors, 1) / max(total, errors, 1))
    if rate >= 1.0:
        return 1
    return max(1, math.ceil(math.log(chance) / math.log1p(-rate)))


def seconds_needed(count: int, seconds: float, chance: float) -> float:
    """How long nothing must happen before that says something, for a crash that came `count` times in `seconds`.

    Args:
        count: occurrences before the change.
        seconds: the time that they came in.
        chance: how likely it may be that none comes although nothing has changed.

    Returns:
        Seconds after the change; 0 if the rate is not known, since it came only once.
    """
    if count < 2 or seconds <= 0:
        return 0.0
    return -math.log(chance) * seconds / (count - 1)


def _choose(total: int, count: int) -> float:
    """Logarithm of the binomial coefficient."""
    return math.lgamma(total + 1) - math.lgamma(count + 1) - math.lgamma(total - count + 1)
