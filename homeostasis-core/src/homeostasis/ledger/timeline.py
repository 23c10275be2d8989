"""The timelines of all incidents as one, in the order in which things happened: what notifiers read."""

from __future__ import annotations

from typing import Iterable, NamedTuple

import sqlalchemy as sa

from homeostasis.ledger.tables import transitions
from homeostasis.ledger.transactions import Transactions
from homeostasis.models import State


class Noted(NamedTuple):
    """One entry of a timeline with its number, which grows."""

    id: int
    incident_id: str
    state: State
    at: float
    detail: str
    actor: str


class Timeline:
    """All entries; they are written by `Ledger.transition`."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def last(self) -> int:
        """The number of the newest entry; 0 if there is none."""
        with self._transactions.connect() as connection:
            return int(connection.execute(sa.select(sa.func.max(transitions.c.id))).scalar() or 0)

    def after(self, number: int, states: Iterable[State], limit: int = 100) -> list[Noted]:
        """Entries after one, oldest first, that tell of one of `states`."""
        this = (transitions.c.id > number) & transitions.c.state.in_([state.value for state in states])
        query = sa.select(transitions).where(this).order_by(transitions.c.id).limit(limit)
        with self._transactions.connect() as connection:
            return [
                Noted(row.id, row.incident_id, State(row.state), row.at, row.detail, row.actor)
                for row in connection.execute(query)
            ]
