"""One example through the whole cycle: served, crashed, healed by the ordinary engine, and asked again."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Dict, List, Optional, Protocol, Set, Tuple

from homeostasis.cli.demo.service import Example, Service
from homeostasis.cli.demo.traffic import Answer, Call, Traffic, send
from homeostasis.cli.demo.watcher import Watcher
from homeostasis.engine import Engine
from homeostasis.ledger import Ledger
from homeostasis.models import State
from homeostasis.plugins import load_plugins
from homeostasis.project import Project

if TYPE_CHECKING:
    from homeostasis.engine import Notice
    from homeostasis.models import Incident

HEAL_TIMEOUT = 90.0
"""Seconds until a crash counts as not healed."""
CONFIRMATIONS = 6
"""Further proper answers that are asked for: each may come from another worker."""
_LIVE = (State.OBSERVING, State.HEALED)


@dataclass
class Healing:
    """What became of one crash. Times are seconds."""

    app: str
    crash: str
    before: int
    after: int = 0
    healed: bool = False
    reason: str = ""
    incident: Optional[Incident] = None
    rule: str = ""
    effect: str = ""
    commit: str = ""
    seconds: float = 0.0
    stages: Dict[str, float] = field(default_factory=dict)


@dataclass
class Outcome:
    """What became of one example."""

    app: str
    directory: Path
    healings: List[Healing] = field(default_factory=list)
    compared: int = 0
    changed: List[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether every crash was healed and no healthy answer changed."""
        return bool(self.healings) and all(item.healed for item in self.healings) and not self.changed


class Screen(Protocol):
    """Who shows what happens; called from the sessions' threads."""

    def say(self, app: str, text: str) -> None:
        """Something worth a line."""

    def progress(self, app: str, notice: Notice) -> None:
        """The engine is at it."""

    def healing(self, healing: Healing, answer: Answer, watcher: Watcher, ledger: Ledger, root: Path) -> None:
        """A crash has been dealt with, one way or the other."""


