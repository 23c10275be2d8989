"""`Intake`: the messages of one address, in the order in which they came; most of them are passed over unread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Tuple

from homeostasis_collect_logs.assembly import TOO_LONG, UNREADABLE, Assembly
from homeostasis_collect_logs.envelopes import Line
from homeostasis_collect_logs.scanner import NEEDLES

if TYPE_CHECKING:
    from homeostasis.collecting.crash import Crash

MAX_PEERS = 1_000
"""Senders whose last message is kept: it may be the one that names what the next one's traceback belongs to."""
MAX_LAST = 16_384
"""Bytes of the longest message that is kept for that."""


class Intake:
    """What came in at one address.

    Args:
        name: of the address, for `homeostasis sources`.
        assembly: puts messages together.
        limit: bytes of the longest message that is read.
    """

    def __init__(self, name: str, assembly: Assembly, limit: int) -> None:
        self.name = name
        self.heard = 0
        self.position = 0
        self._assembly = assembly
        self._limit = limit
        self._last: Dict[str, bytes] = {}

    @property
    def safe(self) -> int:
        """Number of the first message that something which has not ended depends on, or of the next message."""
        return self._assembly.safe(self.position)

    def message(self, raw: bytes, peer: str, now: float) -> None:
        """Take a message of bytes: a datagram, or a frame of a stream."""
        self._count()
        raw = raw.rstrip(b"\0\r\n")
        if len(raw) > self._limit:
            self._assembly.lose(TOO_LONG)
            return
        if self._assembly.idle and not any(needle in raw for needle in NEEDLES):
            self._remember(peer, raw)
            return
        last = self._last.pop(peer, None)
        if last is not None:
            self._line(last, peer, now)
        self._line(raw, peer, now)

    def record(
        self, record: Optional[Mapping[str, Any]], stream: Tuple[str, ...], moment: Optional[float], now: float
    ) -> None:
        """Take a record; None stands for one that cannot be read."""
        self._count()
        if record is None:
            self._assembly.lose(UNREADABLE)
        else:
            self._assembly.record(record, Line("", stream, moment), self.position - 1, now)

    def lose(self, reason: str, count: int = 1) -> None:
        """Count messages that were dropped."""
        self._assembly.lose(reason, count)

    def settle(self, before: float) -> None:
        """End the tracebacks that got no line since `before`."""
        self._assembly.settle(before)

    def finish(self) -> None:
        """End what is open."""
        self._assembly.finish()

    def take(self) -> List[Crash]:
        """The crashes that are whole, in order; each is given out once."""
        return self._assembly.take(self.safe)

    def take_lost(self) -> Dict[str, int]:
        """What was dropped since the last call, by reason."""
        return self._assembly.take_lost()

    def _count(self) -> None:
        self.position += 1
        self.heard += 1

    def _line(self, raw: bytes, peer: str, now: float) -> None:
        self._assembly.line(Line(raw.decode("utf-8", "replace"), (peer,)), self.position - 1, now)

    def _remember(self, peer: str, raw: bytes) -> None:
        self._last.pop(peer, None)
        if len(raw) > MAX_LAST:
            return
        if len(self._last) >= MAX_PEERS:
            del self._last[next(iter(self._last))]
        self._last[peer] = raw
