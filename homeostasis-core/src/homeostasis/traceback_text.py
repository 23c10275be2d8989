"""The grammar of plain-text tracebacks, as the standard library's `traceback` prints them from Python 3.8 to 3.14.

Frames with source and caret lines, repeated frames, chained exceptions, notes, syntax errors and exception groups.
Input is hostile: every length and count is bounded, and no pattern takes more than linear time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Tuple

MAX_TEXT = 4_000_000
"""Characters that are looked at; of a longer text, the last ones."""
MAX_LINE = 4_096
MAX_FRAMES = 200
"""Frames kept per exception: the innermost ones."""
MAX_EXCEPTIONS = 50
MAX_MESSAGE = 8_192
MAX_MESSAGE_LINES = 100

_HEADER = re.compile(r"^(?P<prefix>.*?)(?P<group>Exception Group )?Traceback \(most recent call last\):\s*$")
_FRAME = re.compile(r'^  File "(?P<path>[^"\0]*)", line (?P<line>\d{1,9})(?:, in (?P<function>.*))?$')
_REPEATED = re.compile(r"^  \[Previous line repeated (\d{1,9}) more times?\]$")
_ELIDED = re.compile(r"^\s*\.\.\.<(\d{1,6}) lines?>\.\.\.$")
_RAISED = re.compile(r"^(?P<type>[A-Za-z_][\w.]*(?:<locals>[\w.]*)*)(?:: ?(?P<message>.*))?$")
_LOG_RECORD = re.compile(
    r"^(?:\[?\d{4}-\d\d-\d\d|\[\d|(?:DEBUG|INFO|WARNING|ERROR|CRITICAL)\b|\d{1,3}(?:\.\d{1,3}){3} - )"
)
_MEMBER = re.compile(r"^\s*\+(?:-\+)?-{3,} (?:\d+|\.\.\.) -{3,}$")
_END = re.compile(r"^\s*\+-{3,}$")
_MARGIN = re.compile(r"^(?P<depth> *)[|+](?: |$)")
_RELATIONS = {
    "The above exception was the direct cause of the following exception:": "cause",
    "During handling of the above exception, another exception occurred:": "context",
}


@dataclass
class TextFrame:
    """One frame as the text gives it."""

    path: str
    line: int
    function: str
    source: List[str] = field(default_factory=list)
    carets: List[Tuple[int, str]] = field(default_factory=list)  # index into `source`, the caret line
    elided: int = 0
    locals: Dict[str, Dict[str, Any]] = field(default_factory=dict)  # fields of `homeostasis.models.Value`, by name


@dataclass
class TextException:
    """One exception as the text gives it. `relation` says how the one after it in the text belongs to it."""

    name: str = ""
    message: str = ""
    rest: List[str] = field(default_factory=list)
    frames: List[TextFrame] = field(default_factory=list)
    repeated: int = 0
    depth: int = 0
    relation: Optional[str] = None
    member: bool = False


def parse(text: str) -> List[List[TextException]]:
    """All tracebacks of a text; each is the list of its exceptions in the order of the text, the escaped one last
    (its exception group's members, if any, follow it).
    """
    lines = [line[:MAX_LINE].rstrip("\r") for line in text[-MAX_TEXT:].split("\n")]
    chains: List[List[TextException]] = []
    position = 0
    while position < len(lines):
        header = _HEADER.match(lines[position])
        if not header:
            position += 1
            continue
        chain, position = _chain(lines, position, _outer_prefix(header))
        if chain:
            chains.append(chain)
    return chains


def _outer_prefix(header: re.Match[str]) -> str:
    # What a log shipper put before each line, such as `web-1 | `; the margin of a group belongs to the traceback.
    prefix = header["prefix"]
    return prefix[: len(prefix) - len("  + ")] if header["group"] and prefix.endswith("  + ") else prefix


def _chain(lines: List[str], start: int, prefix: str) -> Tuple[List[TextException], int]:
    reader = Reader()
    position = start
    while position < len(lines) and not reader.complete:
        line = lines[position]
        if prefix:
            if not line.startswith(prefix.rstrip()):
                break
            line = line[len(prefix) :]
        if not reader.feed(line):
            break
        position += 1
    return [item for item in reader.found if item.name], max(position, start + 1)


class Reader:
    """Takes one line after another; `feed` is false for the first line that no longer belongs to the traceback.

    `found` holds its exceptions in the order of the text; one without a `name` is not whole.
    """

    def __init__(self) -> None:
        self.found: List[TextException] = []
        self._current: Optional[TextException] = None
        self._grouped = False
        self._member = False
        self._blank = False
        self._pending: Optional[str] = None

    @property
    def complete(self) -> bool:
        """Whether there are as many exceptions as are kept."""
        return len(self.found) >= MAX_EXCEPTIONS

    def feed(self, raw: str) -> bool:
        """Take a line without its line end."""
        self._grouped = self._grouped or "Exception Group Traceback" in raw
        if self._grouped and (_MEMBER.match(raw) or _END.match(raw)):
            self._member, self._current = bool(_MEMBER.match(raw)), None
            return True
        margin = _MARGIN.match(raw) if self._grouped else None
        depth = len(margin["depth"]) if margin else 0
        line = raw[margin.end() :] if margin else raw
        if _HEADER.match(line):
            return self._begin(depth)
        if line in _RELATIONS and self.found:
            # Both exceptions of the pair stand at the same depth: the earlier one belongs to the later one.
            self._pending = _RELATIONS[line]
            self.found[-1].relation = self._pending
            self._current = None
            return True
        if self._current is None:
            return self._between(line, depth, bool(margin))
        return self._inside(self._current, line)

    def _begin(self, depth: int) -> bool:
        if self.found and self._pending is None and not self._member:
            return False  # the next traceback of the text
        self._add(depth)
        return True

    def _add(self, depth: int) -> TextException:
        self._current = TextException(depth=depth, member=self._member)
        if self._pending:  # the later one of a pair takes the place in the group
            self._current.member, self.found[-1].member = self.found[-1].member, False
        self._member, self._pending, self._blank = False, None, False
        self.found.append(self._current)
        return self._current

    def _between(self, line: str, depth: int, margin: bool) -> bool:
        if not line.strip():
            return True
        raised = _RAISED.match(line)
        if self._member and raised:  # a member that was never raised has no header
            return self._inside(self._add(depth), line)
        return margin

    def _inside(self, current: TextException, line: str) -> bool:
        if current.name:
            return self._after_name(current, line)
        frame = _FRAME.match(line)
        if frame:
            current.frames.append(TextFrame(frame["path"], int(frame["line"]), frame["function"] or ""))
            del current.frames[:-MAX_FRAMES]
            return True
        repeated = _REPEATED.match(line)
        if repeated:
            current.repeated += int(repeated[1])
            return True
        if line.startswith("    ") and current.frames:
            _add_source(current.frames[-1], line[4:])
            return True
        raised = _RAISED.match(line)
        if raised:
            current.name, current.message = raised["type"], raised["message"] or ""
        return bool(raised) or not line.strip()

    def _after_name(self, current: TextException, line: str) -> bool:
        if not line.strip():
            self._blank = True
            return True
        if self._blank or _LOG_RECORD.match(line):
            return False
        if len(current.rest) < MAX_MESSAGE_LINES:
            current.rest.append(line[:MAX_MESSAGE])
        return True


def _add_source(frame: TextFrame, line: str) -> None:
    elided = _ELIDED.match(line)
    if elided:
        frame.elided += int(elided[1])
    elif frame.source and line.strip() and set(line) <= set(" ~^"):
        frame.carets.append((len(frame.source) - 1, line))
    elif len(frame.source) < 100:
        frame.source.append(line)
