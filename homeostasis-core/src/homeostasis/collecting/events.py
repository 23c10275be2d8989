"""Crashes that were reported become events of the project, or, while they are known, counts."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Dict, Iterable, List, Optional, Tuple

from homeostasis.collecting.class_names import name_classes
from homeostasis.collecting.crash import MAX_BREADCRUMBS
from homeostasis.collecting.paths import PathMap
from homeostasis.collecting.requests import without_secrets
from homeostasis.collecting.revisions import Revisions
from homeostasis.monitoring.redaction import Redactor
from homeostasis.tracebacks import event_from_chain

if TYPE_CHECKING:
    from homeostasis.collecting.crash import Crash
    from homeostasis.collecting.settings import CollectorTable
    from homeostasis.hookspecs import Sink
    from homeostasis.models import Breadcrumb, Event
    from homeostasis.project import Project

LOG = logging.getLogger("homeostasis.collecting")
MAX_KNOWN = 5_000
"""Different crashes that are remembered."""
MAX_IDS = 100_000
"""Ids of occurrences that are remembered, to know again what was sent twice."""
UNREADABLE = "crash that could not be made an event"
FOREIGN = "crash without a frame in the project (see path_map)"
REPEATED = "record that was sent again"

_Key = Tuple[object, ...]


class EventMaker:
    """Makes events, and remembers for `recapture` seconds which crashes it made one of.

    Args:
        project: whose files complete the frames.
        settings: the collector's.
        source: prefix of `Event.source`; the crash's format follows it.
    """

    def __init__(self, project: Project, settings: CollectorTable, source: str = "log") -> None:
        self._project = project
        self._settings = settings
        self._source = source
        self._paths = PathMap(settings.path_map, project.root)
        self._redactor = Redactor(project.config.monitoring.redact_names)
        self._revisions = Revisions(project.root)
        self._known: Dict[_Key, Tuple[float, Optional[str]]] = {}
        self._ids: Dict[str, None] = {}

    def put(self, crashes: Iterable[Crash], sink: Sink) -> None:
        """Put crashes into the sink, in order; those that are known as counts, after the others."""
        again: Dict[str, List[float]] = {}
        lost: Dict[str, int] = {}
        for crash in crashes:
            if crash.id is not None and self._seen(crash.id):
                lost[REPEATED] = lost.get(REPEATED, 0) + 1
                continue
            key = _key(crash)
            at, fingerprint = self._known.get(key, (float("-inf"), None))
            if time.monotonic() - at >= self._settings.recapture:
                try:
                    event = self.event(crash)
                except Exception:  # or the same record would end every run of the collector
                    LOG.exception("a crash could not be made an event")
                    lost[UNREADABLE] = lost.get(UNREADABLE, 0) + 1
                    continue
                self._remember(key, event.fingerprint if event else None)
                if event is None:
                    lost[FOREIGN] = lost.get(FOREIGN, 0) + 1
                else:
                    sink.event(event)
            elif fingerprint is None:
                lost[FOREIGN] = lost.get(FOREIGN, 0) + 1
            else:
                again.setdefault(fingerprint, []).append(_moment(crash))
        for fingerprint, moments in again.items():
            sink.recurrence(fingerprint, len(moments), max(moments))
        for reason, count in lost.items():
            sink.lost(reason, count)

    def _remember(self, key: _Key, fingerprint: Optional[str]) -> None:
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        self._known[key] = time.monotonic(), fingerprint

    def _seen(self, occurrence: str) -> bool:
        if occurrence in self._ids:
            return True
        if len(self._ids) >= MAX_IDS:
            del self._ids[next(iter(self._ids))]
        self._ids[occurrence] = None
        return False

    def event(self, crash: Crash) -> Optional[Event]:
        """The event of a crash; None if none of its frames is the project's."""
        if crash.complete is not None:
            crash.complete(crash)
        for item in crash.chain:
            for frame in item.frames:
                frame.path = self._paths.mapped(frame.path)
        if crash.class_names_only:
            name_classes(crash.chain, self._project)
        event = event_from_chain(
            crash.chain,
            self._project,
            crash.losses,
            redactor=self._redactor,
            lines=self._revisions.reader(crash.revision),
            timestamp=_moment(crash),
            service=self._settings.service or crash.service or self._project.config.service,
            source=f"{self._source}:{crash.format}",
            trace_id=crash.trace_id,
            span_id=crash.span_id,
            request=None if crash.request is None else without_secrets(crash.request, self._redactor),
            runtime=crash.runtime
            if crash.thread is None
            else crash.runtime.model_copy(update={"thread": crash.thread}),
            handled=crash.handled,
            breadcrumbs=tuple(map(self._without_secrets, crash.breadcrumbs[-MAX_BREADCRUMBS:])),
        )
        ours = any(frame.in_app for raised in event.exceptions for frame in raised.frames)
        return event if ours else None

    def _without_secrets(self, breadcrumb: Breadcrumb) -> Breadcrumb:
        return breadcrumb.model_copy(update={"message": self._redactor.text(breadcrumb.message)})


def _moment(crash: Crash) -> float:
    """When it happened: neither before 1970 nor later than now, whatever the record says."""
    now = time.time()
    return now if crash.moment is None else min(max(crash.moment, 0.0), now)


def _key(crash: Crash) -> _Key:
    return tuple(
        (item.name, item.relation, item.member, item.depth, tuple((f.path, f.line, f.function) for f in item.frames))
        for item in crash.chain
    )
