"""Decisions of people, left by one process for the orchestrator to carry out."""

from __future__ import annotations

import time
from typing import Any

import sqlalchemy as sa

from homeostasis.ledger.tables import decisions
from homeostasis.ledger.transactions import Transactions


class Decisions:
    """A queue of approvals, rejections and rollbacks."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def leave(self, identifier: str, decision: str, actor: str, reason: str) -> int:
        """Leave a decision (`approve`, `reject`, `rollback`) for the orchestrator. Returns its number."""
        values = {"incident_id": identifier, "decision": decision, "actor": actor, "reason": reason, "at": time.time()}
        with self._transactions.begin() as connection:
            key = connection.execute(decisions.insert().values(**values, outcome=None)).inserted_primary_key
            return int(key[0]) if key else 0

    def open(self) -> list[Any]:
        """Decisions that nobody has carried out: rows with id, incident_id, decision, actor and reason."""
        with self._transactions.connect() as connection:
            query = sa.select(decisions).where(decisions.c.outcome.is_(None)).order_by(decisions.c.id)
            return list(connection.execute(query))

    def carried_out(self, number: int, outcome: str) -> None:
        """Write down what became of a decision: empty for done, else a sentence."""
        with self._transactions.begin() as connection:
            connection.execute(decisions.update().where(decisions.c.id == number).values(outcome=outcome))

    def outcome_of(self, number: int) -> str | None:
        """What became of a decision; None while nobody has carried it out."""
        with self._transactions.connect() as connection:
            found = connection.execute(sa.select(decisions.c.outcome).where(decisions.c.id == number)).scalar()
            return None if found is None else str(found)
