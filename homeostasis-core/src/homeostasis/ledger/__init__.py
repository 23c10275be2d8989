"""The ledger: every incident, how far it has come, and every side effect, before and after it happened.

SQLAlchemy Core over SQLite in WAL mode. All writes that belong together are one transaction, so a process that is
killed leaves a ledger that a new one can go on from (see `homeostasis.engine`).
"""

from __future__ import annotations

import json
import time
import uuid
from types import TracebackType
from typing import TYPE_CHECKING, Any, ContextManager, Iterable, Mapping

import sqlalchemy as sa

from homeostasis.errors import UsageError
from homeostasis.ledger.approvals import Approvals
from homeostasis.ledger.audit import Audit, append
from homeostasis.ledger.claims import Claims
from homeostasis.ledger.database import open_database
from homeostasis.ledger.decisions import Decisions
from homeostasis.ledger.heard import Heard
from homeostasis.ledger.reading import read
from homeostasis.ledger.recurrences import count_all
from homeostasis.ledger.releases import Releases
from homeostasis.ledger.sources import Sources
from homeostasis.ledger.tables import attempts, incidents, transitions
from homeostasis.ledger.timeline import Timeline
from homeostasis.ledger.track import Track
from homeostasis.ledger.transactions import Transactions
from homeostasis.models import Diagnosis, Event, Incident, Patch, Release, State, Verdict

if TYPE_CHECKING:
    from homeostasis.project import Project

_SLACK = 2.0
"""Seconds by which the clocks of two machines, or of two moments, may differ."""


