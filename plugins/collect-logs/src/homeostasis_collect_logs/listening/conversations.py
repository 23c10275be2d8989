"""What is said on one connection: bytes in, messages to the intake, and what is to be answered."""

from __future__ import annotations

from typing import Dict, List, Optional, Protocol, Tuple

from homeostasis.collecting.events import REPEATED
from homeostasis_collect_logs.assembly import TOO_LONG
from homeostasis_collect_logs.listening.forward import Forward, acknowledgement
from homeostasis_collect_logs.listening.framing import Delimited, Frames, Syslog
from homeostasis_collect_logs.listening.intake import Intake

MAX_ACKNOWLEDGED = 10_000
"""Chunks that are remembered: a client that did not get the answer sends them again."""


class Conversation(Protocol):
    """One connection, as its protocol sees it."""

    completed: int
    """Messages that came whole."""

    @property
    def held(self) -> int:
        """Bytes of a message that has begun and not ended; 0 if there is none."""

    def greeting(self) -> bytes:
        """What the server says first."""

    def feed(self, data: bytes, now: float) -> bytes:
        """Take bytes; returns what to answer at once.

        Raises:
            BadFrame: they are not what the protocol allows.
        """

    def due(self) -> bytes:
        """What is to be answered now that everything before `Intake.safe` is durable."""


class Messages:
    """Messages in frames; nothing is answered."""

    def __init__(self, intake: Intake, frames: Frames, peer: str) -> None:
        self.completed = 0
        self._intake = intake
        self._frames = frames
        self._peer = peer

    @property
    def held(self) -> int:
        """Bytes of a message that has begun and not ended; 0 if there is none."""
        return self._frames.held

    def greeting(self) -> bytes:
        """Nothing."""
        return b""

    def feed(self, data: bytes, now: float) -> bytes:
        """Take bytes.

        Raises:
            BadFrame: they are not what the protocol allows.
        """
        for message in self._frames.feed(data):
            self.completed += 1
            self._intake.message(message, self._peer, now)
        self._intake.lose(TOO_LONG, self._frames.overlong)
        self._frames.overlong = 0
        return b""

    def due(self) -> bytes:
        """Nothing."""
        return b""


class Chunked:
    """Fluentd's forward protocol: a chunk is acknowledged once the crashes that it has a part of are durable.

    Args:
        acknowledged: chunks that were, of all connections.
    """

    def __init__(self, intake: Intake, forward: Forward, peer: str, acknowledged: Dict[object, None]) -> None:
        self.completed = 0
        self._intake = intake
        self._forward = forward
        self._peer = peer
        self._acknowledged = acknowledged
        self._waiting: List[Tuple[int, object]] = []

    @property
    def held(self) -> int:
        """Bytes of a message that has begun and not ended; 0 if there is none."""
        return self._forward.held

    def greeting(self) -> bytes:
        """The handshake's beginning, if there is one."""
        return self._forward.greeting()

    def feed(self, data: bytes, now: float) -> bytes:
        """Take bytes; returns what to answer at once.

        Raises:
            BadFrame: they are not what the protocol allows.
        """
        deliveries, answer = self._forward.feed(data)
        for delivery in deliveries:
            self.completed += 1
            if delivery.chunk is not None and delivery.chunk in self._acknowledged:
                self._intake.lose(REPEATED)
            else:
                for entry in delivery.entries:
                    record, moment = entry or (None, None)
                    self._intake.record(record, (self._peer, delivery.tag), moment, now)
            if delivery.chunk is not None:
                self._waiting.append((self._intake.position, delivery.chunk))
        return answer

    def due(self) -> bytes:
        """Acknowledgements of the chunks that are durable."""
        answer = b""
        while self._waiting and self._waiting[0][0] <= self._intake.safe:
            _, chunk = self._waiting.pop(0)
            answer += acknowledgement(chunk)
            if len(self._acknowledged) >= MAX_ACKNOWLEDGED:
                del self._acknowledged[next(iter(self._acknowledged))]
            self._acknowledged[chunk] = None
        return answer


def conversation(
    protocol: str,
    intake: Intake,
    peer: str,
    *,
    limit: int,
    chunk_limit: int,
    key: Optional[str],
    acknowledged: Dict[object, None],
) -> Conversation:
    """The conversation of a new connection, by the protocol of its address."""
    if protocol == "fluent":
        return Chunked(intake, Forward(chunk_limit, key), peer, acknowledged)
    frames: Frames = Syslog(limit) if protocol == "syslog" else Delimited(b"\0" if protocol == "gelf" else b"\n", limit)
    return Messages(intake, frames, peer)
