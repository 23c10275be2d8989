"""Releases and their steps: the intent is written before anything is changed, the end after."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any, Iterable

import sqlalchemy as sa

from homeostasis.ledger.audit import append
from homeostasis.ledger.tables import incidents, releases, steps, touched
from homeostasis.ledger.transactions import Transactions
from homeostasis.models import Release, State, Step

_US = "homeostasis"


class Releases:
    """What was changed where, and how to take it back."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def begin(self, identifier: str, patch_id: str, deployers: Iterable[str], paths: Iterable[str] = ()) -> str:
        """Write down that a release begins, which changes `paths`. Returns its identifier."""
        release_id = uuid.uuid4().hex[:12]
        chain = list(deployers)
        with self._transactions.begin() as connection:
            connection.execute(
                releases.insert().values(
                    id=release_id,
                    incident_id=identifier,
                    patch_id=patch_id,
                    state="deploying",
                    started_at=time.time(),
                    observation="",
                    deployers=json.dumps(chain),
                )
            )
            for path in paths:
                connection.execute(touched.insert().values(release_id=release_id, path=path))
            append(connection, "release.begin", _US, identifier, release=release_id, patch=patch_id, chain=chain)
        return release_id

    def intend(self, release_id: str, position: int, deployer: str, undo: dict[str, Any]) -> None:
        """Write down what a deployer is about to do."""
        values = {"deployer": deployer, "state": "intended", "undo": json.dumps(undo), "summary": "", "facts": "{}"}
        with self._transactions.begin() as connection:
            connection.execute(steps.insert().values(release_id=release_id, position=position, **values))
            self._tell(connection, release_id, "step.intended", deployer=deployer, position=position)

    def end_step(self, release_id: str, position: int, state: str, summary: str = "", facts: Any = None) -> None:
        """Write down how a step ended: `done`, `undone` or `failed`."""
        values: dict[str, Any] = {"state": state}
        if summary:
            values["summary"] = summary
        if facts:
            values["facts"] = json.dumps(facts)
        this = (steps.c.release_id == release_id) & (steps.c.position == position)
        with self._transactions.begin() as connection:
            connection.execute(steps.update().where(this).values(**values))
            self._tell(connection, release_id, f"step.{state}", position=position, summary=summary, facts=facts or {})

    def end(self, release_id: str, state: str, observation: str = "", live_at: float | None = None) -> None:
        """Write down what became of a release."""
        values: dict[str, Any] = {"state": state}
        if observation:
            values["observation"] = observation
        if live_at is not None:
            values["live_at"] = live_at
        with self._transactions.begin() as connection:
            connection.execute(releases.update().where(releases.c.id == release_id).values(**values))
            self._tell(connection, release_id, "release.end", state=state, observation=observation)

    def follow_clock(self, release_id: str, live_at: float) -> None:
        """The clock was set: write down when a live release went live by the new time."""
        with self._transactions.begin() as connection:
            connection.execute(releases.update().where(releases.c.id == release_id).values(live_at=live_at))
            self._tell(connection, release_id, "release.clock", live_at=live_at)

    def half_undone(self) -> list[str]:
        """Incidents whose last release was to be taken back, and could not be, as a whole."""
        query = (
            sa.select(incidents.c.id)
            .distinct()
            .select_from(incidents.join(releases).join(steps))
            .where(incidents.c.state == State.FAILED.value, steps.c.state != "undone")
        )
        with self._transactions.connect() as connection:
            found = [row.id for row in connection.execute(query)]
        last = {identifier: self.latest(identifier) for identifier in found}
        return [name for name, each in last.items() if each and any(step.state != "undone" for step in each.steps)]

    def latest(self, identifier: str) -> Release | None:
        """The last release of an incident."""
        query = sa.select(releases).where(releases.c.incident_id == identifier).order_by(releases.c.started_at.desc())
        with self._transactions.connect() as connection:
            row = connection.execute(query).first()
            if row is None:
                return None
            found = connection.execute(sa.select(steps).where(steps.c.release_id == row.id).order_by(steps.c.position))
            return Release(
                id=row.id,
                incident_id=identifier,
                patch_id=row.patch_id,
                state=row.state,
                started_at=row.started_at,
                live_at=row.live_at,
                observation=row.observation,
                steps=tuple(
                    Step(
                        deployer=step.deployer,
                        state=step.state,
                        undo=json.loads(step.undo),
                        summary=step.summary,
                        facts=json.loads(step.facts),
                    )
                    for step in found
                ),
            )

    def positions_of(self, release_id: str) -> list[int]:
        """The positions of a release's steps, in the order of `Release.steps`."""
        query = sa.select(steps.c.position).where(steps.c.release_id == release_id).order_by(steps.c.position)
        with self._transactions.connect() as connection:
            return [row.position for row in connection.execute(query)]

    @staticmethod
    def _tell(connection: sa.Connection, release_id: str, action: str, **detail: Any) -> None:
        query = sa.select(releases.c.incident_id).where(releases.c.id == release_id)
        identifier = str(connection.execute(query).scalar() or "")
        append(connection, action, _US, identifier, release=release_id, **detail)

    def of_crash(self, fingerprint: str) -> int:
        """How many releases there were for crashes of a fingerprint, whatever became of them."""
        query = sa.select(sa.func.count()).select_from(releases.join(incidents))
        with self._transactions.connect() as connection:
            return int(connection.execute(query.where(incidents.c.fingerprint == fingerprint)).scalar() or 0)

    def touched(self, paths: Iterable[str]) -> dict[str, float]:
        """When a release last changed each of these files, in seconds since the epoch; others are left out."""
        query = (
            sa.select(touched.c.path, sa.func.max(releases.c.started_at))
            .select_from(touched.join(releases))
            .where(touched.c.path.in_(list(paths)))
            .group_by(touched.c.path)
        )
        with self._transactions.connect() as connection:
            return {row[0]: float(row[1]) for row in connection.execute(query)}

    def since(self, moment: float) -> int:
        """How many releases began after `moment` (seconds since the epoch)."""
        query = sa.select(sa.func.count()).select_from(releases).where(releases.c.started_at > moment)
        with self._transactions.connect() as connection:
            return int(connection.execute(query).scalar() or 0)
