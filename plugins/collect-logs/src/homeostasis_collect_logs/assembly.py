"""`Assembly`: lines and records of many writers go in, crashes come out, whatever they were taken from."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from homeostasis.collecting.crash import Crash
from homeostasis_collect_logs.blocks import Blocks, crash_of_text
from homeostasis_collect_logs.envelopes import MAX_DEPTH, Line, opened, opened_record
from homeostasis_collect_logs.records import LAMBDA_LOSS, crash_of, load
from homeostasis_collect_logs.reports import lambda_report
from homeostasis_collect_logs.wording import HEADER

LOG = logging.getLogger("homeostasis.collect_logs")
DEFECT = "log line that made the reader fail"
TOO_LONG = "log line too long"
UNREADABLE = "unreadable log record"
MAX_PARTS = 256
"""Parts of one line, and lines that are in parts at the same time."""
_NOTHING = Line("", ("",))


@dataclass
class _Parts:
    """A line of which the end is to come."""

    start: int
    texts: List[str] = field(default_factory=list)
    moved: float = 0.0


class Assembly:
    """Reads what belongs together, in the order of numbers that only rise: offsets, times, or counts.

    Args:
        max_line: characters of the longest line that is put together from parts.
        max_event_lines: longer tracebacks are cut.
        text_only: take no line for JSON or for an envelope.
    """

    def __init__(self, *, max_line: int, max_event_lines: int, text_only: bool = False) -> None:
        self.lost: Dict[str, int] = {}
        self._max_line = max_line
        self._text_only = text_only
        self._blocks = Blocks(max_event_lines)
        self._parts: Dict[Tuple[str, ...], _Parts] = {}
        self._found: List[Crash] = []
        self._now = 0.0

    @property
    def idle(self) -> bool:
        """Whether a line that begins no traceback would change nothing but what is known to stand before the next."""
        return not self._blocks and not self._parts

    @property
    def start(self) -> Optional[int]:
        """Number of the first line of what has begun and not ended; None if there is none."""
        starts = [parts.start for parts in self._parts.values()]
        if self._blocks.start is not None:
            starts.append(self._blocks.start)
        return min(starts, default=None)

    def safe(self, position: int) -> int:
        """Number from which another reader finds what this one has not given out yet, and nothing else.

        Args:
            position: up to which lines were put in.
        """
        return position if self.start is None else min(self.start, position)

    def take(self, limit: int) -> List[Crash]:
        """The crashes that begin before `limit`, in order; each is given out once."""
        self._found += self._blocks.done
        self._blocks.done = []
        if self._blocks.torn:
            self.lose("torn traceback", self._blocks.torn)
            self._blocks.torn = 0
        ready = sorted((crash for crash in self._found if crash.start < limit), key=lambda crash: crash.start)
        self._found = [crash for crash in self._found if crash.start >= limit]
        return ready

    def take_lost(self) -> Dict[str, int]:
        """What was passed over since the last call, by reason."""
        lost, self.lost = self.lost, {}
        return lost

    def lose(self, reason: str, count: int = 1) -> None:
        """Count something that is passed over."""
        if count:
            self.lost[reason] = self.lost.get(reason, 0) + count

    def line(self, line: Line, start: int, now: float) -> None:
        """Take a line in its envelopes; `now` is a monotonic time in seconds, for `settle`."""
        self._now = now
        self._guarded(lambda: self._read(line, start))

    def record(self, record: Mapping[str, Any], line: Line, start: int, now: float) -> None:
        """Take a record that came as one; `line` has what is known beside it, and no text."""
        self._now = now
        self._guarded(lambda: self._go_on(self._of_record(record, line, start), start))

    def settle(self, before: float) -> None:
        """End what got no further line since `before`, on the clock of `now`."""
        self._blocks.settle(before)
        for stream, parts in list(self._parts.items()):
            if parts.moved <= before:
                self.lose(UNREADABLE)
                del self._parts[stream]

    def finish(self) -> None:
        """End what is open."""
        self._blocks.settle()
        self.lose(UNREADABLE, len(self._parts))
        self._parts.clear()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:  # or the same line would end every run of the collector
            LOG.exception("a line of a log could not be read")
            self.lose(DEFECT)

    def _read(self, line: Line, start: int, envelope: str = "") -> None:
        for _ in range(0 if self._text_only else MAX_DEPTH):
            inner = opened(line) or self._parsed(line, start)
            if inner is None:
                break
            joined = self._joined(inner, start)
            if joined is None:
                return
            (line, start), envelope = joined, inner.envelope
        self._text(line, start, envelope)

    def _go_on(self, inner: Line, start: int) -> None:
        joined = self._joined(inner, start)
        if joined is not None:
            self._read(*joined, envelope=inner.envelope)

    def _parsed(self, line: Line, start: int) -> Optional[Line]:
        """What to go on with after a JSON record: the line of text in it, or an empty one if nothing is left."""
        try:
            record = load(line.text.strip())
        except ValueError:
            if HEADER not in line.text or line.text.rstrip().endswith(HEADER):
                return None  # text that begins with a brace
            self.lose(UNREADABLE)
            return _NOTHING
        return None if record is None else self._of_record(record, line, start)

    def _of_record(self, record: Mapping[str, Any], line: Line, start: int) -> Line:
        crash = crash_of(record)
        if crash is None:
            return opened_record(line, record) or _NOTHING
        crash.start = start
        crash.moment = crash.moment or line.moment
        self._found.append(crash)
        return _NOTHING

    def _joined(self, line: Line, start: int) -> Optional[Tuple[Line, int]]:
        """The line with its earlier parts and where they began; None if there are parts to come."""
        if not line.partial and line.stream not in self._parts:
            return line, start
        parts = self._parts.setdefault(line.stream, _Parts(start))
        parts.texts.append(line.text)
        parts.moved = self._now
        too_many = len(self._parts) > MAX_PARTS or len(parts.texts) > MAX_PARTS
        if too_many or sum(map(len, parts.texts)) > self._max_line:
            del self._parts[line.stream]
            self.lose(TOO_LONG)
            return None
        if line.partial:
            return None
        del self._parts[line.stream]
        return replace(line, text="".join(parts.texts)), parts.start

    def _text(self, line: Line, start: int, envelope: str) -> None:
        report = lambda_report(line.text)
        if report is None and "\n" not in line.text:
            self._blocks.feed(line.text, line.stream, start, line.moment, self._now)
            return
        crash = crash_of_text(report or line.text)
        if crash is not None:
            if report is not None:
                crash.format, crash.class_names_only, crash.losses = "lambda", True, (*crash.losses, LAMBDA_LOSS)
            elif crash.format == "text":
                crash.format = envelope or "text"
            crash.start, crash.moment = start, line.moment or crash.moment
            self._found.append(crash)
