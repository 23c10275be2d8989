"""The collector: finds the files, follows each, and reads what rotation put away."""

from __future__ import annotations

import glob
import os
import stat
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Dict, List, Optional, Set, Tuple

from homeostasis.collecting.events import EventMaker
from homeostasis_collect_logs.marks import Identity, Marks
from homeostasis_collect_logs.rotated import Rest, chunks, is_rotated_name, rest_of, rests_of
from homeostasis_collect_logs.scanner import Scanner
from homeostasis_collect_logs.tail import Follower, identify

if TYPE_CHECKING:
    from homeostasis.hookspecs import Sink, Stop
    from homeostasis.project import Project
    from homeostasis_collect_logs.settings import CollectLogsSettings

LINGER = 10.0
"""Seconds for which a file that was renamed or deleted is read on: its writer may not have opened the new one yet."""
MAX_FOLLOWED = 500
"""Files that are held open."""

_Number = Tuple[int, int]


def scanner_for(settings: CollectLogsSettings) -> Callable[[int], Scanner]:
    """What makes a scanner with the limits of the settings, from an offset."""

    def make(offset: int) -> Scanner:
        return Scanner(
            offset,
            max_line_bytes=settings.max_line_bytes,
            max_event_lines=settings.max_event_lines,
            text_only=settings.format == "text",
        )

    return make


class LogCollector:
    """Follows the files of `[tool.homeostasis.collect-logs]`."""

    def __init__(self, project: Project, settings: CollectLogsSettings) -> None:
        self._project = project
        self._settings = settings

    def run(self, sink: Sink, stop: Stop) -> None:
        """Put the crashes of all files into `sink` until `stop` is set."""
        watch = Watch(self._project, self._settings, sink, stop)
        try:
            while not stop.is_set():
                complete = watch.look()
                stop.wait(self._settings.interval if complete else 0)
        finally:
            watch.close()


