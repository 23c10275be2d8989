"""The fingerprint groups the occurrences of one crash.

It is made of what stays when lines shift, releases change and machines differ: the types of the exception that escaped
and of its root cause, the functions of the app that were on the stack, and the text of the line that failed. It has no
line number, no absolute path, no message and no id.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, Mapping, Sequence

MAX_FRAMES = 5
"""Innermost frames of the app that count. More would tell apart crashes that have one cause."""

_INLINED = re.compile(r"(?:^|\.<locals>\.|\.)<(?:list|set|dict)comp>")
"""Comprehensions have frames and scopes of their own up to Python 3.11, and none since."""
_PATH_END = re.compile(r"[\\/]+")


def fingerprint(event: Mapping[str, Any]) -> str:
    """Sixteen hex digits that are the same for all occurrences of one crash.

    Args:
        event: the fields of a `homeostasis.models.Event`, as JSON values; only `exceptions` is looked at.
    """
    exceptions: Sequence[Mapping[str, Any]] = event.get("exceptions") or ()
    if not exceptions:
        return hashlib.sha256(b"").hexdigest()[:16]
    raised = exceptions[0]
    parts = [_type(raised), _type(exceptions[_root(exceptions)])]
    frames: Sequence[Mapping[str, Any]] = raised.get("frames") or ()
    counted = [frame for frame in frames if frame.get("in_app")] or list(frames)
    names: list[str] = []
    for frame in reversed(counted):
        name = _name(frame)
        if name and name not in names:  # a recursion, direct or mutual, counts once whatever its depth
            names.append(name)
        if len(names) == MAX_FRAMES:
            break
    parts += names
    if counted:
        parts.append(str(counted[-1].get("source_line") or "").strip())
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:16]


def _type(raised: Mapping[str, Any]) -> str:
    return f"{raised.get('module') or 'builtins'}.{raised.get('type')}"


def _name(frame: Mapping[str, Any]) -> str:
    """Module and function; nothing for a comprehension, whose function is the next frame."""
    function = str(frame.get("qualname") or frame.get("function"))
    if function.endswith(("<listcomp>", "<setcomp>", "<dictcomp>")):
        return ""
    module = frame.get("module")
    if not module or module == "__main__":
        stem = _PATH_END.split(str(frame.get("path") or ""))[-1]
        module = stem[:-3] if stem.endswith(".py") else stem
    return f"{module}:{_INLINED.sub('', function) if 'comp>' in function else function}"


def _root(exceptions: Sequence[Mapping[str, Any]]) -> int:
    """Index of the root cause: the end of the chain of causes, unsuppressed contexts and first members."""
    index = 0
    for _ in exceptions:
        children = [
            position
            for position, child in enumerate(exceptions)
            if child.get("parent") == index and position > index and not child.get("suppressed")
        ]
        ranked = sorted(children, key=lambda position: _RANK.get(str(exceptions[position].get("relation")), 3))
        if not ranked:
            break
        index = ranked[0]
    return index


_RANK = {"cause": 0, "member": 1, "context": 2}
