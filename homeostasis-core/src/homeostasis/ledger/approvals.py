"""Who has approved which patch. An approval holds for one exact change and lapses after a while."""

from __future__ import annotations

import time
from typing import NamedTuple

import sqlalchemy as sa

from homeostasis.ledger.audit import append
from homeostasis.ledger.tables import approvals
from homeostasis.ledger.transactions import Transactions


class Approval(NamedTuple):
    """One person's approval; `at` is in seconds since the epoch."""

    actor: str
    at: float
    reason: str


class Approvals:
    """The approvals of all incidents."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def add(self, incident_id: str, digest: str, actor: str, reason: str = "") -> None:
        """Write down that `actor` approves the change with this `Patch.full_digest`; doing so again renews it."""
        this = {"incident_id": incident_id, "digest": digest, "actor": actor}
        with self._transactions.begin() as connection:
            connection.execute(approvals.delete().filter_by(**this))
            connection.execute(approvals.insert().values(**this, at=time.time(), reason=reason))
            append(connection, "approval", actor, incident_id, digest=digest, reason=reason)

    def of(self, incident_id: str, digest: str, since: float = 0.0) -> tuple[Approval, ...]:
        """The approvals of a change that were given after `since`, oldest first."""
        this = (approvals.c.incident_id == incident_id) & (approvals.c.digest == digest) & (approvals.c.at >= since)
        query = sa.select(approvals.c.actor, approvals.c.at, approvals.c.reason).where(this).order_by(approvals.c.at)
        with self._transactions.connect() as connection:
            return tuple(Approval(*row) for row in connection.execute(query))
