"""The audit trail: who did what, when and why; each entry holds a hash over itself and the one before.

Entries are written in the transaction of what they tell about. Changing, removing or inserting one breaks the chain
(`verify`). Who can write to the ledger can also compute a whole new chain: keep the head, which `homeostasis audit
verify` prints, in another place, and compare.
"""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any, Iterator, Mapping, NamedTuple

import sqlalchemy as sa

from homeostasis.ledger.tables import audit, audit_head, transitions
from homeostasis.ledger.transactions import Transactions

BEGINNING = "0" * 64
_BATCH = 5000


class Entry(NamedTuple):
    """One entry. `at` is in seconds since the epoch, `detail` holds JSON values, `hash` is hex SHA-256."""

    id: int
    at: float
    actor: str
    action: str
    incident_id: str
    detail: Mapping[str, Any]
    hash: str


class Finding(NamedTuple):
    """What `verify` found: the head of the chain, and each thing that is wrong, in a sentence."""

    length: int
    head: str
    problems: tuple[str, ...]


def append(
    connection: sa.Connection, action: str, actor: str, incident_id: str = "", at: float | None = None, **detail: Any
) -> None:
    """Add an entry, in the transaction of `connection`.

    Args:
        connection: has begun a transaction.
        action: such as `state` or `release.begin`.
        actor: `homeostasis`, `user:NAME` or `token:NAME`.
        incident_id: empty for what concerns no incident.
        at: seconds since the epoch; now by default.
        detail: JSON values.
    """
    # The update comes first: it locks the head, so that two processes cannot follow the same entry.
    grown = audit_head.update().where(audit_head.c.id == 1).values(length=audit_head.c.length + 1)
    if not connection.execute(grown).rowcount:
        connection.execute(audit_head.insert().values(id=1, length=1, hash=BEGINNING))
    length, previous = connection.execute(sa.select(audit_head.c.length, audit_head.c.hash)).one()
    moment = time.time() if at is None else at
    text = json.dumps(detail, sort_keys=True)
    linked = _hash(previous, length, moment, actor, action, incident_id, text)
    values = {"id": length, "at": moment, "actor": actor, "action": action, "incident_id": incident_id}
    connection.execute(audit.insert().values(**values, detail=text, hash=linked))
    connection.execute(audit_head.update().where(audit_head.c.id == 1).values(hash=linked))


class Audit:
    """Reading the trail, and adding what happens outside of other transactions."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def note(self, action: str, actor: str, incident_id: str = "", **detail: Any) -> None:
        """Add an entry in a transaction of its own; see `append`."""
        with self._transactions.begin() as connection:
            append(connection, action, actor, incident_id, **detail)

    def entries(self, incident_id: str | None = None) -> Iterator[Entry]:
        """All entries, or those of an incident, oldest first."""
        with self._transactions.connect() as connection:
            for row in _rows(connection, incident_id):
                yield Entry(row.id, row.at, row.actor, row.action, row.incident_id, json.loads(row.detail), row.hash)

    def verify(self, head: str | None = None) -> Finding:
        """Follow the chain from its beginning and compare it with the incidents' timelines.

        Args:
            head: the hash that an earlier `verify` gave: it must still be part of the chain.
        """
        problems: list[str] = []
        previous, expected, seen = BEGINNING, 1, head is None or head == BEGINNING
        with self._transactions.connect() as connection:
            for row in _rows(connection):
                if row.id != expected:
                    problems.append(f"entry {expected} is missing: entry {row.id} comes in its place")
                rest = (row.id, row.at, row.actor, row.action, row.incident_id, row.detail)
                if _hash(previous, *rest) != row.hash:
                    problems.append(
                        f"entry {row.id} ({row.action} by {row.actor}) does not follow from what precedes it"
                    )
                previous, expected, seen = row.hash, row.id + 1, seen or row.hash == head
            stored = connection.execute(sa.select(audit_head.c.length, audit_head.c.hash)).first()
            length, last = stored or (0, BEGINNING)
            if (length, last) != (expected - 1, previous):
                problems.append(f"the trail ends after {expected - 1} entries, but {length} were written")
            problems += _unlike_timelines(connection)
        if not seen:
            problems.append(f"the head {head} is no part of the trail: it was rewritten, or belongs to another ledger")
        return Finding(expected - 1, previous, tuple(problems))


def _rows(connection: sa.Connection, incident_id: str | None = None) -> Iterator[Any]:
    query = sa.select(audit).order_by(audit.c.id)
    if incident_id is not None:
        query = query.where(audit.c.incident_id == incident_id)
    yield from connection.execution_options(yield_per=_BATCH).execute(query)


def _unlike_timelines(connection: sa.Connection) -> list[str]:
    """Whether the timelines, which are shown to people, say what the trail says."""
    trail = _digests(
        (row.incident_id, row.at, row.actor, *_state(row.detail)) for row in _rows(connection) if row.action == "state"
    )
    query = sa.select(transitions).order_by(transitions.c.id)
    shown = _digests((row.incident_id, row.at, row.actor, row.state, row.detail) for row in connection.execute(query))
    unlike = [name for name in {**trail, **shown} if trail.get(name) != shown.get(name)]
    return [f"the timeline of incident {name} does not agree with the trail" for name in sorted(unlike)]


def _state(detail: str) -> tuple[Any, Any]:
    found = json.loads(detail)
    return found.get("state"), found.get("detail")


def _digests(rows: Iterator[tuple[Any, ...]]) -> dict[str, bytes]:
    """A digest for each incident, so that a trail of any length fits into memory."""
    digests: dict[str, Any] = {}
    for incident_id, *rest in rows:
        digests.setdefault(incident_id, hashlib.sha256()).update(json.dumps(rest).encode())
    return {name: digest.digest() for name, digest in digests.items()}


def _hash(previous: str, *values: Any) -> str:
    return hashlib.sha256(json.dumps([previous, *values]).encode()).hexdigest()
