"""structlog's `dict_tracebacks`: exceptions and frames as JSON values, the escaped one first."""

from __future__ import annotations

from typing import Any, List

from homeostasis.traceback_text import MAX_EXCEPTIONS, MAX_FRAMES, MAX_MESSAGE, TextException, TextFrame

_DEPTH = 10


def exceptions_of(stacks: List[Any], depth: int = 0) -> List[TextException]:
    """The exceptions in the order in which a text would have them: oldest cause first, members after their group."""
    found: List[TextException] = []
    stacks = [stack for stack in stacks[:MAX_EXCEPTIONS] if isinstance(stack, dict)]
    for place in range(len(stacks) - 1, -1, -1):
        stack = stacks[place]
        item = TextException(
            name=_text(stack.get("exc_type")),
            message=_text(stack.get("exc_value")),
            rest=[_text(note) for note in _list(stack.get("exc_notes"))],
            frames=[frame for frame in map(_frame, _list(stack.get("frames"))[-MAX_FRAMES:]) if frame is not None],
            depth=2 * depth,
            member=depth > 0 and place == 0,
        )
        if place > 0:
            item.relation = "cause" if stack.get("is_cause") is True else "context"
        found.append(item)
        if depth < _DEPTH:
            for member in _list(stack.get("exceptions")):
                found += exceptions_of(_list(member.get("stacks") if isinstance(member, dict) else member), depth + 1)
    return found[-MAX_EXCEPTIONS:] if depth == 0 else found[:MAX_EXCEPTIONS]


def _frame(value: Any) -> TextFrame | None:
    if not isinstance(value, dict):
        return None
    path, line, function = value.get("filename"), value.get("lineno"), value.get("name")
    if not isinstance(path, str) or not isinstance(function, str) or type(line) is not int:
        return None
    return TextFrame(path[:4096], min(max(line, 0), 10**9), function[:1000])


def _text(value: Any) -> str:
    return value[:MAX_MESSAGE] if isinstance(value, str) else ""


def _list(value: Any) -> List[Any]:
    return value if isinstance(value, list) else []
