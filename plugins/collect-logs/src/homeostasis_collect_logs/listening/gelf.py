"""GELF over UDP: datagrams that are put together again and unpacked.

Source: the GELF format of Graylog (chunks have the bytes 1e 0f, an id of 8 bytes, a number and a count, and come within
5 seconds; up to 128 of them).
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Dict, List, Optional, Tuple

CHUNK = b"\x1e\x0f"
MAX_CHUNKS = 128
SECONDS = 5.0
MAX_OPEN = 1_000
"""Messages that are put together at the same time; with more, the oldest is given up."""
MAX_OPEN_BYTES = 32 * 1024 * 1024
_HEADER = 12
_PIECE = 4096
_ZLIB, _GZIP = (b"\x78",), b"\x1f\x8b"

INCOMPLETE = "GELF message of which chunks are missing"
MALFORMED = "malformed GELF chunk"
BROKEN = "broken or too large compressed GELF message"


@dataclass
class _Open:
    count: int
    since: float
    chunks: Dict[int, bytes] = field(default_factory=dict)
    size: int = 0


class Chunks:
    """Messages of which not all chunks have come. `lost` counts what was given up, by reason."""

    def __init__(self, limit: int) -> None:
        self.lost: Dict[str, int] = {}
        self._limit = limit
        self._open: Dict[Tuple[str, bytes], _Open] = {}
        self._size = 0

    def feed(self, datagram: bytes, peer: str, now: float) -> Optional[bytes]:
        """The message that is whole with this datagram, unpacked; None if there is none.

        Args:
            datagram: one chunk, or a message that needed no chunks.
            peer: who sent it: ids are known to be different for each sender only.
            now: seconds on a monotonic clock.
        """
        if not datagram.startswith(CHUNK):
            return self._unpacked(datagram)
        if len(datagram) <= _HEADER or datagram[10] >= datagram[11] or datagram[11] > MAX_CHUNKS:
            self._lose(MALFORMED)
            return None
        key, number, count = (peer, datagram[2:10]), datagram[10], datagram[11]
        message = self._open.get(key)
        if message is None:
            message = self._open[key] = _Open(count, now)
        if message.count != count:
            self._close(key)
            self._lose(MALFORMED)
            return None
        if number not in message.chunks:
            message.chunks[number] = datagram[_HEADER:]
            message.size += len(datagram) - _HEADER
            self._size += len(datagram) - _HEADER
        if len(message.chunks) == count:
            self._close(key)
            return self._unpacked(b"".join(message.chunks[place] for place in range(count)))
        self._bound()
        return None

    def expire(self, now: float) -> None:
        """Give up the messages whose chunks did not come in time."""
        late: List[Tuple[str, bytes]] = []
        for key, message in self._open.items():  # in the order in which they began
            if now - message.since <= SECONDS:
                break
            late.append(key)
        for key in late:
            self._close(key)
            self._lose(INCOMPLETE)

    def _bound(self) -> None:
        while len(self._open) > MAX_OPEN or self._size > MAX_OPEN_BYTES:
            self._close(next(iter(self._open)))
            self._lose(INCOMPLETE)

    def _close(self, key: Tuple[str, bytes]) -> None:
        self._size -= self._open.pop(key).size

    def _lose(self, reason: str) -> None:
        self.lost[reason] = self.lost.get(reason, 0) + 1

    def _unpacked(self, data: bytes) -> Optional[bytes]:
        if not data.startswith((*_ZLIB, _GZIP)):
            return data
        try:
            return inflate(data, self._limit)
        except ValueError:
            self._lose(BROKEN)
            return None


def inflate(data: bytes, limit: int) -> bytes:
    """The bytes that zlib or gzip compressed, also several gzip members behind each other.

    Raises:
        ValueError: they are broken, or more than `limit` when unpacked.
    """
    found, size = [], 0
    unpacker = _unpacker()
    for at in range(0, len(data), _PIECE):  # in pieces: what follows a member is copied at its end
        piece = data[at : at + _PIECE]
        while piece:
            if unpacker.eof:
                unpacker = _unpacker()
            try:
                found.append(unpacker.decompress(piece, limit - size + 1))
            except zlib.error as error:
                raise ValueError(str(error)) from error
            size += len(found[-1])
            if size > limit:
                raise ValueError(f"more than {limit} bytes when unpacked")
            piece = unpacker.unused_data
    if not unpacker.eof:
        raise ValueError("cut off")
    return b"".join(found)


def _unpacker() -> zlib._Decompress:
    return zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
