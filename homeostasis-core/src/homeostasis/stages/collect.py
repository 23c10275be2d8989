"""Stage 1, around `homeostasis_collect`: events become incidents, durably, before their source is acknowledged."""

from __future__ import annotations

import hashlib
import threading
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Iterator, Sequence

from homeostasis.models import Event, Incident, State
from homeostasis.policy import exclusion

if TYPE_CHECKING:
    from homeostasis.models import Request
    from homeostasis.project import Project
    from homeostasis.stages.context import Context

_RETRIED = (State.UNFIXABLE, State.FAILED)


def collect(context: Context, event: Event) -> tuple[Incident, bool]:
    """Record an event.

    Returns:
        Its incident, and whether there is something to heal now: the incident is new, or an earlier try found no fix
        and the code has changed since.
    """
    incident, new = context.ledger.record(event)
    digest = code_digest(context.project, event)
    if new:
        context.ledger.set_digest(incident.id, digest)
        context.tell("note", incident, "collect", f"{event.raised.dotted}: {event.raised.message}", event)
        return incident, True
    if incident.state in _RETRIED and digest != context.ledger.digest(incident.id):
        context.ledger.set_digest(incident.id, digest)
        return context.ledger.reopen(incident.id, event, "the code has changed since the last try"), True
    return incident, False


def code_digest(project: Project, event: Event) -> str:
    """Hex digest over the project's files that the event's frames lie in: tells whether the code changed."""
    digest = hashlib.sha256()
    for path in sorted({frame.path for raised in event.exceptions for frame in raised.frames if frame.in_app}):
        file = Path(path)
        if project.root in file.parents and file.is_file():
            digest.update(file.read_bytes())
    return digest.hexdigest()


class LedgerSink:
    """The sink that a collector gets: everything goes into the ledger.

    Args:
        collector: its name, under which `homeostasis sources` tells what it heard and dropped.
    """

    def __init__(
        self,
        context: Context,
        on_open: Callable[[Incident], None],
        on_recurrence: Callable[[Incident, float], None],
        collector: str = "collector",
    ) -> None:
        self._context = context
        self._on_open = on_open
        self._on_recurrence = on_recurrence
        self._collector = collector
        self._batch = threading.local()

    @contextmanager
    def batch(self) -> Iterator[None]:
        """One transaction; whoever is to hear of it does so when it is over."""
        self._batch.later, self._batch.again = [], {}
        try:
            with self._context.ledger.batch():
                yield
                self._recur(self._batch.again)
            later: list[Callable[[], None]] = self._batch.later
        finally:
            self._batch.later = self._batch.again = None
        for call in later:
            call()

    def _tell(self, call: Callable[[], None]) -> None:
        later = getattr(self._batch, "later", None)
        if later is None:
            call()
        else:
            later.append(call)

    def event(self, event: Event) -> None:
        """An exception was captured whole."""
        if exclusion(self._context.project.config.monitoring, event):
            return
        incident, heal_now = collect(self._context, event)
        if heal_now:
            self._tell(partial(self._on_open, incident))
        else:
            self._tell(partial(self._on_recurrence, incident, event.timestamp))

    def recurrence(self, fingerprint: str, count: int, last_seen: float) -> None:
        """A known crash happened again."""
        again: dict[str, tuple[int, float]] | None = getattr(self._batch, "again", None)
        if again is None:
            self._recur({fingerprint: (count, last_seen)})
        else:  # counted at the end of the batch, all together
            before, seen = again.get(fingerprint, (0, last_seen))
            again[fingerprint] = before + count, max(seen, last_seen)

    def _recur(self, found: dict[str, tuple[int, float]]) -> None:
        """Count them; who waits for a recurrence is a release that is watched."""
        known = self._context.ledger.recur(found) if found else {}
        unknown = sum(count for fingerprint, (count, _) in found.items() if fingerprint not in known)
        if unknown:
            self.lost("recurrence of an unknown crash", unknown)
        for fingerprint, (identifier, state) in known.items():
            if state is State.OBSERVING:
                incident = self._context.ledger.incident(identifier)
                self._tell(partial(self._on_recurrence, incident, found[fingerprint][1]))

    def sample(self, service: str, request: Request) -> None:
        """A request that was answered well."""
        self._context.ledger.heard.keep_sample(service, request)

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
        """Answered requests of a route."""
        self._context.ledger.heard.add_traffic(service, route[:500], requests, errors, at, seconds, buckets)

    def lost(self, reason: str, count: int) -> None:
        """Dropped or unreadable records."""
        self._context.ledger.sources.drop(self._collector, reason[:200], count)

    def heard(self, source: str, records: int, at: float) -> None:
        """Records that were read."""
        self._context.ledger.sources.add(self._collector, source[:500], records, at)

    def position(self, source: str) -> int:
        """How far a source was read."""
        return self._context.ledger.heard.position(source)

    def advance(self, source: str, position: int) -> None:
        """Remember how far a source was read."""
        self._context.ledger.heard.advance(source, position)
