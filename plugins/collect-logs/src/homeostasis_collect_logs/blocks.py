"""Tracebacks that span lines of a log: told apart by writer and prefix, and read line by line."""

from __future__ import annotations

import re
from typing import Dict, List, Optional, Pattern, Tuple

from homeostasis.collecting.crash import NO_LOCALS, Crash, is_whole
from homeostasis.traceback_text import Reader, TextException
from homeostasis_collect_logs.asked import REQUEST_LINE_ONLY, flask_request
from homeostasis_collect_logs.reports import NO_MODULES, Notebook, begins_notebook, plain_frame
from homeostasis_collect_logs.wording import HEADER, begins_record, moment_in, record_shape, without_escapes

MAX_OPEN = 100
"""Tracebacks that are read at the same time; with more, the oldest is given up."""
MAX_STRANGERS = 1_000
"""Lines of others after which a traceback that got none is taken as ended."""
MAX_PREFIX = 1_000
"""Characters before a header that can be what stands before each line of its traceback; more is text."""
_AGE_EVERY = 100
_CLOCK = re.compile(r"\d{1,4}[-/]\d\d[-/]\d\d|\d\d:\d\d:\d\d(?:[.,]\d+)?")
_ANY_CLOCK = r"[\d:.,/-]{1,60}"
_OF_CLOCKS = re.compile(r"[\d:.,/-]*")
_INNER = re.compile(r'^(?: {1,2}File "|> File "|  [+|] |  [+|]$)')
_THREAD = re.compile(r"Exception in thread (.{1,200}?)(?: \(.{1,200}\))?:\s*$")
_GROUP = "  + Exception Group "
_OLD_CELL = "<ipython-input-"
_MARKS = ("\u2502", "\u2514", "\u251c")  # loguru draws values below the source lines


class Block:
    """One traceback from its header line on.

    Args:
        header: the line, which has `HEADER` in it or begins a traceback of IPython.
        context: the line before it in the same stream, or an empty text.
    """

    def __init__(self, header: str, context: str, *, start: int, max_lines: int) -> None:
        self._notebook = Notebook() if HEADER not in header else None
        self._by_ipython = self._notebook is not None
        before = header[: header.index(HEADER)] if self._notebook is None else ""
        grouped = before.endswith(_GROUP)
        before = before[: -len(_GROUP)] if grouped else before
        prefix = before if len(before) <= MAX_PREFIX else ""
        self.start = start
        self.moment = moment_in(before) or moment_in(context)
        self.moved = 0.0
        self.lines = self.fed_at = 0
        thread = _THREAD.search(context)
        self.thread = thread[1] if thread else None
        self.request = flask_request(before) or flask_request(context)
        self._prefixed: Optional[bool] = None if prefix else False
        self._pattern = _prefix_pattern(prefix)
        self._shape = record_shape(before) or record_shape(context)
        self._max_lines = max_lines
        self._reader = Reader()
        self._squeezed = False
        self._reader.feed((_GROUP if grouped else "") + HEADER)

    @property
    def whole(self) -> bool:
        """Whether the exception that escaped was read up to its name."""
        return is_whole(self._reader.found) and self._reader.found[-1].name != ""

    @property
    def chain(self) -> List[TextException]:
        """The exceptions so far, those that were cut off left out."""
        return [item for item in self._reader.found if item.name]

    def own(self, line: str) -> Optional[str]:
        """The line without the prefix of this traceback's lines; None if it is somebody else's."""
        if self._prefixed is None:
            found = self._pattern.match(line)
            rest = line[found.end() :] if found else None
            if rest is not None and (_INNER.match(rest) or not rest.strip()):
                self._prefixed = True
            elif _INNER.match(line):
                self._prefixed = False
            else:
                return None
        if not self._prefixed:
            return line
        found = self._pattern.match(line) or self._pattern.match(line + " ")
        return line[found.end() :] if found else None

    def feed(self, line: str) -> bool:
        """Take a line of its own; false for the first one that belongs to it no longer."""
        self.lines += 1
        if self.lines > self._max_lines:
            return False
        if line.startswith(' File "'):  # rsyslog takes one space of a message for the one that follows a tag
            self._squeezed = True
        if self._squeezed and line.startswith(" "):
            line = f" {line}"
        current = self._reader.found[-1] if self._reader.found else None
        if current is not None and not current.name:
            if line.startswith('> File "'):  # loguru shows the callers of the handler too, and marks where it caught
                current.frames.clear()
                line = f"  {line[2:]}"
            elif line.startswith("    ") and any(mark in line for mark in _MARKS):
                return True
            elif self._is_record(line):
                return True  # another process writes into the same file
        elif self._is_record(line):
            return False
        told = self._notebook.told(line) if self._notebook else [plain_frame(line)]
        self._by_ipython = self._by_ipython or told != [line] or _OLD_CELL in line
        return all(self._reader.feed(each) for each in told)

    def _is_record(self, line: str) -> bool:
        if line[:1].isspace() or not line:
            return False
        return begins_record(line) or bool(self._shape and self._shape.match(line[:400]))

    def crash(self) -> Crash:
        """What was read."""
        losses = [NO_LOCALS if self.request is None else REQUEST_LINE_ONLY]
        if self._by_ipython:
            losses.append(NO_MODULES)
        if self.lines > self._max_lines:
            losses.append(f"the traceback was cut after {self._max_lines} lines")
        return Crash(
            self.chain,
            "ipython" if self._by_ipython else "text",
            self.start,
            moment=self.moment,
            thread=self.thread,
            request=self.request,
            class_names_only=self._by_ipython,
            losses=tuple(losses),
        )


