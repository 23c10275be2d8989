"""Who works on an incident: one thread of one process at a time."""

from __future__ import annotations

from typing import Callable

import sqlalchemy as sa

from homeostasis.ledger.tables import incidents
from homeostasis.ledger.transactions import Transactions


class Claims:
    """The owners of all incidents."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def take(self, identifier: str, owner: str, owner_lives: Callable[[str], bool]) -> bool:
        """Take an incident for one owner; False if another living one has it.

        Args:
            identifier: the incident.
            owner: text that names who takes it.
            owner_lives: whether the one that such a text names still runs.
        """
        with self._transactions.begin() as connection:
            query = sa.select(incidents.c.owner).where(incidents.c.id == identifier)
            current = connection.execute(query).scalar()
            if current and current != owner and owner_lives(current):
                return False
            same = incidents.c.owner.is_(None) if current is None else incidents.c.owner == current
            update = incidents.update().where(incidents.c.id == identifier, same).values(owner=owner)
            return bool(connection.execute(update).rowcount)

    def let_go(self, identifier: str, owner: str) -> None:
        """Give an incident back, if the owner still has it."""
        this = (incidents.c.id == identifier) & (incidents.c.owner == owner)
        with self._transactions.begin() as connection:
            connection.execute(incidents.update().where(this).values(owner=None))
