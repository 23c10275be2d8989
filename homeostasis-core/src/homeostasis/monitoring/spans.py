"""Where in its line the failing expression lies."""

from __future__ import annotations

from itertools import islice
from types import CodeType
from typing import Any, Callable, Iterator, Mapping, Optional, Sequence, Tuple

_Position = Tuple[Optional[int], Optional[int], Optional[int], Optional[int]]


def span_of(
    code: CodeType, instruction: int, line: int, lines: Sequence[str] | None, *, in_app: bool
) -> dict[str, Any]:
    """The fields of a `homeostasis.models.Span`.

    Python 3.11 and later knows the columns. Below, they are worked out for the app's own code; where they cannot be
    told, they are None.

    Args:
        code: the code that was running.
        instruction: byte offset of the instruction that failed (`tb_lasti`).
        line: its line, counted from 1.
        lines: the source, to turn the interpreter's UTF-8 byte columns into characters.
        in_app: whether it is worth to parse the source.
    """
    span: dict[str, Any] = {"line": line, "end_line": None, "column": None, "end_column": None}
    if instruction < 0 or lines is None:
        return span
    start, end, column, end_column = _position(code, instruction, lines, in_app)
    if start is None or end is None or column is None or end_column is None:
        return span
    if not (0 < start <= end <= len(lines)):
        return span
    span.update(
        line=start,
        end_line=end,
        column=_characters(lines[start - 1], column),
        end_column=_characters(lines[end - 1], end_column),
    )
    return span


def _position(code: CodeType, instruction: int, lines: Sequence[str], in_app: bool) -> _Position:
    unknown = (None, None, None, None)
    positions: Callable[[], Iterator[_Position]] | None = getattr(code, "co_positions", None)
    if positions is not None:
        return next(islice(positions(), instruction // 2, None), unknown)
    if not in_app:
        return unknown
    from homeostasis.monitoring.offsets import node_span

    return node_span(code, instruction, "".join(lines)) or unknown


def _characters(line: str, column: int) -> int:
    if line.isascii():
        return column
    return len(line.encode("utf-8", "surrogatepass")[:column].decode("utf-8", "replace"))


def text_of(span: Mapping[str, Any], lines: Sequence[str]) -> str:
    """The source text of a span; its whole line where the columns are not known."""
    start, end = span["line"] - 1, span["end_line"]
    if span["column"] is None or end is None:
        return lines[start] if 0 <= start < len(lines) else ""
    text = list(lines[start:end])
    text[-1] = text[-1][: span["end_column"]]
    text[0] = text[0][span["column"] :]
    return "".join(text)
