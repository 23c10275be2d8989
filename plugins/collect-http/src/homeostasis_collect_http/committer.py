"""Makes durable what calls brought, many calls in one batch of the ledger."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Callable, Dict, Iterable, List, Optional, Set, Tuple

from homeostasis.collecting.events import EventMaker
from homeostasis.monitoring.traffic import OTHER
from homeostasis_collect_http.calls import Taken, Traffic

if TYPE_CHECKING:
    from homeostasis.collecting.settings import CollectorTable
    from homeostasis.hookspecs import Sink
    from homeostasis.project import Project

Done = Callable[[Optional[BaseException]], None]
"""Told that a call's records are durable, or why they are not; called in the committer's thread."""
GROUP_SECONDS = 0.02
"""How long the first call of a batch waits for others, at most."""
MAX_GROUP = 400
"""Calls of one batch."""
BATCH_SECONDS = 0.2
"""After this a batch is ended early, since the ledger waits for it: a crash that is new takes long to look up."""
FEW = 16
"""So many senders or fewer have all been heard again, as a rule, when as many calls wait as the last time."""

MAX_ROUTES = 2_000
"""Routes of all services that are told apart; senders choose their names."""

_Item = Tuple[str, Taken, Done]


class Committer:
    """A thread between receivers and the sink; a context manager that leaves nothing submitted undone.

    Args:
        project: whose files complete the events.
        settings: the receiver's.
        source: prefix of `Event.source`.
        sink: where the records go.
    """

    def __init__(self, project: Project, settings: CollectorTable, source: str, sink: Sink) -> None:
        self._new_maker: Callable[[], EventMaker] = lambda: EventMaker(project, settings, source)
        self._maker = self._new_maker()
        self._sink = sink
        self._waiting: List[_Item] = []
        self._routes: Set[Tuple[str, str]] = set()
        self._changed = threading.Condition()
        self._ended = False
        self._expected = 1
        self._full = threading.Event()
        self.failure: Optional[BaseException] = None
        self._thread = threading.Thread(target=self._run, name=f"commit-{source}", daemon=True)

    def __enter__(self) -> Committer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._full.set()
        self._thread.join()

    def submit(self, heard: str, taken: Taken, done: Done) -> None:
        """Have it written; `heard` is the name in the list of sources. Does not wait."""
        with self._changed:
            self._waiting.append((heard, taken, done))
            if len(self._waiting) == 1:
                self._changed.notify()
            if len(self._waiting) >= self._expected:
                self._full.set()

    def _run(self) -> None:
        try:
            self._commit_all()
        except Exception as error:  # the collector ends with it, and is started again
            self.failure = error

    def _commit_all(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._ended:
                    self._changed.wait()
                if not self._waiting:
                    return
            self._full.wait(GROUP_SECONDS)
            group = self._next()
            rest = self._commit(group)
            with self._changed:
                self._waiting[:0] = rest

    def _next(self) -> List[_Item]:
        with self._changed:
            group, self._waiting = self._waiting[:MAX_GROUP], self._waiting[MAX_GROUP:]
            self._expected = max(len(group), 1) if len(group) <= FEW else MAX_GROUP
            if len(self._waiting) < self._expected and not self._ended:
                self._full.clear()
            return group

    def _commit(self, group: List[_Item]) -> List[_Item]:
        """Write a group. Returns the calls for which there was no time."""
        failure: Optional[BaseException] = None
        written = len(group)
        try:
            with self._sink.batch():
                written = self._put(group)
        except Exception as error:
            # What the maker takes for known was not written. Told to the callers, who send it again.
            self._maker = self._new_maker()
            failure = self.failure = error
        for _, _, done in group[:written]:
            done(failure)
        return group[written:]

    def _put(self, group: List[_Item]) -> int:
        """Put what was taken of the first calls. Returns how many these are."""
        lost: Dict[str, int] = {}
        heard: Dict[str, int] = {}
        end, written = time.monotonic() + BATCH_SECONDS, 0
        for name, taken, _ in group:
            if written and time.monotonic() > end:
                break
            written += 1
            self._maker.put(taken.crashes, self._sink)
            heard[name] = heard.get(name, 0) + taken.records
            for put in taken.others:
                put(self._sink)
            for reason, count in taken.lost.items():
                lost[reason] = lost.get(reason, 0) + count
        for each in _together(traffic for _, taken, _ in group[:written] for traffic in taken.traffic):
            self._sink.traffic(
                each.service, self._route(each), each.requests, each.errors, each.at, each.seconds, each.buckets
            )
        for reason, count in lost.items():
            self._sink.lost(reason, count)
        now = time.time()
        for name, records in heard.items():
            self._sink.heard(name, records, now)
        return written

    def _route(self, traffic: Traffic) -> str:
        key = traffic.service, traffic.route
        if key not in self._routes and len(self._routes) >= MAX_ROUTES:
            return OTHER
        self._routes.add(key)
        return traffic.route


def _together(found: Iterable[Traffic]) -> List[Traffic]:
    """One record for each route and second."""
    sums: Dict[Tuple[str, str, int], Traffic] = {}
    for each in found:
        key = each.service, each.route, int(each.at)
        so_far = sums.get(key)
        sums[key] = each if so_far is None else _sum(so_far, each)
    return list(sums.values())


def _sum(one: Traffic, other: Traffic) -> Traffic:
    known = one.buckets or [0] * len(other.buckets), other.buckets or [0] * len(one.buckets)
    return Traffic(
        one.service,
        one.route,
        one.requests + other.requests,
        one.errors + other.errors,
        one.at,
        one.seconds + other.seconds,
        [a + b for a, b in zip(*known)],
    )
