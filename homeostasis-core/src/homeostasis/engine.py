"""The embedded engine: drives the stages from the ledger, in one process, with a few threads.

Everything it knows is in the ledger, so an engine that is killed is followed by one that goes on: what was being worked
on is worked on again, and a release that was half done is taken back first (`homeostasis.recovery`).
"""

from __future__ import annotations

import fcntl
import logging
import os
import queue
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Callable, Iterator

from homeostasis.errors import DeployError, UsageError
from homeostasis.models import Event, Incident, State
from homeostasis.oversight.approval import approve, refuse_stranger
from homeostasis.oversight.decider import UNDECIDED, Decider
from homeostasis.oversight.notify import Notifier
from homeostasis.pipeline import heal
from homeostasis.processes import is_alive, this_process
from homeostasis.recovery import Recovery
from homeostasis.stages.collect import LedgerSink, collect
from homeostasis.stages.context import Context, Notice, Observer
from homeostasis.stages.observe import look, recurred
from homeostasis.stages.sandbox import Preparation
from homeostasis.workers import sweep

if TYPE_CHECKING:
    from homeostasis.hookspecs import Collector
    from homeostasis.ledger import Ledger
    from homeostasis.plugins import Plugins
    from homeostasis.project import Project

__all__ = ["Engine", "Notice"]

LOG = logging.getLogger("homeostasis.engine")
HEALERS = 2
"""Incidents that are healed at the same time."""
TICK = 0.2
"""Seconds between looks at decisions."""
LOOK = 0.5
"""Seconds between looks at what is live."""
RESUME = 5.0
"""Seconds between looks at healings that were broken off."""
COMPLAIN = 60.0
"""Seconds in which the same error of ours is logged once."""
MAX_COMPLAINTS = 100
SETTLE = 60.0
"""Seconds between looks at whether somebody else has changed the tree."""
DECISION_TIMEOUT = 120.0
"""Seconds that `approve`, `reject` and `rollback` wait for the orchestrator that serves the project."""


