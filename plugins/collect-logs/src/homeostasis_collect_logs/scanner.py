"""`Scanner`: bytes of a log go in, crashes come out. What cannot belong to one is passed over unread."""

from __future__ import annotations

import re
from typing import Dict, List, Optional

from homeostasis.collecting.crash import Crash
from homeostasis_collect_logs.assembly import MAX_PARTS, TOO_LONG, Assembly
from homeostasis_collect_logs.envelopes import Line

NEEDLES = (
    b"Traceback (most recent call last)",
    b'"exc_type"',  # structlog's dict_tracebacks
    b"stack_trace",  # ECS
    b"stackTrace",  # AWS Lambda
    b"84,114,97,99,101,98,97,99,107",  # journald's list of bytes: Traceback
    b"84, 114, 97, 99, 101, 98, 97, 99, 107",
)
"""Without any of these in a line, no traceback begins there."""
_PART = re.compile(rb'\d{4}-\d\d-\d\dT\S{1,40} std(?:out|err) P |\{"log":"(?![^\n]{0,20000000}\\n","stream")')


class Scanner:
    """Reads one file, or one stretch of it.

    Args:
        offset: where in the file the first byte that is fed lies.
        max_line_bytes: longer lines are passed over, and counted.
        max_event_lines: longer tracebacks are cut.
        text_only: take no line for JSON or for an envelope.
    """

    def __init__(self, offset: int, *, max_line_bytes: int, max_event_lines: int, text_only: bool = False) -> None:
        self.position = offset
        self.lines = 0
        self._max_line = max_line_bytes
        self._rest = b""
        self._overlong = False
        self._last = b""
        self._assembly = Assembly(max_line=max_line_bytes, max_event_lines=max_event_lines, text_only=text_only)
        self._now = 0.0

    @property
    def lost(self) -> Dict[str, int]:
        """What was passed over and not taken yet, by reason."""
        return self._assembly.lost

    @property
    def safe(self) -> int:
        """Offset from which a later scanner finds what this one has not given out yet, and nothing else."""
        return self._assembly.safe(self.position)

    def take(self) -> List[Crash]:
        """The crashes that begin before `safe`, in the order of the file; each is given out once."""
        return self._assembly.take(self.safe)

    def take_lost(self) -> Dict[str, int]:
        """What was passed over since the last call, by reason."""
        return self._assembly.take_lost()

    def feed(self, data: bytes, now: float) -> None:
        """Take the bytes that follow; `now` is a monotonic time in seconds."""
        self._now = now
        if self._overlong:
            data = self._after_overlong(data)
        data = self._rest + data
        whole = data.rfind(b"\n") + 1
        self._rest = data[whole:]
        if whole:
            self._scan(data[:whole])
            self.position += whole
        if len(self._rest) > self._max_line:
            self._assembly.lose(TOO_LONG)
            self.position += len(self._rest)
            self._rest, self._overlong = b"", True

    def _after_overlong(self, data: bytes) -> bytes:
        end = data.find(b"\n") + 1
        self._overlong = end == 0
        passed = end or len(data)
        self.position += passed
        return data[passed:]

    def settle(self, before: float) -> None:
        """End what got no further line since `before`, on the monotonic clock of `feed`."""
        self._assembly.settle(before)

    def finish(self) -> None:
        """The file ends here: take its last line although it has no line end, and end what is open."""
        if self._rest and not self._overlong:
            rest, self._rest = self._rest, b""
            self._scan(rest + b"\n")
            self.position += len(rest)
        self._assembly.finish()

    def _scan(self, data: bytes) -> None:
        """Look at the lines of `data` (whole ones, from `position` on) that matter."""
        self.lines += data.count(b"\n")
        hits = _Hits(data)
        at = 0
        while at < len(data):
            if self._assembly.idle:
                hit = hits.next(at)
                if hit is None:
                    break
                at = self._start(data, hit, at)
            end = data.index(b"\n", at)
            self._line(data[at:end], self.position + at)
            at = end + 1
        self._remember(data, at)

    def _start(self, data: bytes, hit: int, since: int) -> int:
        """Start of the line from which to read for what stands at `hit`: the line before it, or further back if the
        lines before are parts of one that was split.
        """
        start = data.rfind(b"\n", 0, hit) + 1
        if start == 0 and self._last:
            self._line(self._last, self.position)
            return start
        for _ in range(MAX_PARTS):
            before = data.rfind(b"\n", 0, max(start - 1, 0)) + 1
            if start <= since or before < since:
                break
            start = before
            if not _PART.match(data, start):
                break
        return start

    def _remember(self, data: bytes, at: int) -> None:
        """Keep the last line for the next call, unless it was read; if it is a part of a split one, read its parts."""
        last = data.rfind(b"\n", 0, len(data) - 1) + 1
        self._last = data[last : len(data) - 1] if at <= last and len(data) - last <= self._max_line else b""
        if at >= len(data) or not _PART.match(data, last):
            return
        at = self._start(data, last, at)
        while at < len(data):
            end = data.index(b"\n", at)
            self._line(data[at:end], self.position + at)
            at = end + 1

    def _line(self, raw: bytes, start: int) -> None:
        if len(raw) > self._max_line:
            self._assembly.lose(TOO_LONG)
        else:
            self._assembly.line(Line(raw.decode("utf-8", "replace")), start, self._now)


class _Hits:
    """The next place of any needle; each needle is searched for once from the front to the back."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._places = dict.fromkeys(NEEDLES, -2)

    def next(self, at: int) -> Optional[int]:
        """The first place from `at` on, or None."""
        for needle, place in self._places.items():
            if place != -1 and place < at:
                self._places[needle] = self._data.find(needle, at)
        return min((place for place in self._places.values() if place >= 0), default=None)
