"""Replaces the bodies of functions in this process, and puts the old ones back.

`swap` first finds out everything that could go wrong, and only then assigns to `__code__`; within a process all
functions of a release change or none. Calls in flight finish on the code they started with. Defaults, attributes and
identity of the functions stay, so decorators, route tables and signatures that frameworks read at start keep their
meaning.
"""

from __future__ import annotations

import linecache
import threading
import time
import tokenize
import weakref
from dataclasses import dataclass, field
from io import BytesIO, TextIOWrapper
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, Callable, TypeVar

from homeostasis.monitoring import canary
from homeostasis.monitoring.live_functions import Survey
from homeostasis.monitoring.swap_module import Busy, Importing, Refused
from homeostasis.monitoring.swap_work import FileChange, Work, is_current, prepare

__all__ = ["FileChange", "Refused", "releases", "runs", "swap", "undo"]

_ATTEMPTS = 4
_PAUSE = 0.05
_IMPORT_SECONDS = 3.0

_lock = threading.RLock()
_records: dict[str, _Record] = {}

ResultT = TypeVar("ResultT")


@dataclass
class _Record:
    changes: list[FileChange]
    originals: list[tuple[weakref.ref[FunctionType], CodeType, CodeType]] = field(default_factory=list)

    def original(self, function: FunctionType) -> CodeType | None:
        for reference, old, new in self.originals:
            if reference() is function and function.__code__ is new:
                return old
        return None


def releases() -> list[str]:
    """The releases whose code this process was given."""
    return list(_records)


def swap(release: str | None, changes: list[FileChange]) -> dict[str, Any]:
    """Give the live functions of some files the bodies of the new texts.

    Functions that run the new text already, because the process started late, are left alone and remembered for `undo`.

    Args:
        release: a name to undo it by; a known one changes nothing. None if it is not to be undone.
        changes: the files.

    Returns:
        `functions`: how many do something else now; `modules`: where they live; `already`: nothing was left to do.

    Raises:
        Refused: it cannot be done; nothing was changed.
    """
    with _lock:
        if release in _records:
            return {"functions": 0, "modules": [], "already": True}
        record = _Record(list(changes))
        work = _patiently(lambda: _carry_out(changes, record))
        if release is not None:
            _records[release] = record
            canary.watch(release, [function.__code__ for function in work.changed])
        return {"functions": len(work.changed), "modules": sorted(work.modules), "already": not work.changed}


def undo(release: str) -> dict[str, Any]:
    """Put back what `swap` replaced, also in functions that were made since.

    Names that an import has brought stay bound, because calls in flight may still use them.

    Returns:
        `known`: whether this process had the release; `functions`: how many do something else now.

    Raises:
        Refused: a later release changed the same functions; nothing was changed.
    """
    with _lock:
        record = _records.get(release)
        if record is None:
            return {"known": False, "functions": 0}
        back = [change.reverse for change in record.changes if change.before is not None]
        work = _patiently(lambda: _carry_out(back, record, undoing=True))
        del _records[release]
        canary.forget(release)
        return {"known": True, "functions": len(work.changed)}


def runs(changes: list[FileChange]) -> bool:
    """Whether the live functions of the files do what the new texts say.

    Raises:
        Refused: a text is not valid Python.
    """
    survey = Survey(change.path for change in changes)
    return all(is_current(change, survey) for change in changes)


def _patiently(attempt: Callable[[], ResultT]) -> ResultT:
    deadline = time.monotonic() + _IMPORT_SECONDS
    left = _ATTEMPTS
    while True:
        try:
            return attempt()
        except Importing:
            if time.monotonic() > deadline:
                raise
        except Busy:
            left -= 1
            if not left:
                raise
        time.sleep(_PAUSE)


def _carry_out(changes: list[FileChange], record: _Record, *, undoing: bool = False) -> Work:
    survey = Survey(change.path for change in changes)
    work = Work()
    for change in changes:
        prepare(change, survey, work, undoing)
    if undoing:
        work.codes = [(function, record.original(function) or code) for function, code in work.codes]
    replaced = _assign(work)
    survey.clear_caches(work.changed)
    for filename, text in work.texts.items():
        _show_source(filename, text)
    if not undoing:
        record.originals = [(weakref.ref(function), old, new) for function, old, new in replaced]
    return work


def _assign(work: Work) -> list[tuple[FunctionType, CodeType, CodeType]]:
    replaced: list[tuple[FunctionType, CodeType, CodeType]] = []
    bound: list[tuple[dict[str, Any], str]] = []
    try:
        for namespace, name, value in work.bindings:
            if name not in namespace:
                namespace[name] = value
                bound.append((namespace, name))
        for function, new in work.codes:
            old = function.__code__
            function.__code__ = new
            replaced.append((function, old, new))
    except BaseException as error:
        for function, old, _ in replaced:
            function.__code__ = old
        for namespace, name in bound:
            namespace.pop(name, None)
        raise Refused(f"Python did not take the new code: {error}") from error
    return replaced


def _show_source(filename: str, text: bytes) -> None:
    """Let tracebacks show the lines of the text that runs, also where the disk holds another one."""
    linecache.cache.pop(filename, None)
    try:
        if Path(filename).read_bytes() == text:
            return
    except OSError:
        pass
    encoding, _ = tokenize.detect_encoding(BytesIO(text).readline)
    lines = TextIOWrapper(BytesIO(text), encoding).readlines()
    linecache.cache[filename] = (len(text), None, lines, filename)
