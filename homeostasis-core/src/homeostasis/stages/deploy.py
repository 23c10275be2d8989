"""Stage 6, around `homeostasis_deploy` and `homeostasis_undo`: a chain of steps, all done or all undone."""

from __future__ import annotations

import fcntl
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Iterator, Mapping

from sqlalchemy.exc import SQLAlchemyError

from homeostasis.errors import DeployError, HomeostasisError
from homeostasis.ledger import track
from homeostasis.models import Incident, Outcome, Patch, Release, State, Verdict
from homeostasis.oversight.pause import paused
from homeostasis.policy import Case, History, decide, forbidden, hour_ago
from homeostasis.stages.context import Ended, Outdated, stage

if TYPE_CHECKING:
    from homeostasis.project import Project
    from homeostasis.stages.context import Context

_ONE_AT_A_TIME = threading.RLock()


def deploy(
    context: Context, incident: Incident, patch: Patch, verdict: Verdict, *, approved_by: str | None = None
) -> Release | None:
    """Make an accepted patch live, if the policy allows it or `approved_by` (a person) does.

    Returns:
        The release, or None if a person is asked first or nothing may be deployed.

    Raises:
        Outdated: the files have changed since the patch was made.
        Ended: whoever approved it, it may not be deployed, or not now; or a step failed, and what was done before it
            has been undone.
    """
    if verdict.outcome is not Outcome.ACCEPTED:
        raise Ended(State.REJECTED, f"the verdict is {verdict.outcome.value}: {verdict.reason}")
    case = Case(incident, patch, verdict, context.ledger.diagnosis(incident.id))
    if approved_by is None:
        decision = decide(context.project, case, _history(context, case))
        if decision.action == "ask":
            context.move(incident, State.AWAITING_APPROVAL, decision.reason)
        if decision.action != "deploy":
            context.tell("note", incident, "deploy", decision.reason)
            return None
    else:
        refusal = forbidden(context.project, case)
        if refusal is not None:
            raise Ended(State.VALIDATED, refusal.reason)
    with _exclusive(context.project):
        _refuse_while_paused(context.project)
        return _run_chain(context, incident, patch, verdict, approved_by or "homeostasis")


def _refuse_while_paused(project: Project) -> None:
    """Looked at last, under the lock: who pauses and then takes the lock knows that nothing follows."""
    pause = paused(project)
    if pause is not None:
        raise Ended(
            State.AWAITING_APPROVAL, f"deployments are paused ({pause}): `homeostasis resume` allows them again"
        )


def _history(context: Context, case: Case) -> History:
    releases = context.ledger.releases
    of_crash = releases.of_crash(case.incident.fingerprint)
    return History(releases.since(hour_ago()), of_crash, releases.touched(case.paths))


def _run_chain(context: Context, incident: Incident, patch: Patch, verdict: Verdict, actor: str) -> Release:
    _refuse_outdated(context.project, patch)
    chain = context.project.config.deploy.chain
    with stage(context, "deploy", incident) as progress:
        incident = context.move(incident, State.DEPLOYING, " → ".join(chain), actor)
        release_id = context.ledger.releases.begin(incident.id, patch.id, chain, [edit.path for edit in patch.edits])
        try:
            for position, name in enumerate(chain):
                _take_step(context, incident, patch, verdict, LedgerJournal(context, release_id, position, name))
            release = _now_live(context, incident, patch, release_id)
        except SQLAlchemyError as error:  # such as a full disk: the next orchestrator writes down what became of it
            _taken_back(context, incident, patch, "the ledger cannot be written", error)
            raise
        progress.found("; ".join(step.summary for step in release.steps), release)
    return release


def _take_step(context: Context, incident: Incident, patch: Patch, verdict: Verdict, journal: LedgerJournal) -> None:
    name = journal.deployer
    try:
        summary = context.plugins.deploy(name, patch, verdict, incident, journal)
    except DeployError as error:
        raise Ended(State.FAILED, _taken_back(context, incident, patch, name, error)) from error
    journal.done(summary)
    context.tell("note", incident, "deploy", f"{name}: {summary}", summary)


def _now_live(context: Context, incident: Incident, patch: Patch, release_id: str) -> Release:
    context.ledger.releases.end(release_id, "live", live_at=time.time())
    context.ledger.track.add(patch.rule_id, track.DEPLOYED)
    release = context.ledger.release(incident.id)
    if release is None:  # it was written a line ago
        raise DeployError(f"the release {release_id} vanished from the ledger")
    context.move(incident, State.OBSERVING, f"watched for {context.project.config.observe.window:g} s")
    return release


