"""Carries records from the app's threads to the spool: a bounded queue and one daemon thread, begun when needed."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from typing import Any, Callable

from homeostasis.monitoring.encode import encode
from homeostasis.monitoring.internal import failed
from homeostasis.monitoring.spool import SpoolWriter

MAX_QUEUED = 500
"""Records that wait at most; more are counted as lost."""
MAX_BATCH = 100
"""Records that are written with one call."""
WRITE_EVERY = 0.05
"""Shortest time between two writes of records, in seconds. The first of a burst is written at once; to wake the thread
for each of the others would cost more than to write them."""
COUNTERS_EVERY = 1.0
"""Seconds between two reports of the counters, while there is something to report."""
URGENT_AFTER = 0.05
"""Seconds until the counters are reported when a crash recurs for the first time."""

_LINES, _WAKE, _URGENT, _CLOSE = object(), object(), object(), object()


class Delivery:
    """The queue and its thread.

    Args:
        writer: where the lines go.
        max_event_bytes: longest line.
        counters: returns the records of what was counted since its last call.
        begun: called in the thread when it starts, once in each process.
    """

    def __init__(
        self,
        writer: SpoolWriter,
        max_event_bytes: int,
        counters: Callable[[], list[dict[str, Any]]],
        begun: Callable[[], None],
    ) -> None:
        self._writer = writer
        self._max_event_bytes = max_event_bytes
        self._counters = counters
        self._begun = begun
        self._reset()

    def _reset(self) -> None:
        self._lines: deque[bytes] = deque()
        self._announced = False  # the thread knows that there are lines
        self._lines_due: float | None = None
        self._counters_due: float | None = None
        self._written_at = -WRITE_EVERY
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._lock = threading.RLock()  # see Storms
        self._thread: threading.Thread | None = None
        self._closed = False
        self._ended: threading.Event | None = None
        self.awake = False
        self._lost: dict[str, int] = {}
        self._unreported: list[bytes] = []

    @property
    def runs(self) -> bool:
        """Whether the thread runs in this process: from the first record on, until it is closed."""
        return self._thread is not None and not self._closed

    def put(self, record: dict[str, Any]) -> None:
        """Queue a record; never waits. Call it from any thread.

        It is encoded here: as a line it is one object, where as a record it is hundreds that each run of the garbage
        collector would visit as long as they wait.
        """
        if len(self._lines) >= MAX_QUEUED:
            self._lose("queue full", 1)
            return
        self._lines += self._encoded([record])
        if not self._announced:
            self._announced = True
            self._queue.put(_LINES)
        self.start()

    def wake(self, *, urgent: bool = False) -> None:
        """Have the counters reported soon."""
        if urgent:
            self._queue.put(_URGENT)
        elif not self.awake:
            self.awake = True
            self._queue.put(_WAKE)
        self.start()

    def start(self) -> None:
        """Begin the thread in this process, if it has not begun."""
        if self._thread is not None or self._closed:
            return
        with self._lock:
            self._start()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="homeostasis", daemon=True)
            try:
                if type(self._queue) is not queue.SimpleQueue:
                    self._renew_queue()
                self._thread.start()
            except RuntimeError:
                self._thread = None
                raise

    def _renew_queue(self) -> None:
        """Take the queue that gevent has put in place of Python's: that one would block every greenlet."""
        before, self._queue = self._queue, queue.SimpleQueue()
        while not before.empty():
            self._queue.put(before.get_nowait())

    def flush(self, timeout: float) -> bool:
        """Wait until all that was queued before, and the counters, are written.

        Returns:
            Whether that happened within the timeout, in seconds.
        """
        done = threading.Event()
        self._queue.put(done)
        try:
            self.start()
        except RuntimeError:  # no thread can be had
            return False
        return done.wait(timeout)

    def close(self, timeout: float) -> None:
        """Write what is queued and end the thread, within the timeout, in seconds."""
        thread, closed, self._closed = self._thread, self._closed, True
        if thread is None or closed:
            return
        self._ended = threading.Event()
        self._queue.put(_CLOSE)
        if self._ended.wait(timeout):  # else it may not even have started: another thread is about to start it
            thread.join(timeout)

    def after_fork(self) -> None:
        """Begin anew in a child: what the parent had queued is the parent's to write."""
        self._writer.close()
        self._reset()

    def _lose(self, reason: str, count: int) -> None:
        """Count records that were dropped; the count is reported with the counters."""
        with self._lock:
            self._lost[reason] = self._lost.get(reason, 0) + count

    def _run(self) -> None:
        try:
            self._deliver()
        finally:
            if self._ended is not None:
                self._ended.set()

    def _deliver(self) -> None:
        self._guarded("starting", self._begun)
        while True:
            signals: list[Any] = []
            try:
                signals = self._wait()
                self._handle(signals)
            except SystemExit:
                break
            except Exception as error:
                failed("delivering records", error)
                if _CLOSE in signals:
                    break

    def _wait(self) -> list[Any]:
        """What has been signalled, once there is anything or the next write is due."""
        signals: list[Any] = []
        due = [at for at in (self._lines_due, self._counters_due) if at is not None]
        try:
            signals.append(self._queue.get(timeout=max(min(due) - time.monotonic(), 0.0) if due else None))
            while len(signals) < MAX_BATCH:
                signals.append(self._queue.get_nowait())
        except queue.Empty:
            pass
        return signals

    def _handle(self, signals: list[Any]) -> None:
        now = time.monotonic()
        waiting = [signal for signal in signals if isinstance(signal, threading.Event)]
        closing = _CLOSE in signals
        self._plan(signals, now)
        everything = bool(waiting) or closing
        if everything or _has_come(self._lines_due, now):
            self._write_lines()
        if everything or _has_come(self._counters_due, now):
            self.awake = False
            self._guarded("reporting the counters", self._report)
            self._counters_due = now + COUNTERS_EVERY if self._unreported or not self._writer.has_room() else None
        if self._counters_due is None and self._lost:
            self._counters_due = now + COUNTERS_EVERY
        for event in waiting:
            event.set()
        if closing:
            self._writer.close()
            raise SystemExit

    def _plan(self, signals: list[Any], now: float) -> None:
        """Decide when to write what was signalled."""
        if _LINES in signals and self._lines_due is None:
            self._lines_due = max(now, self._written_at + WRITE_EVERY)
        if _URGENT in signals:
            soon = now + URGENT_AFTER
            self._counters_due = soon if self._counters_due is None else min(self._counters_due, soon)
        if _WAKE in signals and self._counters_due is None:
            self._counters_due = now + COUNTERS_EVERY

    def _write_lines(self) -> None:
        self._lines_due = None
        self._announced = False  # before they are taken: what is put from now on announces itself
        for left in range(len(self._lines), 0, -MAX_BATCH):
            self._write([self._lines.popleft() for _ in range(min(left, MAX_BATCH))])
        self._written_at = time.monotonic()

    def _report(self) -> None:
        """Write what was counted. What finds no room stays where it is counted, or is written next time."""
        if not self._unreported and self._writer.has_room():
            self._unreported = self._encoded([*self._counters(), *self._losses()])
        fitting = self._unreported[: self._writer.fitting(self._unreported)]
        if fitting and not self._writer.write(fitting):
            del self._unreported[: len(fitting)]

    def _losses(self) -> list[dict[str, Any]]:
        with self._lock:
            lost, self._lost = self._lost, {}
        return [{"record": "lost", "reason": reason, "count": count} for reason, count in lost.items()]

    def _write(self, lines: list[bytes]) -> None:
        try:
            refused = self._writer.write(lines, self._writer.reserve)
        except Exception as error:
            self._lose("spool unwritable", len(lines))
            failed("writing to the spool", error)
            return
        for reason, count in refused.items():
            self._lose(reason, count)

    def _encoded(self, records: list[dict[str, Any]]) -> list[bytes]:
        lines = [encode(record, self._max_event_bytes) for record in records]
        if not all(lines):
            self._lose("event too large", lines.count(b""))
        return [line for line in lines if line]

    @staticmethod
    def _guarded(doing: str, function: Callable[[], None]) -> None:
        try:
            function()
        except Exception as error:
            failed(doing, error)


def _has_come(due: float | None, now: float) -> bool:
    return due is not None and now >= due
