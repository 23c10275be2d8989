"""Hears what an engine does: which incident a request became, how far it is, and how long each stage took."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Callable, Dict, List, Optional, Set, Tuple

if TYPE_CHECKING:
    from homeostasis.cli.demo.traffic import Call
    from homeostasis.engine import Notice
    from homeostasis.models import Incident


class Watcher:
    """The observer of one engine; other threads wait on it."""

    def __init__(self, progress: Callable[[Notice], None]) -> None:
        self._progress = progress
        self._changed = threading.Condition()
        self._incidents: Dict[str, Incident] = {}
        self._notices: Dict[str, List[Tuple[float, Notice]]] = {}

    def __call__(self, notice: Notice) -> None:
        """Take a notice; called from the engine's threads."""
        if notice.incident is not None:
            with self._changed:
                # A stage that ends tells of the incident as it was when the stage began.
                if notice.kind == "state" or notice.incident.id not in self._incidents:
                    self._incidents[notice.incident.id] = notice.incident
                self._notices.setdefault(notice.incident.id, []).append((time.monotonic(), notice))
                self._changed.notify_all()
        self._progress(notice)

    def wait(self, timeout: float) -> None:
        """Sleep until the next notice or the timeout, in seconds."""
        with self._changed:
            self._changed.wait(timeout)

    def known(self) -> Set[str]:
        """The ids of all incidents so far."""
        with self._changed:
            return set(self._incidents)

    def incident(self, identifier: str) -> Incident:
        """The incident in its latest state."""
        with self._changed:
            return self._incidents[identifier]

    def incident_of(self, call: Call, before: Set[str]) -> Optional[Incident]:
        """The newest incident that the call led to, among those that are not in `before`."""
        path, _, query = call.path.partition("?")
        with self._changed:
            found = [
                incident
                for identifier, incident in self._incidents.items()
                if identifier not in before
                and incident.event.request is not None
                and (incident.event.request.method, incident.event.request.path) == (call.method, path)
                and incident.event.request.query == query
            ]
        return found[-1] if found else None

    def finished(self, identifier: str) -> List[Notice]:
        """The ends of the stages of an incident, in order."""
        with self._changed:
            return [notice for _, notice in self._notices.get(identifier, []) if notice.kind in ("finished", "failed")]

    def spans(self, identifier: str) -> Dict[str, Tuple[float, float]]:
        """For each stage, when it was first begun and last ended, on the clock of `time.monotonic`."""
        spans: Dict[str, Tuple[float, float]] = {}
        with self._changed:
            for at, notice in self._notices.get(identifier, []):
                if notice.kind in ("started", "finished", "failed") and notice.stage:
                    spans[notice.stage] = (spans.get(notice.stage, (at, at))[0], at)
        return spans
