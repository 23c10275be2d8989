"""The collector that asks a log store again and again, from where it was left.

The cursor is a time: everything before it was read. A page that is full is read up to the last instant in it, which the
next page begins with, so no entry of one instant falls between two pages, and none is read twice after a restart.
"""

from __future__ import annotations

import hashlib
import logging
import time
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    Hashable,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Protocol,
    Tuple,
    Union,
)

from homeostasis.collecting.events import EventMaker
from homeostasis.errors import HomeostasisError
from homeostasis_collect_logs.assembly import TOO_LONG, Assembly
from homeostasis_collect_logs.envelopes import Line

if TYPE_CHECKING:
    from homeostasis.hookspecs import Sink, Stop
    from homeostasis.project import Project
    from homeostasis_collect_logs.pulling.settings import PullTable

LOG = logging.getLogger("homeostasis.collect_logs")
NANO = 1_000_000_000
WINDOW = 3600 * NANO
"""Longest stretch of time that is asked for at once, in nanoseconds: stores refuse to search long ones."""
MAX_SEEN = 200_000
"""Entries that are remembered for `overlap`; with more, less is gone over again."""
MAX_WAIT = 60.0
SMALLEST_PAGE = 2
CROWDED = "log entries of one instant beyond what the store gives at once"


class AskFailed(HomeostasisError):
    """The store gave no answer that can be used.

    Attributes:
        wait: seconds after which to ask again, if the store says so.
    """

    def __init__(self, message: str, wait: Optional[float] = None) -> None:
        super().__init__(message)
        self.wait = wait


class TooLarge(AskFailed):
    """The answer was too large; fewer entries may do."""


class Entry(NamedTuple):
    """One entry of a log.

    Attributes:
        at: nanoseconds since the epoch.
        stream: what tells its writer from others.
        content: a line of text, or a record.
        key: what tells it from others of the same time.
    """

    at: int
    stream: Tuple[str, ...]
    content: Union[str, Mapping[str, Any]]
    key: Hashable


class Page(NamedTuple):
    """Entries in the order of their times, and whether there are more than were asked for."""

    entries: List[Entry]
    full: bool


class Store(Protocol):
    """A log store that can be asked for a stretch of time."""

    name: str
    """For `homeostasis sources`."""
    identity: str
    """What is asked of which store: another one has another cursor."""
    grain: int
    """Nanoseconds of the shortest stretch that can be asked for; stretches begin and end with multiples of it."""
    most: int
    """Entries that the store gives at once at most."""

    def page(self, start: int, end: int, limit: int) -> Page:
        """The first `limit` entries from `start` to before `end`, both in nanoseconds since the epoch.

        Raises:
            AskFailed: it cannot be had now.
        """

    def close(self) -> None:
        """Close the connection."""


