"""The spool: the app appends its records to files of its own, and the orchestrator reads them.

A directory holds files `<start-ns>-<pid>-<n>.jsonl`, each written by one process. Each line is a JSON object. A file is
finished when its process has begun the next one or has ended. Readers never read past the last line end, so a line that
a crash tore apart is never mistaken for a record.
"""

from __future__ import annotations

import os
import time
from typing import Iterable

from homeostasis.monitoring.internal import failed

SEGMENT_BYTES = 4 * 1024 * 1024
"""A file that grows beyond this is finished and the next one begun."""
RETRY_SECONDS = 5.0
"""Pause after the spool could not be opened."""
_MEASURE_SECONDS = 1.0


class SpoolWriter:
    """Appends lines to this process's file of the spool.

    Args:
        project_root: the spool lies in `.homeostasis/spool/` below it, readable for the user only.
        max_bytes: size of the whole spool, of all processes, above which lines are refused.
    """

    def __init__(self, project_root: str, max_bytes: int) -> None:
        self.directory = os.path.join(project_root, ".homeostasis", "spool")
        self._max_bytes = max_bytes
        self.reserve = max_bytes // 16
        """Bytes that are kept for counters: when events have filled the spool, errors go on being counted."""
        self._segment = min(SEGMENT_BYTES, max(max_bytes // 8, 8192))
        self._file: int | None = None
        self._size = 0
        self._number = 0
        self._start = time.time_ns()
        self._pid = os.getpid()
        self._retry_at = 0.0
        self._measured_at = -_MEASURE_SECONDS
        self._total = 0

    def has_room(self) -> bool:
        """Whether what was counted can be written. Until it can, it is best left where it is counted."""
        if self._file is None and time.monotonic() < self._retry_at:
            return False
        return self._room() > self.reserve // 2

    def fitting(self, lines: Iterable[bytes]) -> int:
        """How many of the lines, from the first, there is room for."""
        room, count = self._room(), 0
        for line in lines:
            room -= len(line)
            if room < 0:
                break
            count += 1
        return count

    def write(self, lines: Iterable[bytes], spare: int = 0) -> dict[str, int]:
        """Append lines, each with its line end, and hand them to the operating system.

        Args:
            lines: what to write.
            spare: bytes of the spool that have to stay free.

        Returns:
            How many lines were refused, by reason: `spool full` or `spool unwritable`.
        """
        lost: dict[str, int] = {}
        batch: list[bytes] = []
        size = 0
        for line in lines:
            if self._room() - spare < size + len(line):
                lost["spool full"] = lost.get("spool full", 0) + 1
                continue
            batch.append(line)
            size += len(line)
        if batch and not self._append(b"".join(batch)):
            lost["spool unwritable"] = len(batch)
        return lost

    def close(self) -> None:
        """Close the file; the next write begins another one."""
        if self._file is not None:
            try:
                os.close(self._file)
            except OSError as error:
                failed("closing the spool", error)
            self._file = None

    def _room(self) -> int:
        now = time.monotonic()
        if now - self._measured_at >= _MEASURE_SECONDS:
            self._measured_at = now
            self._total = self._measure()
        return self._max_bytes - self._total

    def _measure(self) -> int:
        total = 0
        try:
            with os.scandir(self.directory) as listing:
                for entry in listing:
                    try:
                        total += entry.stat(follow_symlinks=False).st_size
                    except FileNotFoundError:
                        continue  # read and deleted meanwhile
        except OSError:
            return 0
        return total

    def _append(self, content: bytes) -> bool:
        if self._pid != os.getpid():
            self.close()
            self._pid, self._start, self._number = os.getpid(), time.time_ns(), 0
        if self._file is not None and (self._size >= self._segment or _is_deleted(self._file)):
            self.close()
        if self._file is None and not self._open():
            return False
        try:
            self._write_whole(content)
        except OSError as error:
            self._repair()
            failed("writing to the spool", error)
            return False
        self._size += len(content)
        self._total += len(content)
        return True

    def _write_whole(self, content: bytes) -> None:
        assert self._file is not None  # noqa: S101
        view = memoryview(content)
        while view:
            view = view[os.write(self._file, view) :]

    def _repair(self) -> None:
        """Take back half a line: the disk is full, or worse."""
        assert self._file is not None  # noqa: S101
        try:
            os.ftruncate(self._file, self._size)
        except OSError as error:
            failed("repairing the spool", error)
            self.close()

    def _open(self) -> bool:
        if time.monotonic() < self._retry_at:
            return False
        try:
            make_private(self.directory)
            self._number += 1
            name = f"{self._start}-{self._pid}-{self._number}.jsonl"
            path = os.path.join(self.directory, name)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
            self._file = os.open(path, flags | getattr(os, "O_CLOEXEC", 0), 0o600)
            self._size = 0
            return True
        except OSError as error:
            self._retry_at = time.monotonic() + RETRY_SECONDS
            failed("opening the spool", error)
            return False


def _is_deleted(file: int) -> bool:
    return os.fstat(file).st_nlink == 0


def make_private(directory: str) -> None:
    """Make a directory in `.homeostasis/`, for the user only, and keep the state out of git.

    Raises:
        OSError: it cannot be made.
    """
    state = os.path.dirname(directory)
    if not os.path.isdir(state):
        os.makedirs(state, mode=0o700, exist_ok=True)
        ignore = os.path.join(state, ".gitignore")
        if not os.path.exists(ignore):
            with open(ignore, "w", encoding="utf-8") as stream:
                stream.write("*\n")
    os.makedirs(directory, mode=0o700, exist_ok=True)