def _refuse_outdated(project: Project, patch: Patch) -> None:
    for edit in patch.edits:
        file = project.root / edit.path
        if (file.read_bytes() if file.is_file() else None) != edit.before:
            raise Outdated(f"{edit.path} has changed since the patch was made")


def _taken_back(context: Context, incident: Incident, patch: Patch, name: str, error: Exception) -> str:
    release = context.ledger.release(incident.id)
    if release is None:
        return f"{name}: {error}"
    problems = undo_steps(context, release, patch)
    context.ledger.releases.end(release.id, "failed", f"{name}: {error}")
    left = f"; and could not be taken back: {'; '.join(problems)}" if problems else "; everything was taken back"
    return f"{name}: {error}{left}"


def undo_steps(context: Context, release: Release, patch: Patch) -> list[str]:
    """Undo a release's steps in reverse order. Returns what could not be undone, a sentence each.

    Raises:
        SQLAlchemyError: the ledger cannot be written; all steps have been undone nevertheless, if they could be.
    """
    problems: list[str] = []
    unwritten: SQLAlchemyError | None = None
    positions = context.ledger.releases.positions_of(release.id)
    for position, step in reversed(list(zip(positions, release.steps))):
        if step.state == "undone":
            continue
        try:
            context.plugins.undo(step, release, patch)
            context.ledger.releases.end_step(release.id, position, "undone")
        except HomeostasisError as error:
            problems.append(f"{step.deployer}: {error}")
        except SQLAlchemyError as error:
            unwritten = error
    if unwritten is not None:
        raise unwritten
    return problems


def finish_taking_back(context: Context, identifier: str) -> None:
    """Go on with an undo that was not complete, such as on a full disk. What still cannot be undone stays as it is."""
    incident, release, patch = (
        context.ledger.incident(identifier),
        context.ledger.release(identifier),
        context.ledger.patch(identifier),
    )
    if release is None or patch is None:
        return
    if release.state == "live":  # a rollback, after which the patch is latched
        with suppress(DeployError):
            roll_back(context, incident, "the rest of an earlier rollback")
        return
    with _exclusive(context.project):
        if not undo_steps(context, release, patch):
            context.move(incident, State.FAILED, f"{context.ledger.reason(identifier)}; it is taken back now")


def roll_back(context: Context, incident: Incident, reason: str, actor: str = "homeostasis") -> Incident:
    """Undo an incident's release and latch it: the same patch is not deployed again by itself.

    Raises:
        DeployError: there is nothing to undo, or a step could not be undone; says which.
    """
    release, patch = context.ledger.release(incident.id), context.ledger.patch(incident.id)
    if release is None or patch is None or release.state not in ("live", "deploying", "failed"):
        raise DeployError(f"incident {incident.id} has no live release: there is nothing to roll back")
    with _exclusive(context.project), stage(context, "rollback", incident) as progress:
        problems = undo_steps(context, release, patch)
        if problems:
            context.move(incident, State.FAILED, f"rollback: {'; '.join(problems)}", actor)
            raise DeployError(f"the rollback of {incident.id} is not complete: {'; '.join(problems)}")
        with context.ledger.batch():  # a kill must not leave a release that is taken back and an incident that is live
            context.ledger.releases.end(release.id, "rolled_back", reason)
            context.ledger.track.add(patch.rule_id, track.ROLLED_BACK)
            ended = context.move(incident, State.ROLLED_BACK, reason, actor)
        progress.found(reason, context.ledger.release(incident.id))
    return ended


class LedgerJournal:
    """The journal of one step: the intent is in the ledger before the deployer changes anything."""

    def __init__(self, context: Context, release_id: str, position: int, deployer: str) -> None:
        self._releases = context.ledger.releases
        self._release_id, self._position, self.deployer = release_id, position, deployer
        self._intended = False
        self._facts: dict[str, Any] = {}

    def intend(self, undo: Mapping[str, Any]) -> None:
        """Record what the undo needs."""
        self._releases.intend(self._release_id, self._position, self.deployer, dict(undo))
        self._intended = True

    def fact(self, name: str, value: Any) -> None:
        """Add to the step's facts."""
        self._facts[name] = value

    def done(self, summary: str) -> None:
        """The deployer returned."""
        if not self._intended:
            self.intend({})
        self._releases.end_step(self._release_id, self._position, "done", summary, self._facts)


@contextmanager
def _exclusive(project: Project) -> Iterator[None]:
    """One deployment or rollback at a time, in this process and in all others."""
    with _ONE_AT_A_TIME, (project.state / "deploy.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
