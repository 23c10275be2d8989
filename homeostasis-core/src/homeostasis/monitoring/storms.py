"""Keeps a storm of errors cheap: an error that was captured before only adds to a counter."""

from __future__ import annotations

import threading
from types import CodeType, TracebackType
from typing import Any, Hashable, NamedTuple, Tuple

from homeostasis.monitoring.capture import is_single, members_of, root_cause
from homeostasis.monitoring.fingerprint import MAX_FRAMES
from homeostasis.monitoring.frames import APP, FOREIGN, Boundary

_traceback = BaseException.__dict__["__traceback__"].__get__
FRESH_SECONDS = 10.0
"""Shortest time between two full captures of one crash in one process."""
MAX_KEYS = 4096
"""Different crashes that are remembered; an app that makes code as it runs could produce them without end."""
MAX_WAYS = 1024
"""Ways to crashes that are remembered; a recursion has one for each of its depths."""


class Crash:
    """What is remembered of a crash."""

    __slots__ = ("captured_at", "count", "fingerprint", "held", "last_seen", "recurred")

    def __init__(self, fingerprint: str, now: float, held: object) -> None:
        self.held = held
        self.fingerprint = fingerprint
        self.captured_at = now
        self.count = 0
        self.last_seen = 0.0
        self.recurred = False

    def seen_again(self, now: float) -> Sighting:
        """Count it. Call it under the lock."""
        self.count += 1
        self.last_seen = now
        if self.recurred:
            return _COUNTED
        self.recurred = True
        return _URGENT


class Sighting(NamedTuple):
    """What to do about an error."""

    capture: bool
    """Take a full capture; if not, it is counted."""
    urgent: bool = False
    """It is the first recurrence, which says that a capture was no accident."""


_CAPTURE, _COUNTED, _URGENT = Sighting(capture=True), Sighting(capture=False), Sighting(capture=False, urgent=True)


class Key(NamedTuple):
    """What the fingerprint is made of, as objects of this process; cheap to make and to look up."""

    mark: Hashable
    held: object
    """The classes and the code whose ids are in the mark: while they are held, nothing else gets those ids."""


def key_of(error: BaseException, boundary: Boundary) -> Key:
    """The key of a crash.

    New code, such as a healed function, makes another key, so that its crash is captured anew.
    """
    entry = _traceback(error)
    instruction, mine = _codes(entry, boundary, APP)
    if not mine:
        instruction, mine = _codes(entry, boundary, FOREIGN)
    codes = tuple({id(code): code for code in reversed(mine)}.values())[:MAX_FRAMES] if len(mine) > 1 else tuple(mine)
    cls = type(error)
    if is_single(error):
        return Key((instruction, id(cls), *map(id, codes)), (cls, codes))
    classes = (cls, type(root_cause(error)), *map(type, members_of(error)[:4]))
    return Key((instruction, -1, *map(id, classes), *map(id, codes)), (classes, codes))


def _codes(entry: TracebackType | None, boundary: Boundary, wanted: str) -> tuple[int, list[CodeType]]:
    """The code of the frames with a role, oldest first, and the instruction at which the last of them was."""
    found: list[CodeType] = []
    instruction = -1
    roles = boundary.roles
    while entry is not None:
        code = entry.tb_frame.f_code
        known = roles.get(id(code))  # by identity: hashing code takes longer than all the rest
        if (boundary.role(entry.tb_frame) if known is None else known[0]) is wanted:
            found.append(code)
            instruction = entry.tb_lasti
        entry = entry.tb_next
    return instruction, found


_Way = Tuple[int, ...]
"""The ids of a class and of the code of each entry of a traceback, and the instructions at which these were."""


def _way_of(error: BaseException) -> _Way:
    way = [id(type(error))]
    entry = _traceback(error)
    while entry is not None:
        way.append(id(entry.tb_frame.f_code))
        way.append(entry.tb_lasti)
        entry = entry.tb_next
    return tuple(way)


