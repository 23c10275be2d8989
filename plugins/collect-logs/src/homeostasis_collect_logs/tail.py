"""`Follower`: one plain file, read as it grows."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Callable, Optional

from homeostasis_collect_logs.marks import HEAD, TAIL, Identity, Marks, head_of

if TYPE_CHECKING:
    from homeostasis.collecting.events import EventMaker
    from homeostasis.hookspecs import Sink
    from homeostasis_collect_logs.scanner import Scanner

READ_AT_ONCE = 256 * 1024
KEEP_EVERY = 16 * 1024 * 1024
"""Bytes without a crash after which the position is written down all the same."""
MAX_AT_ONCE = 64 * 1024 * 1024
"""Bytes after which the next file has its turn."""


class Follower:
    """Reads a file on from where it was left, and remembers it after each crash.

    Args:
        descriptor: of the open file; closed by `close`.
        name: of the file, for `homeostasis sources`.
        new_scanner: makes a scanner that begins at an offset.
    """

    def __init__(
        self,
        descriptor: int,
        identity: Identity,
        position: int,
        *,
        name: str,
        new_scanner: Callable[[int], Scanner],
        maker: EventMaker,
        sink: Sink,
    ) -> None:
        self.identity = identity
        self._name = name
        self.grown = time.monotonic()
        self._descriptor = descriptor
        self._at = self._kept = position
        self._scanner = new_scanner(position)
        self._told = 0
        self._maker = maker
        self._sink = sink

    @property
    def truncated(self) -> bool:
        """Whether the file is shorter than what was read of it, or begins in another way."""
        return os.fstat(self._descriptor).st_size < self._at or identify(self._descriptor) != self.identity

    @property
    def unlinked(self) -> bool:
        """Whether the file has no name any more."""
        return os.fstat(self._descriptor).st_nlink == 0

    def read(self, stopped: Callable[[], bool]) -> bool:
        """Read what is there; false if that was not all of it, because of `stopped` or of its length."""
        limit = self._at + MAX_AT_ONCE
        while self._at < limit and not stopped():
            data = os.pread(self._descriptor, READ_AT_ONCE, self._at)
            if not data:
                self._put(caught_up=True)
                return True
            self._at += len(data)
            self.grown = time.monotonic()
            self._scanner.feed(data, self.grown)
            self._put(caught_up=False)
        return False

    def settle(self, seconds: float) -> None:
        """Give out the crashes that got no line for some seconds."""
        self._scanner.settle(time.monotonic() - seconds)
        self._put(caught_up=True)

    def finish(self) -> None:
        """Give out what is left: nothing will be added."""
        self._scanner.finish()
        self._put(caught_up=True)

    def give_up(self) -> None:
        """Give out what was read; what was not is gone from the file."""
        self._scanner.finish()
        with self._sink.batch():
            self._maker.put(self._scanner.take(), self._sink)
            self._tell()

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _put(self, *, caught_up: bool) -> None:
        crashes = self._scanner.take()
        lost = self._scanner.take_lost()
        safe = self._scanner.safe
        due = safe != self._kept and (caught_up or safe - self._kept >= KEEP_EVERY)
        if not (crashes or lost or due):
            return
        start = max(safe - TAIL, 0)
        tail = os.pread(self._descriptor, safe - start, start)
        with self._sink.batch():
            self._maker.put(crashes, self._sink)
            for reason, count in lost.items():
                self._sink.lost(reason, count)
            self._tell()
            Marks(self._sink).keep(self.identity, safe, tail)
        self._kept = safe

    def _tell(self) -> None:
        """Tell how many lines were read since the last time."""
        lines = self._scanner.lines
        if lines != self._told:
            self._sink.heard(self._name, lines - self._told, time.time())
            self._told = lines


def identify(descriptor: int) -> Optional[Identity]:
    """Which file this is; None as long as it has no first line."""
    head = head_of(os.pread(descriptor, HEAD, 0))
    stat = os.fstat(descriptor)
    return Identity(stat.st_dev, stat.st_ino, head) if head else None
