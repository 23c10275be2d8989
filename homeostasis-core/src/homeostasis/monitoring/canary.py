"""Counts the crashes of functions whose bodies were replaced, so that the orchestrator can watch a first worker.

A crash counts for a release if a frame of its traceback runs code that the release brought. Calls that began before
the swap run the old code, and do not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import CodeType
from typing import Any, Iterable


@dataclass
class _Watch:
    codes: dict[int, CodeType]  # by id, and held, so that an id means the same object as long as it is looked for
    crashes: int = 0
    last: str | None = None


_watches: dict[str, _Watch] = {}


def watch(release: str, codes: Iterable[CodeType]) -> None:
    """Begin to count for a release that has brought these code objects, the inner ones included."""
    found: dict[int, CodeType] = {}
    waiting = list(codes)
    while waiting:
        code = waiting.pop()
        if id(code) not in found:
            found[id(code)] = code
            waiting += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    _watches[release] = _Watch(found)


def forget(release: str) -> None:
    """Stop counting."""
    _watches.pop(release, None)


def note(error: BaseException) -> None:
    """Count an exception that nobody handled."""
    if not _watches:
        return
    traceback = error.__traceback__
    while traceback is not None:
        code = traceback.tb_frame.f_code
        for seen in list(_watches.values()):
            if id(code) in seen.codes:
                seen.crashes += 1
                seen.last = f"{type(error).__name__} in {code.co_name}"
                return
        traceback = traceback.tb_next


def report(release: str) -> dict[str, Any]:
    """`crashes` so far, and `last`: exception type and function of the latest one, or None."""
    seen = _watches.get(release)
    return {"crashes": seen.crashes, "last": seen.last} if seen is not None else {"crashes": 0, "last": None}
