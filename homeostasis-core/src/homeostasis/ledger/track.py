"""The track record of each rule: what became of its patches. It outlives the incidents that it comes from."""

from __future__ import annotations

from typing import Mapping

import sqlalchemy as sa

from homeostasis.ledger.tables import track
from homeostasis.ledger.transactions import Transactions

ACCEPTED, REJECTED, INCONCLUSIVE = "accepted", "rejected", "inconclusive"
"""What validation said."""
APPROVED, REFUSED = "approved", "refused"
"""What people said."""
DEPLOYED, HEALED, ROLLED_BACK = "deployed", "healed", "rolled_back"
"""What became of it afterwards."""
WEIGHTS = {ACCEPTED: 1, HEALED: 2, APPROVED: 2, REJECTED: -1, REFUSED: -3, ROLLED_BACK: -4}
"""How much each counts for or against a rule: what was seen in production more than what was seen in a trial."""


class Track:
    """The records of all rules."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def add(self, rule_id: str, what: str) -> None:
        """Count one more of `what`, one of the constants of this module."""
        this = (track.c.rule_id == rule_id) & (track.c.what == what)
        with self._transactions.begin() as connection:
            if not connection.execute(track.update().where(this).values(count=track.c.count + 1)).rowcount:
                connection.execute(track.insert().values(rule_id=rule_id, what=what, count=1))

    def of(self, rule_id: str) -> Mapping[str, int]:
        """The counts of one rule."""
        query = sa.select(track.c.what, track.c.count).where(track.c.rule_id == rule_id)
        with self._transactions.connect() as connection:
            return {what: count for what, count in connection.execute(query)}  # noqa: C416 - rows are no pairs

    def all(self) -> Mapping[str, Mapping[str, int]]:
        """The counts of every rule that has any, by rule."""
        found: dict[str, dict[str, int]] = {}
        with self._transactions.connect() as connection:
            for rule_id, what, count in connection.execute(sa.select(track).order_by(track.c.rule_id)):
                found.setdefault(rule_id, {})[what] = count
        return found

    def merit(self, rule_id: str) -> float:
        """Between -0.5 and 0.5: how well the rule did so far. A rule without a record is in the middle."""
        counts = self.of(rule_id)
        good = sum(weight * counts.get(what, 0) for what, weight in WEIGHTS.items() if weight > 0)
        bad = sum(-weight * counts.get(what, 0) for what, weight in WEIGHTS.items() if weight < 0)
        return (good + 1) / (good + bad + 2) - 0.5  # Laplace's rule of succession
