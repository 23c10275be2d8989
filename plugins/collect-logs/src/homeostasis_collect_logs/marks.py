"""Where reading was left, by what a file is: renaming it changes nothing, and its copy is known for one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable, Optional

if TYPE_CHECKING:
    from homeostasis.hookspecs import Sink

HEAD = 256
"""Bytes of the first line that tell a file."""
TAIL = 256
"""Bytes before a position that tell whether a copy has the same ones there."""


@dataclass(frozen=True)
class Identity:
    """A file: device and inode, and the digest of how it begins, since numbers of inodes are given out again."""

    device: int
    inode: int
    head: str

    @property
    def key(self) -> str:
        """Name of its position in the ledger."""
        return f"logs:{self.device}:{self.inode}:{self.head}"


def head_of(data: bytes) -> Optional[str]:
    """Digest of the beginning of a file; None while the first line is not whole and short.

    Args:
        data: the first `HEAD` bytes of the file, or all of it.
    """
    end = data.find(b"\n") + 1
    if not end and len(data) < HEAD:
        return None
    return _digest(data[: end or HEAD])


class Marks:
    """Positions in the ledger."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def of(self, identity: Identity) -> int:
        """How far this file was read."""
        return self._sink.position(identity.key)

    def of_copy(self, head: str, tail_before: Callable[[int], bytes]) -> int:
        """How far the file was read of which another one, with the same head, is a copy; 0 if it is none.

        Args:
            head: of the copy.
            tail_before: gives the `TAIL` bytes before an offset of the copy, fewer if it is shorter.
        """
        position = self._sink.position(f"logs:{head}:position")
        return (
            position if position and _number(tail_before(position)) == self._sink.position(f"logs:{head}:tail") else 0
        )

    def keep(self, identity: Identity, position: int, tail: bytes) -> None:
        """Remember how far the file was read. Call it within `sink.batch()`.

        Args:
            identity: of the file.
            position: offset up to which everything was put.
            tail: the `TAIL` bytes before `position`, or all there are.
        """
        self._sink.advance(identity.key, position)
        self._sink.advance(f"logs:{identity.head}:position", position)
        self._sink.advance(f"logs:{identity.head}:tail", _number(tail))


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=10).hexdigest()


def _number(data: bytes) -> int:
    """A digest that fits into a position."""
    return int.from_bytes(hashlib.blake2b(data, digest_size=6).digest(), "big")
