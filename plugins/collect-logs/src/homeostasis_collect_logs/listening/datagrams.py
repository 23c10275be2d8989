"""`Datagrams`: a socket of which each datagram is a message, or a chunk of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from homeostasis_collect_logs.assembly import TOO_LONG
from homeostasis_collect_logs.listening.gelf import Chunks
from homeostasis_collect_logs.listening.sockets import received

if TYPE_CHECKING:
    import socket

    from homeostasis_collect_logs.listening.intake import Intake

AT_ONCE = 500
"""Datagrams that are read before other sockets have their turn."""
LARGEST = 262_144
"""Bytes of the largest datagram: over unix sockets Linux carries up to 208 KiB by default."""
DROPPED = "datagram that the kernel dropped"


class Datagrams:
    """One socket.

    Args:
        source: bound, and not blocking.
        chunks: puts messages of several datagrams together; None if there are none.
    """

    def __init__(self, source: socket.socket, intake: Intake, chunks: Optional[Chunks]) -> None:
        self._source = source
        self._intake = intake
        self._chunks = chunks
        self._dropped = 0

    def receive(self, now: float) -> None:
        """Read what is there, up to `AT_ONCE` datagrams; `now` is a monotonic time."""
        for _ in range(AT_ONCE):
            try:
                data, peer, dropped = received(self._source, LARGEST)
            except BlockingIOError:
                break
            if dropped is not None and dropped != self._dropped:
                self._intake.lose(DROPPED, (dropped - self._dropped) % (1 << 32))
                self._dropped = dropped
            if data is None:
                self._intake.lose(TOO_LONG)
                continue
            message = data if self._chunks is None else self._chunks.feed(data, peer, now)
            if message is not None:
                self._intake.message(message, peer, now)
        self._account()

    def expire(self, now: float) -> None:
        """Give up the messages whose other chunks did not come in time."""
        if self._chunks is not None:
            self._chunks.expire(now)
            self._account()

    def _account(self) -> None:
        if self._chunks is not None and self._chunks.lost:
            for reason, count in self._chunks.lost.items():
                self._intake.lose(reason, count)
            self._chunks.lost = {}
