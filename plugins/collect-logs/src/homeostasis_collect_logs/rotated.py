"""What rotation put away before it was read: renamed files, copies of truncated ones, and compressed ones."""

from __future__ import annotations

import gzip
import os
import re
import stat
import zlib
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Iterator, List, NamedTuple, Optional, Tuple

from homeostasis_collect_logs.marks import HEAD, TAIL, Identity, Marks, head_of
from homeostasis_collect_logs.tail import READ_AT_ONCE

MAX_SIBLINGS = 500
"""Files beside a log that are looked at, newest first."""
_ROTATED = re.compile(r"(?:[-._]\d{1,20}|[-._]\d{4}-\d\d-\d\d[\w.:-]*|[-._]old|[-._]bak)(?:\.gz)?$|\.gz$")
_DAMAGED = (OSError, EOFError, zlib.error)


class Rest(NamedTuple):
    """A file that was put away, and from where on it was not read."""

    path: Path
    identity: Identity
    position: int


def is_rotated_name(path: Path) -> bool:
    """Whether a file is called as rotation calls it: `app.log.1`, `app.log-20260101.gz`, `app.2026-01-01.log`."""
    return _ROTATED.search(path.name) is not None


def rests_of(path: Path, marks: Marks, limit: int) -> List[Rest]:
    """What was put away of a log and not read, oldest first.

    A file counts if reading it was begun, or if it is newer than one of which that is true.

    Args:
        path: of the log.
        marks: where reading was left.
        limit: bytes up to which a compressed file is unpacked.
    """
    found: List[Rest] = []
    for sibling in _siblings(path):
        rest = rest_of(sibling, marks, limit)
        if rest is None:
            continue
        found.append(rest)
        if rest.position:
            return found[::-1]
    return []


def rest_of(path: Path, marks: Marks, limit: int) -> Optional[Rest]:
    """A file that was put away, from where it was left; None if it cannot be told or read."""
    try:
        with unpacked(path) as stream:
            status = os.fstat(stream.fileno())
            head = head_of(stream.read(HEAD))
        if head is None:
            return None
        identity = Identity(status.st_dev, status.st_ino, head)
        position = marks.of(identity) or marks.of_copy(head, lambda end: _tail(path, end, limit))
    except _DAMAGED:
        return None
    return Rest(path, identity, position)


def unpacked(path: Path) -> BinaryIO:
    """The file, without its compression if the name says that there is one."""
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def chunks(path: Path, position: int, limit: int) -> Iterator[Tuple[bytes, bytes]]:
    """The bytes from `position` on, up to `limit` unpacked ones, each with the `TAIL` bytes before its end.

    Raises:
        OSError, EOFError, zlib.error: the file is damaged, or longer than the limit.
    """
    at, tail = 0, b""
    with unpacked(path) as stream:
        if path.suffix != ".gz":
            stream.seek(max(position - TAIL, 0))
            at = stream.tell()
        while data := stream.read(READ_AT_ONCE):
            at += len(data)
            if path.suffix == ".gz" and at > limit:
                raise EOFError(f"more than {limit} bytes")
            tail = (tail + data)[-TAIL:]
            if at > position:
                yield data[-(at - position) :] if at - len(data) < position else data, tail


def _tail(path: Path, end: int, limit: int) -> bytes:
    """The bytes before an offset; fewer if the file is shorter."""
    tail, at = b"", 0
    with unpacked(path) as stream:
        if path.suffix != ".gz":
            stream.seek(max(end - TAIL, 0))
            return stream.read(min(TAIL, end))
        while at < min(end, limit) and (data := stream.read(min(READ_AT_ONCE, end - at))):
            at += len(data)
            tail = (tail + data)[-TAIL:]
    return tail if at == end else b""


def _siblings(path: Path) -> List[Path]:
    """Rotated files of a log, newest first."""
    begin = (path.name, f"{path.stem}.", f"{path.stem}-")
    found = []
    try:
        with os.scandir(path.parent) as entries:
            for entry in entries:
                if entry.name == path.name or not entry.name.startswith(begin) or not is_rotated_name(Path(entry.name)):
                    continue
                with suppress(FileNotFoundError):  # rotation goes on meanwhile
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(status.st_mode):
                        found.append((status.st_mtime_ns, entry.name))
    except OSError:
        return []
    return [path.parent / name for _, name in sorted(found, reverse=True)[:MAX_SIBLINGS]]
