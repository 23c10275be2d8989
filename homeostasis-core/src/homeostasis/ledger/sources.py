"""What each collector heard from each of its sources, when and how much, and what it had to drop."""

from __future__ import annotations

import time
from typing import Any

import sqlalchemy as sa

from homeostasis.ledger.tables import drops, source_minutes, sources
from homeostasis.ledger.transactions import Transactions

MAX_SOURCES = 1_000
"""Sources of one collector that are kept apart; further ones count together."""
OTHERS = "(others)"
KEEP_SECONDS = 2 * 3600
"""How far back rates are known."""
_MINUTE, _HOUR = 60, 3600


class Sources:
    """The account of all collectors."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions
        self._known: set[tuple[str, str]] = set()
        self._pruned_at = float("-inf")

    def add(self, collector: str, source: str, records: int, at: float) -> None:
        """So many records were read from a source; `at` is the time of reading, in seconds since the epoch."""
        with self._transactions.begin() as connection:
            source = self._kept_apart(connection, collector, source)
            this = (sources.c.collector == collector) & (sources.c.source == source)
            changed = {"records": sources.c.records + records, "last_at": at}
            if not connection.execute(sources.update().where(this).values(**changed)).rowcount:
                row = {"collector": collector, "source": source, "records": records, "first_at": at, "last_at": at}
                connection.execute(sources.insert().values(**row))
            minutes = source_minutes
            key = {"collector": collector, "source": source, "minute": int(at) // _MINUTE}
            same = sa.and_(*(minutes.c[name] == value for name, value in key.items()))
            added = minutes.update().where(same).values(records=minutes.c.records + records)
            if not connection.execute(added).rowcount:
                connection.execute(minutes.insert().values(**key, records=records))
            self._prune(connection)

    def drop(self, collector: str, reason: str, count: int) -> None:
        """So many records were dropped or unreadable."""
        with self._transactions.begin() as connection:
            this = (drops.c.collector == collector) & (drops.c.reason == reason)
            changed = {"count": drops.c.count + count, "last_at": time.time()}
            if not connection.execute(drops.update().where(this).values(**changed)).rowcount:
                row = {"collector": collector, "reason": reason, "count": count, "last_at": time.time()}
                connection.execute(drops.insert().values(**row))

    def dropped(self) -> list[dict[str, Any]]:
        """`collector`, `reason`, `count` and `last_at` of all drops, most frequent first."""
        query = sa.select(drops).order_by(drops.c.count.desc(), drops.c.collector, drops.c.reason)
        with self._transactions.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def all(self, now: float) -> list[dict[str, Any]]:
        """`collector`, `source`, `records`, `first_at`, `last_at`, `last_minute` and `last_hour` of each source.

        `last_minute` and `last_hour` count the records of the current minute and the one before, and of the hour
        before `now`.
        """
        with self._transactions.connect() as connection:
            minute, hour = (_since(connection, (now - span) // _MINUTE) for span in (_MINUTE, _HOUR))
            query = sa.select(sources).order_by(sources.c.collector, sources.c.source)
            rows = [dict(row) for row in connection.execute(query).mappings()]
        for row in rows:
            key = row["collector"], row["source"]
            row["last_minute"], row["last_hour"] = minute.get(key, 0), hour.get(key, 0)
        return rows

    def _kept_apart(self, connection: sa.Connection, collector: str, source: str) -> str:
        """The source, or `OTHERS` if the collector has too many: senders choose their names."""
        if (collector, source) in self._known:
            return source
        query = sa.select(sa.func.count()).select_from(sources).where(sources.c.collector == collector)
        this = query.where(sources.c.source == source)
        full = (connection.execute(query).scalar() or 0) >= MAX_SOURCES
        if full and not connection.execute(this).scalar():
            return OTHERS
        self._known.add((collector, source))
        return source

    def _prune(self, connection: sa.Connection) -> None:
        if time.monotonic() - self._pruned_at > _HOUR:
            self._pruned_at = time.monotonic()
            old = source_minutes.c.minute < (time.time() - KEEP_SECONDS) // _MINUTE
            connection.execute(source_minutes.delete().where(old))


def _since(connection: sa.Connection, minute: float) -> dict[tuple[str, str], int]:
    columns = source_minutes.c
    query = (
        sa.select(columns.collector, columns.source, sa.func.sum(columns.records))
        .where(columns.minute >= minute)
        .group_by(columns.collector, columns.source)
    )
    return {(row[0], row[1]): int(row[2]) for row in connection.execute(query)}
