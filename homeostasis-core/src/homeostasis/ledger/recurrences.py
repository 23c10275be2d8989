"""Many known crashes that happened again, counted with two statements however many they are."""

from __future__ import annotations

from typing import Any, Mapping

import sqlalchemy as sa

from homeostasis.ledger.tables import incidents
from homeostasis.models import State

_AT_ONCE = 500
"""Fingerprints of one query: databases bound the number of parameters."""
_HEALED_LAST = sa.case((incidents.c.state == State.HEALED.value, 1), else_=0)
_KNOWN = (
    sa.select(incidents.c.id, incidents.c.fingerprint, incidents.c.state)
    .where(incidents.c.fingerprint.in_(sa.bindparam("fingerprints", expanding=True)))
    .order_by(_HEALED_LAST, incidents.c.first_seen.desc())
)
_COUNT = (
    incidents.update()
    .where(incidents.c.id == sa.bindparam("incident"))
    .values(
        count=incidents.c.count + sa.bindparam("more"),
        last_seen=sa.case(
            (incidents.c.last_seen < sa.bindparam("at"), sa.bindparam("at")), else_=incidents.c.last_seen
        ),
    )
)


def count_all(connection: sa.Connection, found: Mapping[str, tuple[int, float]]) -> dict[str, tuple[str, State]]:
    """Count further occurrences.

    Args:
        connection: within a transaction.
        found: by fingerprint how many there were, and when the last one was, in seconds since the epoch.

    Returns:
        Identifier and state of the incident of each fingerprint that is known.
    """
    known: dict[str, tuple[str, State]] = {}
    names = list(found)
    for start in range(0, len(names), _AT_ONCE):
        rows = connection.execute(_KNOWN, {"fingerprints": names[start : start + _AT_ONCE]})
        for identifier, fingerprint, state in rows:
            known.setdefault(fingerprint, (identifier, State(state)))
    changes: list[dict[str, Any]] = [
        {"incident": identifier, "more": found[fingerprint][0], "at": found[fingerprint][1]}
        for fingerprint, (identifier, _) in known.items()
    ]
    if changes:
        connection.execute(_COUNT, changes)
    return known
