"""Tracebacks with a grammar of their own, told in the standard one: those of IPython, and AWS Lambda's report."""

from __future__ import annotations

import re
from typing import List, Optional, Tuple

from homeostasis_collect_logs.wording import HEADER

NO_MODULES = "modules of exception classes are not in the record"
_HEAD = re.compile(r"^[A-Za-z_][\w.]{0,200} {2,100}Traceback \(most recent call last\)\s*$")
_PLACES = (
    re.compile(r"^File (?P<path>\S.{0,1000}?):\d{1,9}, in (?P<name>[^\s(]{1,300})\("),  # since 8.0
    re.compile(r"^File (?P<path>\S.{0,1000}?):\d{1,9}$"),
    re.compile(r"^(?P<cell>(?:Cell|Input) In ?\[\d{1,9}\])(?:, line \d{1,9})?(?:, in (?P<name>[^\s(]{1,300}).*)?$"),
    re.compile(r"^(?P<path>[~/<\w][^\s(]{0,1000}) in (?P<name><[^>]{1,100}>|[^\s(]{1,300})\("),  # before 8.0
)  # fmt: skip
_ARROW = re.compile(r"^-{1,12}> (?P<line>\d{1,9})(?: (?P<source>.*))?$")
_AROUND = re.compile(r"^ {1,12}\d{1,9}(?: |$)")
_VALUE = re.compile(r"^ {8}\S.{0,500} = ")
_PLAIN = re.compile(
    r"^  (?:File (?P<path>[^\"\s].{0,1000}?):(?P<line>\d{1,9}) in (?P<name>[^\s(]{1,300})"
    r"|Cell In ?\[\d{1,9}\], line (?P<cell_line>\d{1,9})(?: in (?P<cell_name>[^\s(]{1,300}))?)"
)
CELL = "<cell>"
"""What stands for the file of a cell."""
_LAMBDA = re.compile(
    r"^\[ERROR\] (?P<type>[\w.]{1,200})(?:: (?P<message>.*?))?[\r\n]"
    r"Traceback \(most recent call last\):[\r\n](?P<frames>.*)$",
    re.DOTALL,
)


def plain_frame(line: str) -> str:
    """A frame line of IPython's `Plain` mode as Python prints it; any other line as it is."""
    found = _PLAIN.match(line) if line.startswith(("  File ", "  Cell In")) else None
    if found is None:
        return line
    if found["path"] is None:
        return _frame(CELL, found["cell_line"], found["cell_name"] or "<module>")
    return _frame(found["path"], found["line"], found["name"])


def lambda_report(text: str) -> Optional[str]:
    """The traceback of the report that AWS Lambda's runtime writes in its text format, with its parts in order.

    The report has class and message first, line ends as carriage returns, and no-break spaces before the frames.
    """
    found = _LAMBDA.match(text[:1_000_000]) if text.startswith("[ERROR] ") else None
    if found is None:
        return None
    frames = found["frames"].rstrip().replace("\r", "\n").replace("\u00a0", " ")
    return f"{HEADER}\n{frames}\n{found['type']}: {found['message'] or ''}"


class Notebook:
    """Lines of a traceback of IPython's modes `Context` and `Verbose`, one after another, told in the standard grammar.

    The modes show lines around the one that failed, which an arrow marks, and values, which are left out.
    """

    def __init__(self) -> None:
        self._place: Optional[Tuple[str, str]] = None

    def told(self, line: str) -> List[str]:
        """What Python would have printed for a line: none, one or two lines."""
        if begins_notebook(line):
            return [HEADER]
        place = _place(line)
        if place is not None:
            self._place = place
            return []
        arrow = _ARROW.match(line)
        if arrow is not None and self._place is not None:
            path, name = self._place
            return [_frame(path, arrow["line"], name), f"    {(arrow['source'] or '').strip()}"]
        if _AROUND.match(line) or _VALUE.match(line):
            return []
        return [line]


def begins_notebook(line: str) -> bool:
    """Whether a line heads an exception in IPython's modes `Context` and `Verbose`."""
    return "Traceback (most recent call last)" in line[:400] and _HEAD.match(line) is not None


def _place(line: str) -> Optional[Tuple[str, str]]:
    """Path and function of a line that heads a frame."""
    for pattern in _PLACES:
        found = pattern.match(line)
        if found is not None:
            groups = found.groupdict()
            name = groups.get("name") or "<module>"
            return groups.get("path") or CELL, "<module>" if name.startswith("<cell") else name.rsplit(".", 1)[-1]
    return None


def _frame(path: str, line: str, name: str) -> str:
    return f'  File "{path}", line {line}, in {name}'
