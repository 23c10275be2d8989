"""Reading incidents with their timelines: few queries for many incidents."""

from __future__ import annotations

import sqlalchemy as sa

from homeostasis.ledger.tables import incidents, transitions
from homeostasis.models import Event, Incident, State, Transition

_AT_ONCE = 500
"""Incidents that are read with one query: databases bound the number of values in it."""


def read(connection: sa.Connection, identifiers: list[str]) -> list[Incident]:
    """The incidents with these identifiers, in this order; those that do not exist are left out."""
    some = [identifiers[first : first + _AT_ONCE] for first in range(0, len(identifiers), _AT_ONCE)]
    return [incident for part in some for incident in _read_some(connection, part)]


def _read_some(connection: sa.Connection, identifiers: list[str]) -> list[Incident]:
    """With two queries."""
    rows = connection.execute(sa.select(incidents).where(incidents.c.id.in_(identifiers)))
    found = {row.id: row for row in rows}
    timelines: dict[str, list[Transition]] = {}
    query = sa.select(transitions).where(transitions.c.incident_id.in_(identifiers)).order_by(transitions.c.id)
    for entry in connection.execute(query):
        noted = Transition(state=State(entry.state), at=entry.at, detail=entry.detail, actor=entry.actor)
        timelines.setdefault(entry.incident_id, []).append(noted)
    return [
        Incident(
            id=row.id,
            fingerprint=row.fingerprint,
            service=row.service,
            event=Event.model_validate_json(row.event),
            count=row.count,
            first_seen=row.first_seen,
            last_seen=row.last_seen,
            state=State(row.state),
            timeline=tuple(timelines.get(row.id, ())),
        )
        for row in (found[identifier] for identifier in identifiers if identifier in found)
    ]