class PullCollector:
    """Asks a store.

    Args:
        connect: opens the store.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        project: Project,
        settings: PullTable,
        connect: Callable[[], Store],
        source: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._project = project
        self._settings = settings
        self._connect = connect
        self._source = source
        self._clock = clock

    def run(self, sink: Sink, stop: Stop) -> None:
        """Put the crashes of the store into `sink` until `stop` is set."""
        store = self._connect()
        told, failures = "", 0
        try:
            maker = EventMaker(self._project, self._settings, self._source)
            pull = Pull(store, self._settings, maker, sink, self._clock)
            while not stop.is_set():
                try:
                    pull.look(stop.is_set)
                    wait, failures, told = self._settings.interval, 0, ""
                except AskFailed as error:
                    failures += 1
                    wait = error.wait or min(self._settings.interval * 2 ** min(failures, 10), MAX_WAIT)
                    if str(error) != told:
                        told = str(error)
                        LOG.warning("%s cannot be asked, and is again in %.0f s: %s", store.name, wait, error)
                stop.wait(wait)
        finally:
            store.close()


class Pull:
    """One run of the collector: what it holds is found again from the cursor."""

    def __init__(
        self, store: Store, settings: PullTable, maker: EventMaker, sink: Sink, clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._settings = settings
        self._maker = maker
        self._sink = sink
        self._clock = clock
        digest = hashlib.blake2b(store.identity.encode(), digest_size=10).hexdigest()
        self._position = f"pull:{digest}"
        self._kept = sink.position(self._position)
        self._floor = self._cursor = self._kept or self._aligned(clock() - settings.since)
        self._assembly = Assembly(max_line=settings.max_line_bytes, max_event_lines=settings.max_event_lines)
        self._seen: Dict[Hashable, int] = {}
        self._page = self._largest = min(settings.page, store.most)
        self._read = 0

    def look(self, stopped: Callable[[], bool]) -> None:
        """Read everything that is old enough.

        Raises:
            AskFailed: the store gave no answer; what was read before is put.
        """
        end = self._aligned(self._clock() - self._settings.delay)
        start = max(self._floor, self._cursor - self._overlap)
        while start < end and not stopped():
            start = self._stretch(start, min(end, start + WINDOW))
            self._cursor = max(self._cursor, start)
            self._put()
            if len(self._seen) > 2 * MAX_SEEN:
                self._forget()
        self._assembly.settle(time.monotonic() - self._settings.interval - self._settings.settle)
        self._put()
        self._forget()

    @property
    def _overlap(self) -> int:
        return int(self._settings.overlap * NANO) // self._store.grain * self._store.grain

    def _aligned(self, seconds: float) -> int:
        return max(int(seconds * NANO) // self._store.grain * self._store.grain, 0)

    def _stretch(self, start: int, end: int) -> int:
        """Read one page; returns up to where everything was read."""
        page = self._asked(start, end, self._page)
        if not page.full:
            self._take(page.entries)
            return end
        last = page.entries[-1].at // self._store.grain * self._store.grain if page.entries else start
        if last > start:
            self._take([entry for entry in page.entries if entry.at < last])
            return last
        instant = self._asked(start, start + self._store.grain, self._store.most)
        self._take(instant.entries)
        if instant.full:
            self._assembly.lose(CROWDED)
        return start + self._store.grain

    def _asked(self, start: int, end: int, limit: int) -> Page:
        while True:
            try:
                page = self._store.page(start, end, limit)
            except TooLarge:
                if limit <= SMALLEST_PAGE:
                    raise
                limit = max(limit // 4, SMALLEST_PAGE)
                self._page = min(self._page, limit)
            else:
                self._page = min(self._page + self._page // 4 + 1, self._largest)
                return page

    def _take(self, entries: List[Entry]) -> None:
        now = time.monotonic()
        for entry in entries:
            if entry.key in self._seen:
                continue
            self._seen[entry.key] = entry.at
            self._read += 1
            line = Line("", entry.stream, entry.at / NANO)
            if not isinstance(entry.content, str):
                self._assembly.record(entry.content, line, entry.at, now)
            elif len(entry.content) > self._settings.max_line_bytes:
                self._assembly.lose(TOO_LONG)
            else:
                self._assembly.line(Line(entry.content, entry.stream, entry.at / NANO), entry.at, now)

    def _put(self) -> None:
        # What came late is no reason to read again what was put already.
        safe = max(self._assembly.safe(self._cursor), self._kept or 0)
        crashes, lost = self._assembly.take(safe), self._assembly.take_lost()
        if not (crashes or lost or self._read or safe != self._kept):
            return
        with self._sink.batch():
            self._maker.put(crashes, self._sink)
            for reason, count in lost.items():
                self._sink.lost(reason, count)
            if self._read:
                self._sink.heard(self._store.name, self._read, time.time())
            self._sink.advance(self._position, safe)
        self._kept, self._read = safe, 0

    def _forget(self) -> None:
        """Forget the entries that no look goes over again."""
        oldest = self._cursor - self._overlap
        if len(self._seen) > MAX_SEEN or any(at < oldest for at in self._seen.values()):
            kept = sorted(((key, at) for key, at in self._seen.items() if at >= oldest), key=lambda pair: pair[1])
            if len(kept) > MAX_SEEN:  # what is not known any more must not be read again
                self._floor = max(self._floor, kept[-MAX_SEEN - 1][1] // self._store.grain * self._store.grain)
                self._floor += self._store.grain
            self._seen = dict(kept[-MAX_SEEN:])