class Engine:
    """Heals the incidents of one project."""

    def __init__(self, project: Project, plugins: Plugins, ledger: Ledger, observer: Observer) -> None:
        self.context = Context(project, plugins, ledger, observer)
        self._todo: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._preparation: Preparation | None = None
        self._recovery = Recovery(self.context, self._enqueue)
        self._complained: dict[str, float] = {}

    # --- one shot

    def heal(self, event: Event, *, deploy: bool) -> Incident:
        """Take one event through the stages: to the verdict, or on to deployment with `deploy`.

        Raises:
            UsageError: another process is working on the same incident.
        """
        incident, new = collect(self.context, event)
        with self._claimed(incident.id, _new_owner()) as mine:
            if not mine:
                raise UsageError(f"incident {incident.id} is being healed by another process: see `homeostasis show`")
            if incident.state in (State.OBSERVING, State.DEPLOYING):
                return incident
            if not new:
                incident = self.context.ledger.reopen(incident.id, event, "asked for again")
            return heal(self.context, incident, apply=deploy)

    # --- decisions of people

    def approve(self, identifier: str, actor: str, reason: str = "") -> Incident:
        """Approve the patch of an incident that awaits approval, and deploy it once enough people have.

        Raises:
            UsageError: the incident does not await approval, or `actor` is no approver.
            DeployError: it was tried and failed; says why.
        """
        self._refuse(identifier, actor, "approve")
        incident = self.context.ledger.find(identifier)
        approve(self.context.ledger, incident, actor, reason)
        return self._decide(identifier, "approve", actor, reason)

    def reject(self, identifier: str, actor: str, reason: str = "") -> Incident:
        """Refuse the patch of an incident that awaits approval.

        Raises:
            UsageError: the incident does not await approval.
        """
        self._refuse(identifier, actor, "reject")
        return self._decide(identifier, "reject", actor, reason)

    def rollback(self, identifier: str, actor: str, reason: str = "") -> Incident:
        """Undo the release of an incident.

        Raises:
            DeployError: there is none, or it could not be undone; says why.
        """
        return self._decide(identifier, "rollback", actor, reason)

    def retry(self, identifier: str, actor: str, reason: str = "") -> Incident:
        """Work on an incident again that ended without being healed, also if its patch was rolled back.

        Raises:
            UsageError: it has not ended, or is healed, or `actor` is no approver.
        """
        refuse_stranger(self.context.project.config.policy, actor, "retry")
        return self._decide(identifier, "retry", actor, reason)

    def _refuse(self, identifier: str, actor: str, decision: str) -> None:
        refuse_stranger(self.context.project.config.policy, actor, decision)
        incident = self.context.ledger.find(identifier)
        if incident.state not in UNDECIDED:
            raise UsageError(f"incident {incident.id} is {incident.state.value}: there is nothing to {decision}")

    def _decide(self, identifier: str, decision: str, actor: str, reason: str) -> Incident:
        incident = self.context.ledger.find(identifier)
        number = self.context.ledger.decisions.leave(incident.id, decision, actor, reason)
        deadline = time.monotonic() + DECISION_TIMEOUT
        while self.context.ledger.decisions.outcome_of(number) is None:
            with self._serving() as alone:
                if alone:
                    self._carry_out_decisions()
                    continue
            if time.monotonic() > deadline:
                raise UsageError(f"the orchestrator did not act on it within {DECISION_TIMEOUT:g} s: see its output")
            time.sleep(TICK / 4)
        outcome = self.context.ledger.decisions.outcome_of(number)
        if outcome:
            raise DeployError(outcome)
        return self.context.ledger.incident(incident.id)

    def _carry_out_decisions(self) -> None:
        Decider(self.context, self._enqueue).carry_out()

    # --- serving

    def serve(self, stop: threading.Event) -> None:
        """Collect, heal, carry out decisions and observe, until `stop` is set.

        Raises:
            UsageError: another orchestrator serves the project.
        """
        with self._serving() as alone:
            if not alone:
                holder = (self.context.project.state / "orchestrator.lock").read_text(encoding="utf-8").strip()
                raise UsageError(f"another orchestrator ({holder or 'unknown'}) serves {self.context.project.root}")
            self.context = replace(self.context, stopping=stop, serving=True)
            self._preparation = preparation = Preparation(self.context)
            self.context.project.share_settings()
            sweep(self.context.project)
            self._recovery = Recovery(self.context, self._enqueue)
            self._recovery.at_start()
            threads = [*self._start_collectors(stop), *self._start_notifiers(stop)]
            with ThreadPoolExecutor(max_workers=HEALERS, thread_name_prefix="heal") as pool:
                pool.submit(self._guarded, preparation.now)
                self._loop(stop, pool, preparation)
            for thread in threads:
                thread.join(timeout=5)

    def _loop(self, stop: threading.Event, pool: ThreadPoolExecutor, preparation: Preparation) -> None:
        regular = [
            _Regular(TICK, self._carry_out_decisions),
            _Regular(LOOK, self._look_at_releases),
            _Regular(LOOK, self._let_lapse),
            _Regular(RESUME, self._recovery.resume),
            _Regular(SETTLE, lambda: self._todo.put(preparation.once_settled)),
        ]
        while not stop.is_set():
            with suppress(queue.Empty):
                pool.submit(self._guarded, self._todo.get(timeout=TICK / 4))
            for task in regular:
                if task.is_due():
                    self._guarded(task.work)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # one incident's trouble must not end the service of the others
            self._complain(error)

    def _complain(self, error: Exception) -> None:
        """Log an error of ours, but not again and again what comes with every look."""
        now, what = time.monotonic(), f"{type(error).__name__}: {str(error)[:200]}"
        if now - self._complained.get(what, float("-inf")) < COMPLAIN:
            return
        if len(self._complained) >= MAX_COMPLAINTS:
            self._complained.clear()
        self._complained[what] = now
        LOG.exception("the orchestrator goes on after an error of its own")

    def _look_at_releases(self) -> None:
        for identifier, _ in self.context.ledger.unfinished(State.OBSERVING):
            look(self.context, self.context.ledger.incident(identifier))

    def _let_lapse(self) -> None:
        """End what has waited too long for a person: the code and the traffic that it was tried on are of the past."""
        expiry = self.context.project.config.policy.approval_expiry
        for incident in self.context.ledger.waiting(State.AWAITING_APPROVAL, until=time.time() - expiry):
            self.context.move(incident, State.REJECTED, f"nobody decided within {expiry:g} s")

    def _enqueue(self, incident: Incident) -> None:
        self._todo.put(lambda: self._heal_claimed(incident.id))

    def _heal_claimed(self, identifier: str) -> None:
        owner = _new_owner()
        try:
            with self._claimed(identifier, owner) as mine:
                if mine:
                    self._heal_unless_done(identifier)
        except Exception:  # of ours: what a stage may raise ends in a state of the incident
            self._recovery.broke_off(identifier, owner)
            raise
        if mine:
            self._recovery.ended(identifier)

    def _heal_unless_done(self, identifier: str) -> None:
        incident = self.context.ledger.incident(identifier)
        if incident.state not in (State.OPEN, State.DIAGNOSED, State.PATCHED, State.VALIDATED):
            return
        healed = heal(self.context, incident)
        if self._preparation is not None and healed.state is State.OBSERVING:
            self._todo.put(self._preparation.now)

    def _recurred(self, incident: Incident, last_seen: float) -> None:
        if incident.state is State.OBSERVING:  # else there is nothing to do, and a storm would fill the queue
            self._todo.put(lambda: _ignore(recurred(self.context, incident, last_seen)))

    def _start_collectors(self, stop: threading.Event) -> list[threading.Thread]:
        threads = [
            threading.Thread(target=self._collect, args=(name, collector, stop), name=f"collect-{name}", daemon=True)
            for name, collector in self.context.plugins.collectors()
        ]
        for thread in threads:
            thread.start()
        return threads

    def _start_notifiers(self, stop: threading.Event) -> list[threading.Thread]:
        threads = [
            threading.Thread(target=Notifier(self.context, name).run, args=(stop,), name=name, daemon=True)
            for name in self.context.plugins.implementing("notify")
        ]
        for thread in threads:
            thread.start()
        return threads

    def _collect(self, name: str, collector: Collector, stop: threading.Event) -> None:
        sink = LedgerSink(self.context, self._enqueue, self._recurred, name)
        while not stop.is_set():
            try:
                collector.run(sink, stop)
                return
            except Exception as error:
                LOG.exception("collector %s failed and is started again", name)
                self.context.tell("note", None, "collect", f"collector {name} failed: {error}; it is started again")
                stop.wait(1.0)

    # --- who does what

    @contextmanager
    def _serving(self) -> Iterator[bool]:
        """Whether this engine now is the one that serves the project. The lock ends with the process."""
        path = self.context.project.state / "orchestrator.lock"
        with path.open("a+") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            handle.truncate(0)
            handle.write(f"process {os.getpid()}\n")
            handle.flush()
            yield True

    @contextmanager
    def _claimed(self, identifier: str, owner: str) -> Iterator[bool]:
        mine = self.context.ledger.claims.take(identifier, owner, lambda other: is_alive(other.split("/")[0]))
        try:
            yield mine
        finally:
            if mine:
                self.context.ledger.claims.let_go(identifier, owner)


def _new_owner() -> str:
    """A text that names this process, and one piece of its work."""
    return f"{this_process()}/{uuid.uuid4().hex[:8]}"


class _Regular:
    """Something that is done every so many seconds."""

    def __init__(self, seconds: float, work: Callable[[], None]) -> None:
        self.work = work
        self._seconds = seconds
        self._last = 0.0

    def is_due(self) -> bool:
        """Whether it is time; if so, the time until the next one begins."""
        now = time.monotonic()
        due = now - self._last >= self._seconds
        if due:
            self._last = now
        return due


def _ignore(_: Incident) -> None:
    """A recurrence has been dealt with in the ledger."""
