"""Crashes of a stream that a command reads, handed to the orchestrator through the spool."""

from __future__ import annotations

import json
import os
import select
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Optional

from homeostasis.collecting.events import EventMaker
from homeostasis.monitoring.spool import SpoolWriter
from homeostasis_collect_logs.collector import scanner_for
from homeostasis_collect_logs.tail import READ_AT_ONCE

if TYPE_CHECKING:
    from homeostasis.models import Event
    from homeostasis.project import Project
    from homeostasis_collect_logs.settings import CollectLogsSettings

PAUSE = 0.5
"""Seconds after which a spool that is full is tried again: until then nothing is read, and the writer waits."""


def limit_of(project: Project) -> int:
    """Size that the spool of a project may have, in bytes."""
    return project.config.monitoring.max_spool_bytes


class SpoolSink:
    """What of a `Sink` an `EventMaker` uses, into the spool of a project; it counts what went in."""

    def __init__(self, project: Project) -> None:
        self.events = self.recurrences = 0
        self.losses: Dict[str, int] = {}
        self._limit = limit_of(project)
        self._writer = SpoolWriter(str(project.root), self._limit)
        self._lines: List[bytes] = []

    def event(self, event: Event) -> None:
        """An exception was read."""
        line = _line("event", event.model_dump(mode="json"))
        if len(line) > self._limit:  # it would be waited for without end
            self.lost("larger than the spool", 1)
            return
        self.events += 1
        self._lines.append(line)

    def recurrence(self, fingerprint: str, count: int, last_seen: float) -> None:
        """A known crash happened again."""
        self.recurrences += count
        self._lines.append(_line("recurrence", {"fingerprint": fingerprint, "count": count, "last_seen": last_seen}))

    def lost(self, reason: str, count: int) -> None:
        """Records that were dropped or unreadable."""
        self.losses[reason] = self.losses.get(reason, 0) + count
        self._lines.append(_line("lost", {"reason": reason, "count": count}))

    @contextmanager
    def batch(self) -> Iterator[None]:
        """What is put within it is written at its end, once there is room."""
        yield
        while self._lines:
            fitting = self._writer.fitting(self._lines)
            refused = self._writer.write(self._lines[:fitting]) if fitting else {"spool full": len(self._lines)}
            if not refused:
                del self._lines[:fitting]
            else:
                time.sleep(PAUSE)

    def close(self) -> None:
        """Close the spool."""
        self._writer.close()


def _line(kind: str, record: Dict[str, Any]) -> bytes:
    return json.dumps({"record": kind, **record}).encode() + b"\n"


def record(chunks: Iterator[Optional[bytes]], project: Project, settings: CollectLogsSettings) -> SpoolSink:
    """Hand the crashes of a log to the orchestrator, as they come.

    Args:
        chunks: bytes of the log; None says that nothing came for a while.
        project: whose spool it goes to.
        settings: of `collect-logs`.

    Returns:
        The sink, with its counts.
    """
    scanner, maker, sink = scanner_for(settings)(0), EventMaker(project, settings), SpoolSink(project)

    def put() -> None:
        crashes, lost = scanner.take(), scanner.take_lost()
        with sink.batch():
            maker.put(crashes, sink)  # type: ignore[arg-type]  # it asks for nothing else
            for reason, count in lost.items():
                sink.lost(reason, count)

    try:
        for data in chunks:
            if data is not None:
                scanner.feed(data, time.monotonic())
            scanner.settle(time.monotonic() - settings.settle)
            put()
        scanner.finish()
        put()
    finally:
        sink.close()
    return sink


def as_it_comes(descriptor: int, seconds: float) -> Iterator[Optional[bytes]]:
    """What can be read of a pipe or file, at once; None for each `seconds` in which nothing came."""
    while True:
        if not select.select([descriptor], [], [], seconds)[0]:
            yield None
            continue
        data = os.read(descriptor, READ_AT_ONCE)
        if not data:
            return
        yield data
