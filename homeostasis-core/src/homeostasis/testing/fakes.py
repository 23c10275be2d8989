"""Stand-ins for what the engine hands to hooks. They keep what they were told, and insist on what is storable."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, ContextManager, Mapping, NamedTuple, Sequence

from homeostasis.models import Completed, Event, Patch, Request, Trial
from homeostasis.monitoring.traffic import BOUNDARIES

if TYPE_CHECKING:
    from homeostasis.project import Project

Answer = Callable[["Call"], "Completed | None"]


class Call(NamedTuple):
    """One command that a validator ran in a trial."""

    argv: tuple[str, ...]
    stdin: str
    env: dict[str, str]
    cwd: str
    timeout: float


def completed(
    call: Call, *, stdout: str = "", stderr: str = "", returncode: int = 0, timed_out: bool = False
) -> Completed:
    """How a command ended, for use in an answer of `FakeRunner`."""
    seconds = call.timeout if timed_out else 0.01
    return Completed(
        argv=call.argv, returncode=returncode, stdout=stdout, stderr=stderr, seconds=seconds, timed_out=timed_out
    )


class FakeRunner:
    """A `Runner` that answers from `answers`: the first one that returns something decides.

    A command that nobody answers ends with status 0 and no output. `calls` and `closed` tell what happened.
    """

    def __init__(self, *answers: Answer) -> None:
        self.answers = answers
        self.calls: list[Call] = []
        self.closed = False

    def run(self, argv: Sequence[str], *, stdin: str, env: Mapping[str, str], cwd: str, timeout: float) -> Completed:
        """Answer a command."""
        assert not self.closed, f"{list(argv)} was run in a trial that was closed already"
        call = Call(tuple(argv), stdin, dict(env), cwd, timeout)
        self.calls.append(call)
        found = (answer(call) for answer in self.answers)
        return next((result for result in found if result is not None), completed(call))

    def close(self) -> None:
        """Remember that the trial was closed."""
        self.closed = True


def fake_trial(root: Path, *answers: Answer, patch: Patch | None = None) -> Trial:
    """A trial in which nothing runs: `answers` say how commands end. The runner is `trial.runner`."""
    return Trial(root=root, python="python", isolation="fake", patch=patch, runner=FakeRunner(*answers))


@dataclass
class MemorySink:
    """A `Sink` that keeps what collectors put, in the order in which it came."""

    events: list[Event] = field(default_factory=list)
    recurrences: list[tuple[str, int, float]] = field(default_factory=list)
    samples: list[tuple[str, Request]] = field(default_factory=list)
    requests: list[tuple[str, str, int, int, float]] = field(default_factory=list)
    durations: list[tuple[float, tuple[int, ...]]] = field(default_factory=list)
    losses: list[tuple[str, int]] = field(default_factory=list)
    heard_of: list[tuple[str, int, float]] = field(default_factory=list)
    positions: dict[str, int] = field(default_factory=dict)

    def event(self, event: Event) -> None:
        """An exception was captured whole."""
        self.events.append(Event.model_validate_json(event.model_dump_json()))

    def recurrence(self, fingerprint: str, count: int, last_seen: float) -> None:
        """A known crash happened again."""
        self.recurrences.append((fingerprint, count, last_seen))

    def sample(self, service: str, request: Request) -> None:
        """A request that was answered well."""
        self.samples.append((service, request))

    def traffic(
        self,
        service: str,
        route: str,
        requests: int,
        errors: int,
        at: float,
        seconds: float = 0.0,
        buckets: Sequence[int] = (),
    ) -> None:
        """Requests that were answered, into `requests`, with their `seconds` and `buckets` into `durations`."""
        assert len(buckets) in (0, len(BOUNDARIES) + 1), f"{len(buckets)} buckets; there are {len(BOUNDARIES)} bounds"
        self.requests.append((service, route, requests, errors, at))
        self.durations.append((seconds, tuple(buckets)))

    def lost(self, reason: str, count: int) -> None:
        """Records that were dropped."""
        self.losses.append((reason, count))

    def heard(self, source: str, records: int, at: float) -> None:
        """Records that were read."""
        self.heard_of.append((source, records, at))

    def batch(self) -> ContextManager[None]:
        """Nothing is taken back here."""
        return contextlib.nullcontext()

    def position(self, source: str) -> int:
        """How far a source was read."""
        return self.positions.get(source, 0)

    def advance(self, source: str, position: int) -> None:
        """Remember how far a source was read."""
        self.positions[source] = position


class Killed(BaseException):
    """What `RecordingJournal` raises to stand for a process that dies at this point."""


class RecordingJournal:
    """A `Journal` that keeps undo data as JSON, and may die right after it was told the intent.

    Args:
        on_intent: called with nothing when `intend` is called, before it is recorded.
        die: raise `Killed` once the intent is recorded.
    """

    def __init__(self, on_intent: Callable[[], None] | None = None, *, die: bool = False) -> None:
        self.undo: dict[str, Any] | None = None
        self.facts: dict[str, Any] = {}
        self._on_intent = on_intent
        self._die = die

    def intend(self, undo: Mapping[str, Any]) -> None:
        """Record what undoing needs."""
        assert self.undo is None, "journal.intend was called twice: an intent is whole and comes once"
        if self._on_intent:
            self._on_intent()
        self.undo = json.loads(json.dumps(dict(undo)))
        if self._die:
            raise Killed

    def fact(self, name: str, value: Any) -> None:
        """Record a fact."""
        self.facts[name] = json.loads(json.dumps(value))


def state_of(project: Project) -> dict[str, bytes]:
    """The bytes of all files of a project but those in `.git` and `.homeostasis`, by relative path."""
    return {
        path.relative_to(project.root).as_posix(): path.read_bytes()
        for path in sorted(project.root.rglob("*"))
        if path.is_file() and not {".git", ".homeostasis", "__pycache__"} & set(path.relative_to(project.root).parts)
    }
