"""Durations as a ledger counts them."""

from __future__ import annotations

from bisect import bisect_left
from typing import Tuple

from homeostasis.monitoring.traffic import BOUNDARIES


def buckets_of(seconds: float, count: int = 1) -> Tuple[int, ...]:
    """The histogram over `homeostasis.monitoring.traffic.BOUNDARIES` of so many requests that took as long."""
    place = bisect_left(BOUNDARIES, seconds)
    return (*(0,) * place, count, *(0,) * (len(BOUNDARIES) - place))
