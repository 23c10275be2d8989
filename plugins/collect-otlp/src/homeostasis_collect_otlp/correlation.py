"""One exception is one crash with its request, however many records tell of it, and in whatever order they come.

A log record usually comes before the span of its request has ended, and the span of a part of the work before that of
the server. What has a trace and no request yet waits for it, for a bounded time and in a journal.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Dict, Iterable, List, Optional, Sequence, Tuple, Union

from homeostasis.collecting.crash import Crash
from homeostasis_collect_otlp.requests import LINE_ONLY
from homeostasis_collect_otlp.traces import Traces

if TYPE_CHECKING:
    from homeostasis_collect_otlp.exceptions import Occurrence
    from homeostasis_collect_otlp.journal import Journal
    from homeostasis_collect_otlp.requests import Served

MAX_WAITING, MAX_WAITING_IN_TRACE = 5_000, 100
"""Crashes that wait at a time, and of one trace; any more do without their request."""
MAX_REMEMBERED, MAX_TELLERS = 20_000, 500
"""Exceptions of traces of which it is remembered who told of them, and how many of those who did."""
NO_LOCALS = "no local variables: OpenTelemetry does not tell them"
NO_REQUEST = "no request: no span of a server was told for this trace"

_Trace = Tuple[Tuple[object, ...], bytes]
_Key = Tuple[_Trace, int]


@dataclass(eq=False)
class Waiting:
    """A crash whose request may still come."""

    number: int
    key: _Key
    identity: Optional[str]
    occurrence: Occurrence
    deadline: float
    served: Optional[Served] = None
    over: bool = False
    """No request is to be expected any more."""

    def crash(self) -> Crash:
        """What is known of it by now."""
        return crash_of(self.occurrence, self.served)

    @property
    def due(self) -> bool:
        """Whether it need not wait any longer."""
        return self.served is not None or self.over or self.deadline <= time.monotonic()


@dataclass
class Left:
    """A crash that waited when the process before this one ended."""

    number: int
    left: Crash
    due: bool = True

    def crash(self) -> Crash:
        """What was known of it."""
        return self.left


class Correlation:
    """Puts together what the records of one trace say. Its owner sees to it that one thread at a time calls it.

    Args:
        journal: where what waits is kept.
        seconds: how long a crash waits; 0 for not at all.
    """

    def __init__(self, journal: Journal, seconds: float) -> None:
        self.traces = Traces()
        self.wake = threading.Event()
        """Set when something need not wait any longer."""
        self._journal = journal
        self._seconds = seconds
        self._number = time.time_ns()  # no two processes give the same numbers
        self._waiting: OrderedDict[int, Union[Waiting, Left]] = OrderedDict()
        self._by_trace: Dict[_Trace, List[Waiting]] = {}
        self._told: OrderedDict[_Key, Dict[bytes, int]] = OrderedDict()
        self._held: OrderedDict[Optional[str], None] = OrderedDict()

    def restore(self) -> None:
        """Take up what waited when the process before this one ended. It does not wait any longer.

        Raises:
            OSError: the journal cannot be read.
        """
        for number, crash in self._journal.load().items():
            if number not in self._waiting:  # one of this process
                self._waiting[number] = Left(number, crash)

    def sort(self, occurrences: Iterable[Occurrence]) -> Tuple[List[Crash], int]:
        """What is to be put now, and how many were sent again. The rest waits, and is on disk."""
        ready: List[Occurrence] = []
        place: Dict[_Key, int] = {}
        begun: List[Waiting] = []
        resent = 0
        for occurrence in occurrences:
            if not occurrence.trace_id:
                ready.append(occurrence)
                continue
            key = (occurrence.origin.peers, occurrence.trace_id), occurrence.traceback.mark
            if self._is_told(key, occurrence.teller):
                self._improve(key, occurrence, ready, place)
            elif _identity(occurrence) in self._held:
                resent += 1
            elif self._may_wait(key[0], occurrence):
                begun.append(self._hold(key, occurrence))
            else:
                place[key] = len(ready)
                ready.append(occurrence)
        try:
            self._journal.flush()
        except OSError:  # then nothing waits
            for waiting in begun:
                self._forget(waiting)
                self._held.pop(waiting.identity, None)  # the ledger may fail, too: it may be sent again
                ready.append(waiting.occurrence)
        return [crash_of(each, self.traces.served(each) if each.trace_id else None) for each in ready], resent

    def arrived(self, trace: _Trace) -> None:
        """The first span of a process in a trace has come: what waits for it need not wait any longer."""
        for waiting in self._by_trace.get(trace, ()):
            waiting.served = waiting.served or self.traces.served(waiting.occurrence)
            waiting.over = self.traces.is_over(waiting.occurrence)
            if waiting.due:
                self.wake.set()

    def due(self) -> List[Union[Waiting, Left]]:
        """What has its request, or has waited long enough. `done` ends its waiting."""
        self.wake.clear()
        return [each for each in self._waiting.values() if each.due]

    def done(self, finished: Sequence[Union[Waiting, Left]]) -> None:
        """These are in the ledger."""
        for waiting in finished:
            self._forget(waiting)
        if not self._waiting:
            self._journal.clear()
            return
        self._journal.done(waiting.number for waiting in finished)
        try:
            self._journal.flush()
        except OSError:  # they may count twice if the process ends now
            return

    def _is_told(self, key: _Key, teller: bytes) -> bool:
        """Whether another record has told of this occurrence.

        An exception is told of by each span that it leaves, and by a log record. So it happened as often as the one who
        tells of it most often says.
        """
        tellers = self._told.get(key)
        if tellers is None:
            if len(self._told) >= MAX_REMEMBERED:
                self._told.popitem(last=False)
            tellers = self._told[key] = {}
        known = max(tellers.values(), default=0)
        times = tellers.get(teller, 0) + 1
        if teller in tellers or len(tellers) < MAX_TELLERS:
            tellers[teller] = times
        return times <= known

    def _improve(self, key: _Key, occurrence: Occurrence, ready: List[Occurrence], place: Dict[_Key, int]) -> None:
        """Where the same exception was told with fewer of its frames, take this in its place."""
        index = place.get(key)
        if index is not None:
            if occurrence.traceback.frames > ready[index].traceback.frames:
                ready[index] = occurrence
            return
        for waiting in self._by_trace.get(key[0], ()):
            if waiting.key == key and occurrence.traceback.frames > waiting.occurrence.traceback.frames:
                waiting.occurrence = occurrence
                self._journal.hold(waiting.number, waiting.crash())

    def _may_wait(self, trace: _Trace, occurrence: Occurrence) -> bool:
        if not occurrence.sampled or self._seconds <= 0 or len(self._waiting) >= MAX_WAITING or self._journal.full:
            return False
        if len(self._by_trace.get(trace, ())) >= MAX_WAITING_IN_TRACE:
            return False
        return self.traces.served(occurrence) is None and not self.traces.is_over(occurrence)

    def _hold(self, key: _Key, occurrence: Occurrence) -> Waiting:
        self._number += 1
        identity = _identity(occurrence)
        waiting = Waiting(self._number, key, identity, occurrence, time.monotonic() + self._seconds)
        self._waiting[waiting.number] = waiting
        self._by_trace.setdefault(key[0], []).append(waiting)
        if identity is not None:
            self._held[identity] = None
            if len(self._held) > MAX_REMEMBERED:
                self._held.popitem(last=False)
        self._journal.hold(waiting.number, waiting.crash())
        return waiting

    def _forget(self, waiting: Union[Waiting, Left]) -> None:
        del self._waiting[waiting.number]
        if isinstance(waiting, Left):
            return
        siblings = self._by_trace[waiting.key[0]]
        siblings.remove(waiting)
        if not siblings:
            del self._by_trace[waiting.key[0]]


def crash_of(occurrence: Occurrence, served: Optional[Served]) -> Crash:
    """The crash, with the request if that is known."""
    origin = occurrence.origin

    def complete(crash: Crash) -> None:
        crash.chain = deepcopy(crash.chain)  # others share it
        crash.request = served.request() if served is not None else None
        crash.losses = NO_LOCALS, NO_REQUEST if crash.request is None else LINE_ONLY

    return Crash(
        chain=occurrence.traceback.chain,
        format="span" if occurrence.teller else "log",
        id=_identity(occurrence),
        moment=occurrence.nanoseconds / 1e9 if occurrence.nanoseconds else None,
        thread=occurrence.thread,
        trace_id=occurrence.trace_id.hex() or None,
        span_id=occurrence.span_id.hex() or None,
        service=origin.service,
        runtime=origin.runtime,
        revision=origin.revision,
        losses=(NO_LOCALS, NO_REQUEST),
        complete=complete,
    )


def _identity(occurrence: Occurrence) -> Optional[str]:
    """Tells the record from all others; None if it has no time."""
    if not occurrence.nanoseconds:
        return None
    told = (
        occurrence.origin.instance,
        occurrence.trace_id,
        occurrence.span_id,
        occurrence.teller,
        occurrence.nanoseconds,
        occurrence.thread,
        occurrence.traceback.mark,
    )
    return f"{hash(told):x}"
