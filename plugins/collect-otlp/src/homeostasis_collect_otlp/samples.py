"""Healthy requests out of spans, kept to compare candidates with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, Optional, Set, Tuple

from homeostasis.collecting.requests import without_secrets
from homeostasis.monitoring.traffic import CONSIDERED
from homeostasis_collect_otlp.requests import status_of

if TYPE_CHECKING:
    from homeostasis.models import Request
    from homeostasis.monitoring.redaction import Redactor
    from homeostasis_collect_otlp.requests import Served

MAX_ROUTES = 2_000
"""Routes that are told apart; of any more none is kept."""


class Samples:
    """Picks requests that a span tells whole: a GET has no body.

    Args:
        wanted: requests for each route, all different.
        redactor: takes the secrets out of them.
    """

    def __init__(self, wanted: int, redactor: Redactor) -> None:
        self._wanted = wanted
        self._redactor = redactor
        self._kept: Dict[Tuple[str, str], Set[int]] = {}
        self._considered: Dict[Tuple[str, str], int] = {}

    def pick(self, served: Served, service: str) -> Optional[Request]:
        """The request, if it was answered well and says something new about its route; else None."""
        route = served.route
        if route is None or not 200 <= (status_of(served.attributes) or 0) < 400:
            return None
        key = service, route
        kept = self._kept.get(key)
        if kept is None:
            if len(self._kept) >= MAX_ROUTES:
                return None
            kept = self._kept[key] = set()
        considered = self._considered[key] = self._considered.get(key, 0) + 1
        if len(kept) >= self._wanted or considered > CONSIDERED:
            return None
        request = served.request()
        if request is None or request.method != "GET" or hash((request.path, request.query)) in kept:
            return None
        kept.add(hash((request.path, request.query)))
        return without_secrets(request, self._redactor)
