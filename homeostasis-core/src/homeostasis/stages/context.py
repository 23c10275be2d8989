"""What every stage works with, and the frame around a stage: span, notices, and how it may end early."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Callable, Iterator, Literal

from homeostasis.telemetry import stage_span

if TYPE_CHECKING:
    from homeostasis.ledger import Ledger
    from homeostasis.models import Incident, State
    from homeostasis.plugins import Plugins
    from homeostasis.project import Project


@dataclass(frozen=True)
class Notice:
    """Something that happened, for whoever shows it. `seconds` is the stage's duration once it has ended."""

    kind: Literal["started", "finished", "failed", "state", "note"]
    incident: Incident | None
    stage: str = ""
    text: str = ""
    seconds: float = 0.0
    payload: Any = None


Observer = Callable[[Notice], None]


@dataclass(frozen=True)
class Context:
    """A project with its plugins and ledger, who hears of progress (from worker threads), and when to end.

    `serving` tells an orchestrator that stays from one that heals a single incident: work that pays off later is done.
    """

    project: Project
    plugins: Plugins
    ledger: Ledger
    observer: Observer
    stopping: threading.Event = field(default_factory=threading.Event)
    serving: bool = False

    def tell(self, kind: Any, incident: Incident | None, stage: str, text: str = "", payload: Any = None) -> None:
        """Send a notice."""
        self.observer(Notice(kind, incident, stage, text, 0.0, payload))

    def move(self, incident: Incident, state: State, detail: str = "", actor: str = "homeostasis") -> Incident:
        """Change an incident's state, in the ledger first."""
        moved = self.ledger.transition(incident.id, state, detail, actor)
        self.observer(Notice("state", moved, text=detail))
        return moved


class Ended(Exception):
    """A stage found that the incident ends here."""

    def __init__(self, state: State, reason: str) -> None:
        super().__init__(reason)
        self.state = state
        self.reason = reason


class Interrupted(Exception):
    """The orchestrator is ending; the next one goes on with the incident."""


class Outdated(Exception):
    """The source changed while a patch was being made from it."""


class Progress:
    """Lets the body of a stage say what it found."""

    def __init__(self) -> None:
        self.text = ""
        self.payload: Any = None

    def found(self, text: str, payload: Any = None) -> None:
        """What the notice of the stage's end shall say."""
        self.text, self.payload = text, payload


@contextmanager
def stage(context: Context, name: str, incident: Incident) -> Iterator[Progress]:
    """Run the body as a stage: a span around it, notices at its start and end."""
    progress = Progress()
    started = time.perf_counter()
    context.observer(Notice("started", incident, name))
    try:
        with stage_span(name, incident.id, incident.service):
            yield progress
    except BaseException as error:
        elapsed = time.perf_counter() - started
        context.observer(Notice("failed", incident, name, str(error), elapsed, progress.payload))
        raise
    elapsed = time.perf_counter() - started
    context.observer(Notice("finished", incident, name, progress.text, elapsed, progress.payload))