class Storms:
    """Remembers what was captured, and counts the rest until it is collected.

    Args:
        sample_rate: share of the later full captures of a crash that are taken. The first is always taken: without it
            the crash could not be healed.
        per_second: full captures, of all crashes together; what comes on top is counted as lost.
    """

    def __init__(self, sample_rate: float, per_second: int = 50) -> None:
        self.sample_rate = sample_rate
        self._per_second = per_second
        self.refused = 0
        self._known: dict[Hashable, Crash] = {}
        self._ways: dict[_Way, tuple[Crash, object]] = {}
        """Crashes by the ways that led to them; what else is in an entry holds the objects whose ids are in the way."""
        # Reentrant: an exception in a `__del__` is captured wherever the garbage is collected, also in here.
        self._lock = threading.RLock()
        self._second = 0
        self._captures = 0

    def sight(self, key: Key, now: float) -> Sighting:
        """Decide about an error; if it is not to be captured, it has been counted."""
        with self._lock:
            crash = self._known.get(key.mark)
            if crash is None or now - crash.captured_at >= FRESH_SECONDS:
                if self._may_capture(now) and (crash is None or self._sampled(crash, now)):
                    return _CAPTURE
                if crash is None:
                    self.refused += 1
                    return _COUNTED
            return crash.seen_again(now)

    def on_the_way_of(self, error: BaseException, now: float) -> Crash | None:
        """The crash that came on the very way of this error before, which saves making its key.

        Returns:
            None if there is none, or if it is time for another capture.
        """
        known = self._ways.get(_way_of(error))
        if known is None or now - known[0].captured_at >= FRESH_SECONDS or not is_single(error):
            return None
        return known[0]

    def count(self, crash: Crash, now: float) -> Sighting:
        """Count one more of a crash."""
        with self._lock:
            return crash.seen_again(now)

    def remember_way(self, error: BaseException, key: Key) -> None:
        """Remember on which way an error came that was captured or counted, and that stands alone."""
        crash = self._known.get(key.mark)
        if crash is None or not is_single(error):
            return
        codes = []
        entry = _traceback(error)
        while entry is not None:
            codes.append(entry.tb_frame.f_code)
            entry = entry.tb_next
        with self._lock:
            if len(self._ways) >= MAX_WAYS:
                self._ways.clear()
            self._ways[_way_of(error)] = crash, (type(error), codes)

    def captured(self, key: Key, fingerprint: str, now: float) -> None:
        """Remember a full capture."""
        with self._lock:
            crash = self._known.get(key.mark)
            if crash is not None:
                crash.captured_at = now
                return
            if len(self._known) >= MAX_KEYS:
                self._ways.clear()
                for old in list(self._known)[: MAX_KEYS // 4]:
                    if not self._known[old].count:
                        del self._known[old]
            self._known[key.mark] = Crash(fingerprint, now, key.held)

    def collect(self) -> list[dict[str, Any]]:
        """The `recurrence` and `lost` records of what was counted since the last call."""
        records: dict[str, dict[str, Any]] = {}
        with self._lock:
            for crash in self._known.values():
                if crash.count:
                    record = records.setdefault(
                        crash.fingerprint,
                        {"record": "recurrence", "fingerprint": crash.fingerprint, "count": 0, "last_seen": 0.0},
                    )
                    record["count"] += crash.count
                    record["last_seen"] = max(record["last_seen"], crash.last_seen)
                    crash.count = 0
            refused, self.refused = self.refused, 0
        lost = [{"record": "lost", "reason": "too many different errors", "count": refused}] if refused else []
        return [*records.values(), *lost]

    def after_fork(self) -> None:
        """Start counting anew in a child: the parent reports what it counted."""
        self._lock = threading.RLock()
        self.refused = 0
        for crash in self._known.values():
            crash.count = 0

    def _may_capture(self, now: float) -> bool:
        second = int(now)
        if second != self._second:
            self._second, self._captures = second, 0
        self._captures += 1
        return self._captures <= self._per_second

    def _sampled(self, crash: Crash, now: float) -> bool:
        import random

        if self.sample_rate >= 1.0 or random.random() < self.sample_rate:  # noqa: S311 - sampling, no secret
            return True
        crash.captured_at = now  # the next chance comes after another pause
        return False