class Session:
    """Runs one example from its copy in `directory`."""

    def __init__(self, example: Example, directory: Path, port: int, traffic: Traffic, screen: Screen) -> None:
        self.outcome = Outcome(example.name, directory)
        self._example, self._port, self._traffic, self._screen = example, port, traffic, screen
        self._stop = threading.Event()
        self._watcher = Watcher(lambda notice: screen.progress(example.name, notice))
        self._problem: Optional[BaseException] = None

    def stop(self) -> None:
        """Come to an end soon."""
        self._stop.set()

    def run(self) -> Outcome:
        """Serve, crash, heal, compare.

        Raises:
            HomeostasisError: the service does not start, or the engine cannot work.
        """
        project = Project.load(self.outcome.directory)
        plugins = load_plugins(project)
        with Service(self._example, project, self._port) as service, Ledger.open(project) as ledger:
            service.wait_until_ready(self._traffic.healthy[0])
            self._screen.say(self._example.name, f"served by {self._example.serve[0]} at http://127.0.0.1:{self._port}")
            engine = Engine(project, plugins, ledger, self._watcher)
            thread = threading.Thread(target=self._serve, args=(engine,), name=f"serve-{self._example.name}")
            thread.start()
            try:
                self._drive(project, ledger)
            finally:
                self._stop.set()
                thread.join()
        if self._problem is not None:
            raise self._problem
        return self.outcome

    def _serve(self, engine: Engine) -> None:
        try:
            engine.serve(self._stop)
        except BaseException as error:  # raised again by run()
            self._problem = error
            self._stop.set()

    def _drive(self, project: Project, ledger: Ledger) -> None:
        healthy = self._healthy()
        self._screen.say(self._example.name, f"{len(healthy)} healthy requests were answered; now the crashes")
        for call in self._traffic.crashing:
            if self._stop.is_set():
                return
            healing, answer = self._crash_and_heal(call)
            self._complete(healing, ledger)
            self.outcome.healings.append(healing)
            self._screen.healing(healing, answer, self._watcher, ledger, project.root)
        self._ask_again(healthy)
        self._await_observation(project.config.observe.window, ledger)

    def _healthy(self) -> List[Tuple[Call, Answer]]:
        answered = [(call, send(self._port, call)) for call in self._traffic.healthy]
        for call, answer in answered:
            if not call.is_proper(answer):
                self.outcome.changed.append(f"{call.name}: answered {answer.status} before any crash")
        return answered

    def _crash_and_heal(self, call: Call) -> Tuple[Healing, Answer]:
        before = self._watcher.known()
        answer = send(self._port, call)
        crashed_at = time.monotonic()
        healing = Healing(self._example.name, call.name, before=answer.status)
        self._screen.say(self._example.name, f"{call.method} {call.path} was answered with {answer.status}")
        if 0 < answer.status < 500:
            healing.reason = f"it did not crash: it was answered with {answer.status}"
            return healing, answer
        while not self._stop.is_set():
            if time.monotonic() > crashed_at + HEAL_TIMEOUT:
                healing.reason = healing.reason or f"no fix was live within {HEAL_TIMEOUT:g} s"
                break
            self._watcher.wait(0.1)
            incident = self._watcher.incident_of(call, before)
            if incident is None:
                continue
            healing.incident = incident
            if incident.state in _LIVE:
                answer = send(self._port, call)
                if call.is_proper(answer):
                    healing.seconds = time.monotonic() - crashed_at
                    healing.healed = self._confirmed(call)
                    healing.reason = "" if healing.healed else "a worker still answers with an error"
                    healing.stages = self._stages(incident.id, crashed_at, crashed_at + healing.seconds)
                    break
            elif incident.state.ended or incident.state is State.AWAITING_APPROVAL:
                break
        healing.after = answer.status
        return healing, answer

    def _confirmed(self, call: Call) -> bool:
        return all(call.is_proper(send(self._port, call)) for _ in range(CONFIRMATIONS))

    def _stages(self, identifier: str, start: float, end: float) -> Dict[str, float]:
        """Split the time to heal: each stage, collecting before them, and `live` from the release to the answer."""
        spans = self._watcher.spans(identifier)
        stages = {name: until - since for name, (since, until) in spans.items() if name not in ("collect", "observe")}
        if stages:
            worked = [span for name, span in spans.items() if name in stages]
            stages["collect"] = max(0.0, min(since for since, _ in worked) - start)
            stages["live"] = max(0.0, end - max(until for _, until in worked))
        return stages

    def _complete(self, healing: Healing, ledger: Ledger) -> None:
        if healing.incident is None:
            healing.reason = healing.reason or "the crash never became an incident"
            return
        identifier = healing.incident.id
        patch, release = ledger.patch(identifier), ledger.release(identifier)
        diagnosis = ledger.diagnosis(identifier)
        healing.rule = patch.rule_id if patch else diagnosis.rule_id if diagnosis else ""
        healing.effect = patch.effect.value if patch else ""
        healing.commit = str(release.fact("commit") or "") if release else ""
        if not healing.healed:
            healing.reason = healing.reason or ledger.reason(identifier)

    def _ask_again(self, healthy: List[Tuple[Call, Answer]]) -> None:
        """All requests once more, to the same running service: the crashing ones too, after the last patch."""
        for call, healing in zip(self._traffic.crashing, self.outcome.healings):
            answer = send(self._port, call)
            healing.after = answer.status
            if healing.healed and not call.is_proper(answer):
                healing.healed, healing.reason = False, f"answered with {answer.status} at the end"
        for call, answer in healthy:
            again = send(self._port, call)
            self.outcome.compared += 1
            if (again.status, again.body) != (answer.status, answer.body):
                self.outcome.changed.append(f"{call.name}: answered {answer.status} before and {again.status} after")

    def _await_observation(self, window: float, ledger: Ledger) -> None:
        deadline = time.monotonic() + window + 3
        waiting: Set[str] = {item.incident.id for item in self.outcome.healings if item.incident and item.healed}
        while waiting and time.monotonic() < deadline and not self._stop.is_set():
            waiting = {each for each in waiting if self._watcher.incident(each).state is State.OBSERVING}
            self._watcher.wait(0.1)
        for healing in self.outcome.healings:
            if healing.incident is not None:
                healing.incident = self._watcher.incident(healing.incident.id)
                if healing.healed and healing.incident.state not in _LIVE:
                    healing.healed, healing.reason = False, ledger.reason(healing.incident.id)
