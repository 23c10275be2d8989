"""Figures over all incidents: how many were healed, how fast, and which rules did it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from homeostasis.ledger.tables import incidents, releases
from homeostasis.models import State

if TYPE_CHECKING:
    from homeostasis.ledger import Ledger

_ENDS = tuple(state.value for state in State if state.ended)


def statistics(ledger: Ledger) -> dict[str, Any]:
    """The figures as JSON values.

    Keys: `incidents` (count by state), `occurrences`, `heal_rate` (healed of all that ended; None if none did),
    `seconds_to_live` (from the first occurrence until the patch was live: `median`, `p90`, `count`), `releases` (count
    by state), `rules` (by rule: what became of its patches, as in `homeostasis.ledger.track`).
    """
    with ledger.connect() as connection:
        by_state = _counts(connection, incidents.c.state)
        by_release = _counts(connection, releases.c.state)
        occurrences = connection.execute(sa.select(sa.func.sum(incidents.c.count))).scalar() or 0
        query = (
            sa.select(releases.c.live_at - incidents.c.first_seen)
            .select_from(releases.join(incidents))
            .where(releases.c.live_at.is_not(None), incidents.c.state == State.HEALED.value)
        )
        seconds = sorted(float(row[0]) for row in connection.execute(query))
    ended = sum(by_state.get(state, 0) for state in _ENDS)
    return {
        "incidents": by_state,
        "occurrences": int(occurrences),
        "heal_rate": by_state.get(State.HEALED.value, 0) / ended if ended else None,
        "seconds_to_live": {"median": _at(seconds, 0.5), "p90": _at(seconds, 0.9), "count": len(seconds)},
        "releases": by_release,
        "rules": {rule: dict(counts) for rule, counts in ledger.track.all().items()},
    }


def _counts(connection: sa.Connection, column: sa.Column[Any]) -> dict[str, int]:
    return {str(row[0]): int(row[1]) for row in connection.execute(sa.select(column, sa.func.count()).group_by(column))}


def _at(ordered: list[float], share: float) -> float | None:
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 3) if ordered else None