class Watch:
    """One run of the collector: what it holds is thrown away with it, and found again from the positions."""

    def __init__(self, project: Project, settings: CollectLogsSettings, sink: Sink, stop: Stop) -> None:
        self._root = project.root
        self._settings = settings
        self._sink = sink
        self._stop = stop
        self._marks = Marks(sink)
        self._maker = EventMaker(project, settings)
        self._new_scanner = scanner_for(settings)
        self._followers: Dict[_Number, Follower] = {}
        self._paths: Dict[_Number, Path] = {}
        self._passed_over: Set[Path] = set()
        self._packed: Set[Tuple[int, int, int, int]] = set()

    def look(self) -> bool:
        """One look at all files; false if there is more to read at once."""
        for follower in self._followers.values():
            # Before their compressed copies are found.
            if follower.unlinked and not follower.truncated:
                follower.read(self._stop.is_set)
                follower.settle(0.0)
        present: Set[_Number] = set()
        complete = True
        for path in self._files():
            number = self._open(path)
            if number is not None:
                present.add(number)
        for number, follower in list(self._followers.items()):
            if self._stop.is_set():
                break
            if number in present and follower.truncated:
                self._restart(number, follower)
                continue
            complete &= follower.read(self._stop.is_set)
            follower.settle(self._settings.settle)
            if number not in present and time.monotonic() - follower.grown > LINGER:
                self._drop(number, follower)
        return complete

    def close(self) -> None:
        """Close all files; what was not given out is found again by the next run."""
        for follower in self._followers.values():
            follower.close()
        self._followers.clear()

    def _files(self) -> List[Path]:
        patterns = [str(self._root / each) for each in self._settings.files]
        found = [name for each in patterns for name in glob.glob(each, recursive=True)]  # noqa: PTH207 - absolute ones too
        # Rotated files first: they are the older ones.
        return sorted(map(Path, dict.fromkeys(found)), key=lambda path: (not is_rotated_name(path), path))

    def _open(self, path: Path) -> Optional[_Number]:
        """Follow the file unless that is done already. Returns its number, or None if there is nothing to follow."""
        try:
            status = path.stat()
            number = status.st_dev, status.st_ino
            if number in self._followers:
                return number
            if not stat.S_ISREG(status.st_mode):
                return None
            if len(self._followers) >= MAX_FOLLOWED:
                self._pass_over(path, f"log that is not read: there are more than {MAX_FOLLOWED}")
                return None
            if path.suffix == ".gz":
                self._unpack(path, status)
                return None
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._pass_over(path, f"log that cannot be read: {error.strerror}")
            return None
        identity = identify(descriptor)
        if identity is None:
            os.close(descriptor)
            return None
        self._followers[number] = self._follower(path, descriptor, identity)
        self._paths[number] = path
        return number

    def _pass_over(self, path: Path, reason: str) -> None:
        """Count a file that is not read, once."""
        if path not in self._passed_over:
            self._passed_over.add(path)
            self._sink.lost(reason, 1)

    def _follower(self, path: Path, descriptor: int, identity: Identity) -> Follower:
        number = identity.device, identity.inode
        if not is_rotated_name(path):
            for rest in rests_of(path, self._marks, self._settings.max_unpacked_bytes):
                if (rest.identity.device, rest.identity.inode) not in {number, *self._followers}:
                    self._read_rest(rest)
        position = self._marks.of(identity)
        if not position and is_rotated_name(path):
            rest_here = rest_of(path, self._marks, self._settings.max_unpacked_bytes)
            position = rest_here.position if rest_here else 0
        if position > os.fstat(descriptor).st_size:
            position = 0
        return Follower(
            descriptor,
            identity,
            position,
            name=f"log:{path}",
            new_scanner=self._new_scanner,
            maker=self._maker,
            sink=self._sink,
        )

    def _drop(self, number: _Number, follower: Follower) -> None:
        """Follow a file no longer: it is gone, and read to its end."""
        follower.finish()
        follower.close()
        del self._followers[number], self._paths[number]

    def _restart(self, number: _Number, follower: Follower) -> None:
        """Follow a truncated file no longer; the next look finds it as another one.

        If it was copied before, its copy has what was not read, and the rest of a traceback that was begun.
        """
        rests = rests_of(self._paths[number], self._marks, self._settings.max_unpacked_bytes)
        if not any(rest.position for rest in rests):
            follower.give_up()
        with self._sink.batch():
            self._sink.advance(follower.identity.key, 0)
        follower.close()
        del self._followers[number], self._paths[number]

    def _unpack(self, path: Path, status: os.stat_result) -> None:
        """Read a compressed file that the globs name, once."""
        signature = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
        if signature in self._packed:
            return
        self._packed.add(signature)
        rest = rest_of(path, self._marks, self._settings.max_unpacked_bytes)
        if rest is not None:
            self._read_rest(rest)

    def _read_rest(self, rest: Rest) -> None:
        """Read a file that was put away to its end, and remember that."""
        scanner, tail = self._new_scanner(rest.position), b""
        try:
            for data, tail in chunks(rest.path, rest.position, self._settings.max_unpacked_bytes):  # noqa: B007
                if self._stop.is_set():
                    return
                scanner.feed(data, 0.0)
                self._put(scanner, rest, None, b"")
        except (OSError, EOFError, zlib.error):
            self._sink.lost("damaged or too large compressed log", 1)
        scanner.finish()
        self._put(scanner, rest, scanner.position if tail else None, tail)

    def _put(self, scanner: Scanner, rest: Rest, position: Optional[int], tail: bytes) -> None:
        crashes, lost = scanner.take(), scanner.take_lost()
        if not (crashes or lost or position is not None):
            return
        with self._sink.batch():
            self._maker.put(crashes, self._sink)
            for reason, count in lost.items():
                self._sink.lost(reason, count)
            lines, scanner.lines = scanner.lines, 0
            self._sink.heard(f"log:{rest.path}", lines, time.time())
            if position is not None:
                self._marks.keep(rest.identity, position, tail)
            elif crashes:
                self._sink.advance(rest.identity.key, scanner.safe)
