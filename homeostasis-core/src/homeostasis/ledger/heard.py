"""What collectors heard besides events: healthy requests and traffic, and how far they have read."""

from __future__ import annotations

import time
from typing import Any, Sequence

import sqlalchemy as sa

from homeostasis.comparison import RouteTraffic
from homeostasis.ledger.tables import durations, positions, samples, traffic
from homeostasis.ledger.transactions import Transactions
from homeostasis.models import Request
from homeostasis.monitoring.traffic import BOUNDARIES

SAMPLES_PER_ROUTE = 5
KEEP_SECONDS = 2 * 24 * 3600
"""Age at which traffic is forgotten."""
FINE_SECONDS = 3600
"""Age at which seconds become minutes: a release is compared with what came shortly before it."""
PRUNE_EVERY = 600.0
"""Seconds between two looks for traffic that is old enough."""
_MINUTE = 60
_FOREVER = 1 << 48
_BUCKETS = [durations.c[f"bucket_{number}"] for number in range(len(BOUNDARIES) + 1)]


class Heard:
    """The records of all collectors that are not events."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions
        self._pruned_at = -PRUNE_EVERY

    def keep_sample(self, service: str, request: Request) -> None:
        """Keep a healthy request, up to `SAMPLES_PER_ROUTE` for each route and method."""
        route = f"{request.method} {request.route or request.path}"
        this = (samples.c.service == service) & (samples.c.route == route)
        with self._transactions.begin() as connection:
            have = connection.execute(sa.select(sa.func.count()).select_from(samples).where(this)).scalar() or 0
            if have < SAMPLES_PER_ROUTE:
                values = {"service": service, "route": route, "request": request.model_dump_json(), "at": time.time()}
                connection.execute(samples.insert().values(**values))

    def samples(self, service: str, limit: int = 20) -> tuple[Request, ...]:
        """Recorded healthy requests of a service, oldest first."""
        query = sa.select(samples.c.request).where(samples.c.service == service).order_by(samples.c.id).limit(limit)
        with self._transactions.connect() as connection:
            return tuple(Request.model_validate_json(row.request) for row in connection.execute(query))

    def add_traffic(
        self,
        service: str,
        route: str,
        requests: int,
        errors: int,
        at: float,
        seconds: float = 0.0,
        buckets: Sequence[int] = (),
    ) -> None:
        """Add answered requests to the route's second.

        Raises:
            ValueError: there are other buckets than `RouteTraffic` has.
        """
        if len(buckets) not in (0, len(_BUCKETS)):
            raise ValueError(f"{len(buckets)} buckets instead of {len(_BUCKETS)}")
        self._prune()
        key = {"service": service, "route": route, "second": int(at)}
        with self._transactions.begin() as connection:
            _add(connection, traffic, key, {"requests": requests, "errors": errors})
            if any(buckets):
                counts = {column.name: count for column, count in zip(_BUCKETS, buckets)}
                _add(connection, durations, key, {"seconds": seconds, **counts})

    def traffic_between(self, service: str, start: float, end: float) -> dict[str, RouteTraffic]:
        """Traffic by route that was told from `start` to before `end`, both in seconds since the epoch.

        Older traffic is known by the minute: what lies around `start` and `end` then counts as its minute's beginning.
        """
        with self._transactions.connect() as connection:
            answered = _sums(connection, service, start, end, [traffic.c.requests, traffic.c.errors])
            lasted = _sums(connection, service, start, end, [durations.c.seconds, *_BUCKETS])
        nothing = (0.0, *([0] * len(_BUCKETS)))
        found = {}
        for route, (requests, errors) in answered.items():
            seconds, *buckets = lasted.get(route, nothing)
            found[route] = RouteTraffic(int(requests), int(errors), float(seconds), tuple(map(int, buckets)))
        return found

    def _prune(self) -> None:
        """Forget old traffic, and such of a clock that ran ahead, which would never grow old; make seconds minutes."""
        if time.monotonic() - self._pruned_at < PRUNE_EVERY:
            return
        self._pruned_at = time.monotonic()
        now = time.time()
        with self._transactions.begin() as connection:
            for table in (traffic, durations):
                old = (table.c.second < now - KEEP_SECONDS) | (table.c.second > now + KEEP_SECONDS)
                connection.execute(table.delete().where(old))
                _coarsen(connection, table, int(now) - FINE_SECONDS)

    def traffic_since(self, service: str, moment: float) -> tuple[int, int]:
        """Requests that were told from `moment` on, and how many of them with a 5xx."""
        found = self.traffic_between(service, moment, float("inf")).values()
        return sum(route.requests for route in found), sum(route.errors for route in found)

    def position(self, source: str) -> int:
        """How far a collector has read a source; 0 if never."""
        with self._transactions.connect() as connection:
            query = sa.select(positions.c.position).where(positions.c.source == source)
            return int(connection.execute(query).scalar() or 0)

    def advance(self, source: str, position: int) -> None:
        """Remember how far a collector has read."""
        with self._transactions.begin() as connection:
            moved = positions.update().where(positions.c.source == source).values(position=position)
            if not connection.execute(moved).rowcount:
                connection.execute(positions.insert().values(source=source, position=position))


def _add(connection: sa.Connection, table: sa.Table, key: dict[str, Any], amounts: dict[str, float]) -> None:
    """Add amounts to the columns of one row, which is made if it is missing."""
    this = sa.and_(*(table.c[name] == value for name, value in key.items()))
    sums = {name: table.c[name] + amount for name, amount in amounts.items()}
    if not connection.execute(table.update().where(this).values(**sums)).rowcount:
        connection.execute(table.insert().values(**key, **amounts))


def _coarsen(connection: sa.Connection, table: sa.Table, until: int) -> None:
    """Put the seconds before `until` together to minutes."""
    amounts = [column for column in table.columns if not column.primary_key]
    fine = (table.c.second < until) & (table.c.second % _MINUTE != 0)
    minute = (table.c.second - table.c.second % _MINUTE).label("minute")
    groups = (table.c.service, table.c.route, minute)
    sums = sa.select(*groups, *(sa.func.sum(column) for column in amounts)).where(fine).group_by(*groups)
    for service, route, second, *values in connection.execute(sums).all():
        key = {"service": service, "route": route, "second": second}
        _add(connection, table, key, {column.name: value for column, value in zip(amounts, values)})
    connection.execute(table.delete().where(fine))


def _sums(
    connection: sa.Connection, service: str, start: float, end: float, columns: list[sa.Column[Any]]
) -> dict[str, tuple[Any, ...]]:
    """Sums of columns by route; see `Heard.traffic_between`."""
    table = columns[0].table.c
    this = (table.service == service) & (table.second >= start) & (table.second < min(end, _FOREVER))
    query = sa.select(table.route, *map(sa.func.sum, columns)).where(this).group_by(table.route)
    return {row[0]: tuple(row[1:]) for row in connection.execute(query)}