def _prefix_pattern(prefix: str) -> Pattern[str]:
    """Matches the prefix, with other times of day in it.

    Those that only characters of their own lie between count as one: no line can then match in more than one way, which
    would take exponential time.
    """
    first, *parts = _CLOCK.split(prefix)
    between = [part for part in parts[:-1] if not _OF_CLOCKS.fullmatch(part)]
    return re.compile(_ANY_CLOCK.join(map(re.escape, (first, *between, *parts[-1:]))))


class Blocks:
    """All tracebacks of one file that are being read. What has ended is taken from `done`, what was cut from `torn`."""

    def __init__(self, max_lines: int) -> None:
        self.done: List[Crash] = []
        self.torn = 0
        self._max_lines = max_lines
        self._open: Dict[Tuple[str, ...], List[Block]] = {}
        self._context: Dict[Tuple[str, ...], str] = {}
        self._count = self._lines = 0

    @property
    def start(self) -> Optional[int]:
        """Offset of the first line of the first traceback that is being read; None if there is none."""
        return min((block.start for _, block in self._all()), default=None)

    def __bool__(self) -> bool:
        return self._count > 0

    def feed(self, line: str, stream: Tuple[str, ...], start: int, moment: Optional[float], now: float) -> None:
        """Take a line of a writer.

        Args:
            line: without its envelopes, with or without the line end.
            stream: what tells the writer from others.
            start: its offset in bytes.
            moment: seconds since the epoch that its envelope tells.
            now: seconds on a monotonic clock, for `settle`.
        """
        line = without_escapes(line).rstrip("\r\n")
        if not self._taken(line, stream, now) and (HEADER in line or begins_notebook(line)):
            self._begin(line, stream, start, moment, now)
        self._age()
        if stream in self._context or len(self._context) < MAX_OPEN:
            self._context[stream] = line[:1000]
        else:
            self._context = {stream: line[:1000]}

    def _taken(self, line: str, stream: Tuple[str, ...], now: float) -> bool:
        for block in list(self._open.get(stream, ())):
            own = block.own(line)
            if own is None:
                continue
            if block.feed(own):
                block.moved, block.fed_at = now, self._lines
                return True
            self._end(stream, block)
        return False

    def _begin(self, line: str, stream: Tuple[str, ...], start: int, moment: Optional[float], now: float) -> None:
        block = Block(line, self._context.get(stream, ""), start=start, max_lines=self._max_lines)
        block.moment, block.moved, block.fed_at = moment or block.moment, now, self._lines
        self._open.setdefault(stream, []).insert(0, block)
        self._count += 1

    def _age(self) -> None:
        """Give up what got no line for long, and the oldest of too many."""
        self._lines += 1
        if self._count > MAX_OPEN:
            self._end(*min(self._all(), key=lambda pair: pair[1].start))
        if self._lines % _AGE_EVERY == 0:
            for stream, block in self._all():
                if self._lines - block.fed_at > MAX_STRANGERS:
                    self._end(stream, block)

    def _all(self) -> List[Tuple[Tuple[str, ...], Block]]:
        return [(stream, block) for stream, blocks in self._open.items() for block in blocks]

    def settle(self, before: Optional[float] = None) -> None:
        """End the tracebacks that got no line since `before` on the monotonic clock; all of them without it."""
        for stream, block in self._all():
            if before is None or block.moved <= before:
                self._end(stream, block)

    def _end(self, stream: Tuple[str, ...], block: Block) -> None:
        blocks = self._open[stream]
        blocks.remove(block)
        if not blocks:
            del self._open[stream]
        self._count -= 1
        if block.whole:
            self.done.append(block.crash())
        else:
            self.torn += 1


def crash_of_text(text: str) -> Optional[Crash]:
    """The last traceback of a text of several lines, such as loguru's; None if there is none that is whole."""
    if HEADER[:-1] not in text:
        return None
    blocks = Blocks(max_lines=10_000)
    for line in text.split("\n"):
        blocks.feed(line, (), 0, None, 0.0)
    blocks.settle()
    return blocks.done[-1] if blocks.done else None
