"""Transactions of Sentry's protocol: how many requests of a route were answered, how, and how long it took."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, NamedTuple, Optional

from homeostasis.collecting.durations import buckets_of
from homeostasis.collecting.fields import moment, table, text, within
from homeostasis.monitoring.request import UNMATCHED
from homeostasis_collect_http.endpoint import Traffic
from homeostasis_collect_sentry.requests import request_of

if TYPE_CHECKING:
    from homeostasis.models import Request

MAX_ROUTES = 300
SAMPLES_PER_ROUTE = 5
_STATES = {
    "ok": 200,
    "invalid_argument": 400,
    "unauthenticated": 401,
    "permission_denied": 403,
    "not_found": 404,
    "already_exists": 409,
    "resource_exhausted": 429,
    "internal_error": 500,
    "unimplemented": 501,
    "unavailable": 503,
    "deadline_exceeded": 504,
}


class Answered(NamedTuple):
    """A request that the app answered. `began` and `ended` are seconds since the epoch."""

    route: str
    status: int
    began: float
    ended: float

    def traffic(self, service: str) -> Traffic:
        """As a record of traffic."""
        seconds = max(self.ended - self.began, 0.0)
        return Traffic(service, self.route, 1, int(self.status >= 500), self.ended, seconds, buckets_of(seconds))


def answered(event: Dict[str, Any], now: float) -> Optional[Answered]:
    """The request that a transaction is about; None if it is about something else, or does not tell how it ended."""
    trace = table(within(event, "contexts", "trace"))
    began, ended, status = moment(event.get("start_timestamp")), moment(event.get("timestamp")), _status(event, trace)
    if trace.get("op") not in ("http.server", "websocket.server") or began is None or ended is None or status is None:
        return None
    name = text(event.get("transaction"), 500)
    if not name or within(event, "transaction_info", "source") == "url":
        name = UNMATCHED
    return Answered(name, status, min(began, now), min(ended, now))


def _status(event: Dict[str, Any], trace: Dict[str, Any]) -> Optional[int]:
    said = (
        within(event, "contexts", "response", "status_code"),
        within(trace, "data", "http.response.status_code"),
        within(event, "tags", "http.status_code"),
        _STATES.get(text(trace.get("status"), 100)),
    )
    for status in said:
        if isinstance(status, str) and len(status) == 3 and status.isdecimal():
            return int(status)
        if type(status) is int and 100 <= status <= 599:
            return status
    return None


class Samples:
    """Picks a few healthy requests of each route, to compare candidates with."""

    def __init__(self, body_limit: int) -> None:
        self._body_limit = body_limit
        self._have: Dict[str, int] = {}

    def pick(self, event: Dict[str, Any], found: Answered) -> Optional[Request]:
        """The request of a transaction, if another one of its route is wanted."""
        have = self._have.get(found.route, 0)
        if have >= SAMPLES_PER_ROUTE or found.status >= 400 or (not have and len(self._have) >= MAX_ROUTES):
            return None
        request, missing = request_of(event, self._body_limit)
        if request is None or missing or request.body_truncated:
            return None
        self._have[found.route] = have + 1
        return request.model_copy(update={"status": found.status})