class Ledger:
    """The store of one project. Safe to use from several threads and processes."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._engine = open_database(url)
        self._transactions = Transactions(self._engine)
        self.releases = Releases(self._transactions)
        self.claims = Claims(self._transactions)
        self.decisions = Decisions(self._transactions)
        self.heard = Heard(self._transactions)
        self.sources = Sources(self._transactions)
        self.approvals = Approvals(self._transactions)
        self.audit = Audit(self._transactions)
        self.track = Track(self._transactions)
        self.timeline = Timeline(self._transactions)

    @classmethod
    def open(cls, project: Project) -> Ledger:
        """The ledger of a project, made on first use.

        Raises:
            LedgerError: the file is not a ledger, or cannot be written.
        """
        path = project.state / "ledger.db"
        ledger = cls(f"sqlite:///{path}")
        path.chmod(0o600)
        return ledger

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def connect(self) -> ContextManager[sa.Connection]:
        """A connection for reading."""
        return self._transactions.connect()

    def batch(self) -> ContextManager[None]:
        """Keep all that this thread writes, or nothing of it if an exception comes out."""
        return self._transactions.batch()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- incidents

    def record(self, event: Event) -> tuple[Incident, bool]:
        """Count an event into the incident of its fingerprint, making one if there is none that it can belong to.

        Returns:
            The incident, and whether it is new. An event after a healed incident begins a new one: the fix did not
            hold, or the code changed again.
        """
        with self._transactions.begin() as connection:
            row = self._latest(connection, event.service, event.fingerprint)
            if row is not None and not _is_after_healing(row, event.timestamp):
                self._count(connection, row, 1, event.timestamp)
                return self._incident(connection, row.id), False
            identifier = uuid.uuid4().hex[:8]
            connection.execute(
                incidents.insert().values(
                    id=identifier,
                    fingerprint=event.fingerprint,
                    service=event.service,
                    state=State.OPEN.value,
                    last_state_at=event.timestamp,
                    count=1,
                    first_seen=event.timestamp,
                    last_seen=event.timestamp,
                    event=event.model_dump_json(),
                    reason="",
                )
            )
            self._note(connection, identifier, State.OPEN, event.timestamp, "", "homeostasis")
            return self._incident(connection, identifier), True

    def recur(self, found: Mapping[str, tuple[int, float]]) -> dict[str, tuple[str, State]]:
        """Count further occurrences of many crashes; see `homeostasis.ledger.recurrences.count_all`."""
        with self._transactions.begin() as connection:
            return count_all(connection, found)

    def incidents(self, state: State | None = None, limit: int | None = None) -> list[Incident]:
        """Incidents, the one seen last first: those in `state`, or all; at most `limit`."""
        query = sa.select(incidents.c.id).order_by(incidents.c.last_seen.desc(), incidents.c.id).limit(limit)
        if state is not None:
            query = query.where(incidents.c.state == state.value)
        return self._those(query)

    def count(self, state: State | None = None) -> int:
        """How many incidents there are: in `state`, or at all."""
        query = sa.select(sa.func.count()).select_from(incidents)
        if state is not None:
            query = query.where(incidents.c.state == state.value)
        with self._transactions.connect() as connection:
            return int(connection.execute(query).scalar() or 0)

    def opened_since(self, moment: float) -> list[Incident]:
        """Incidents of crashes that were seen for the first time after `moment` (seconds since the epoch)."""
        query = sa.select(incidents.c.id).where(incidents.c.first_seen > moment)
        return self._those(query.order_by(incidents.c.first_seen))

    def waiting(self, state: State, until: float) -> list[Incident]:
        """Incidents that have been in `state` since `until` (seconds since the epoch) or longer."""
        this = (incidents.c.state == state.value) & (incidents.c.last_state_at <= until)
        return self._those(sa.select(incidents.c.id).where(this))

    def unfinished(self, *states: State) -> list[tuple[str, State]]:
        """Identifier and state of every incident that has not ended, or of those in `states`, oldest first."""
        wanted = [state.value for state in states or State if not state.ended]
        query = sa.select(incidents.c.id, incidents.c.state).where(incidents.c.state.in_(wanted))
        with self._transactions.connect() as connection:
            rows = connection.execute(query.order_by(incidents.c.first_seen)).all()
            return [(row.id, State(row.state)) for row in rows]

    def incident(self, identifier: str) -> Incident:
        """An incident by its full identifier.

        Raises:
            UsageError: there is none.
        """
        with self._transactions.connect() as connection:
            return self._incident(connection, identifier)

    def find(self, prefix: str) -> Incident:
        """The incident whose identifier begins with `prefix`.

        Raises:
            UsageError: none does, or several do.
        """
        with self._transactions.connect() as connection:
            query = sa.select(incidents.c.id).where(incidents.c.id.startswith(prefix, autoescape=True))
            found = [row.id for row in connection.execute(query)] if prefix else []
            if len(found) == 1:
                return self._incident(connection, found[0])
        if found:
            raise UsageError(f"{prefix!r} begins {len(found)} incidents: {', '.join(found)}")
        raise UsageError(f"there is no incident {prefix!r}: `homeostasis incidents` lists them")

    def transition(
        self, identifier: str, state: State, detail: str = "", actor: str = "homeostasis", at: float | None = None
    ) -> Incident:
        """Move an incident to a state and write that into its timeline. `at` is in seconds since the epoch."""
        moment = time.time() if at is None else at
        with self._transactions.begin() as connection:
            values = {"state": state.value, "reason": detail, "last_state_at": moment}
            connection.execute(incidents.update().where(incidents.c.id == identifier).values(**values))
            self._note(connection, identifier, state, moment, detail, actor)
            return self._incident(connection, identifier)

    def reason(self, identifier: str) -> str:
        """The sentence that went with the last change of state."""
        with self._transactions.connect() as connection:
            query = sa.select(incidents.c.reason).where(incidents.c.id == identifier)
            return str(connection.execute(query).scalar() or "")

    def digest(self, identifier: str) -> str | None:
        """What `set_digest` kept."""
        with self._transactions.connect() as connection:
            found = connection.execute(sa.select(incidents.c.digest).where(incidents.c.id == identifier)).scalar()
            return None if found is None else str(found)

    def set_digest(self, identifier: str, digest: str) -> None:
        """Keep which code an incident was tried on."""
        with self._transactions.begin() as connection:
            connection.execute(incidents.update().where(incidents.c.id == identifier).values(digest=digest))

    def reopen(self, identifier: str, event: Event, detail: str) -> Incident:
        """Try an incident again, on a newer event."""
        with self._transactions.begin() as connection:
            values = {"event": event.model_dump_json()}
            connection.execute(incidents.update().where(incidents.c.id == identifier).values(**values))
        return self.transition(identifier, State.OPEN, detail)

    # --- what the stages found

    def set_diagnoses(self, identifier: str, diagnoses: Iterable[Diagnosis]) -> None:
        """Keep what the analyze stage returned, the best first, and forget earlier tries."""
        text = json.dumps([diagnosis.model_dump(mode="json") for diagnosis in diagnoses])
        with self._transactions.begin() as connection:
            connection.execute(attempts.delete().where(attempts.c.incident_id == identifier))
            values = {"diagnoses": text, "patch_id": None}
            connection.execute(incidents.update().where(incidents.c.id == identifier).values(**values))

    def add_candidates(self, identifier: str, patches: Iterable[Patch], diagnoses: Iterable[Diagnosis]) -> None:
        """Keep the ranked candidates, each with the diagnosis that led to it."""
        rows = [
            {
                "incident_id": identifier,
                "patch_id": patch.id,
                "rank": rank,
                "rule_id": patch.rule_id,
                "patch": patch.model_dump_json(),
                "diagnosis": diagnosis.model_dump_json(),
            }
            for rank, (patch, diagnosis) in enumerate(zip(patches, diagnoses))
        ]
        with self._transactions.begin() as connection:
            connection.execute(attempts.insert(), rows)

    def set_verdict(self, identifier: str, verdict: Verdict) -> None:
        """Keep a candidate's verdict, also in the record of its rule."""
        this = (attempts.c.incident_id == identifier) & (attempts.c.patch_id == verdict.patch_id)
        values = {"verdict": verdict.model_dump_json(), "outcome": verdict.outcome.value}
        with self._transactions.begin() as connection:
            connection.execute(attempts.update().where(this).values(**values))
            rule_id = connection.execute(sa.select(attempts.c.rule_id).where(this)).scalar()
        if rule_id is not None:
            self.track.add(rule_id, verdict.outcome.value)

    def complete(self, identifier: str, patch: Patch) -> None:
        """Keep a candidate as it is now, with its generated test, in place of what `add_candidates` kept."""
        this = (attempts.c.incident_id == identifier) & (attempts.c.patch_id == patch.id)
        with self._transactions.begin() as connection:
            connection.execute(attempts.update().where(this).values(patch=patch.model_dump_json()))

    def choose(self, identifier: str, patch_id: str) -> None:
        """Make a candidate the incident's patch."""
        with self._transactions.begin() as connection:
            connection.execute(incidents.update().where(incidents.c.id == identifier).values(patch_id=patch_id))

    def diagnosis(self, identifier: str) -> Diagnosis | None:
        """The diagnosis behind the chosen patch, or the best one if no patch is chosen."""
        chosen = self._chosen(identifier, attempts.c.diagnosis)
        if chosen is not None:
            return Diagnosis.model_validate_json(chosen)
        with self._transactions.connect() as connection:
            text = connection.execute(sa.select(incidents.c.diagnoses).where(incidents.c.id == identifier)).scalar()
        found = json.loads(text or "[]")
        return Diagnosis.model_validate(found[0]) if found else None

    def patch(self, identifier: str) -> Patch | None:
        """The chosen patch, or the best candidate if none was accepted."""
        text = self._chosen(identifier, attempts.c.patch)
        return Patch.model_validate_json(text) if text else None

    def verdict(self, identifier: str) -> Verdict | None:
        """The verdict on `patch(identifier)`."""
        text = self._chosen(identifier, attempts.c.verdict)
        return Verdict.model_validate_json(text) if text else None

    def _chosen(self, identifier: str, column: sa.Column[Any]) -> str | None:
        chosen = sa.select(incidents.c.patch_id).where(incidents.c.id == identifier).scalar_subquery()
        query = (
            sa.select(column)
            .where(attempts.c.incident_id == identifier)
            .order_by((attempts.c.patch_id == chosen).desc(), attempts.c.rank)
        )
        with self._transactions.connect() as connection:
            row = connection.execute(query).first()
        return None if row is None else row[0]

    def release(self, identifier: str) -> Release | None:
        """The last release of an incident."""
        return self.releases.latest(identifier)

    # --- rows

    def _those(self, query: sa.Select[tuple[str]]) -> list[Incident]:
        with self._transactions.connect() as connection:
            return read(connection, [row.id for row in connection.execute(query)])

    @staticmethod
    def _latest(connection: sa.Connection, service: str, fingerprint: str) -> Any:
        this = (incidents.c.fingerprint == fingerprint) & (incidents.c.service == service)
        healed = incidents.c.state == State.HEALED.value  # at most one is not, whatever the clock was set to meanwhile
        return connection.execute(
            sa.select(incidents).where(this).order_by(healed.asc(), incidents.c.first_seen.desc())
        ).first()

    @staticmethod
    def _count(connection: sa.Connection, row: Any, count: int, last_seen: float) -> None:
        values = {"count": incidents.c.count + count, "last_seen": max(row.last_seen, last_seen)}
        connection.execute(incidents.update().where(incidents.c.id == row.id).values(**values))

    @staticmethod
    def _note(connection: sa.Connection, identifier: str, state: State, at: float, detail: str, actor: str) -> None:
        values = {"incident_id": identifier, "state": state.value, "at": at, "detail": detail, "actor": actor}
        connection.execute(transitions.insert().values(**values))
        append(connection, "state", actor, identifier, at, state=state.value, detail=detail)

    @staticmethod
    def _incident(connection: sa.Connection, identifier: str) -> Incident:
        found = read(connection, [identifier])
        if not found:
            raise UsageError(f"there is no incident {identifier!r}: `homeostasis incidents` lists them")
        return found[0]


def _is_after_healing(row: Any, timestamp: float) -> bool:
    """Whether a crash came after its incident was healed; also if the clock has been set back since."""
    clock_was_ahead = row.last_state_at > time.time() + _SLACK
    return bool(row.state == State.HEALED.value and (timestamp > row.last_state_at or clock_was_ahead))
