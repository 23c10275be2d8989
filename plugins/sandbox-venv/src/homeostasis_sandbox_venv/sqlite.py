"""Copies of SQLite databases: a trial never shares one with the live app, and sees one consistent state of it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections import deque
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

SUFFIXES = (".db", ".db3", ".sqlite", ".sqlite3")
COMPANIONS = ("-wal", "-shm", "-journal")
_MAGIC = b"SQLite format 3\0"
MAX_ENTRIES = 20_000
"""Files and directories of a tree among which databases are looked for: some ten milliseconds."""
_SKIPPED = frozenset(("node_modules", "__pycache__"))
_TICK = 100_000_000
"""Nanoseconds within which two changes of a directory may get the same time, generously."""
_WAIT = 1.0
"""Seconds for a lock that the app holds."""


def is_database(file: Path) -> bool:
    """Whether a file, by its name and first bytes, is an SQLite database."""
    if file.suffix not in SUFFIXES:
        return False
    try:
        with file.open("rb") as stream:
            return stream.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def is_companion(name: str) -> bool:
    """Whether a file is the log or the index of a database, of which its copy has no need."""
    return any(name.endswith(suffix + companion) for suffix in SUFFIXES for companion in COMPANIONS)


class _Walk(NamedTuple):
    """What a search of a tree has seen.

    Attributes:
        directories: those that were searched, each with the time of its last change, in nanoseconds.
        named: files that are named like databases.
    """

    directories: dict[str, int]
    named: list[str]


_walks: dict[Path, _Walk] = {}


def near(root: Path) -> list[Path]:
    """The databases in `root` and below it, nearest first searched, until `MAX_ENTRIES` files have been looked at.

    Links are not followed, and hidden directories and environments not searched. While no directory has changed, the
    tree is not searched again.
    """
    walk = _walks.get(root)
    if walk is None or any(_changed(path) != at for path, at in walk.directories.items()):
        began = time.time_ns()
        walk = _search(root)
        if max(walk.directories.values(), default=0) < began - _TICK:
            _walks[root] = walk
        else:  # a file that is made now might not change the time of its directory
            _walks.pop(root, None)
    return sorted(path for path in map(Path, walk.named) if is_database(path))


def _search(root: Path) -> _Walk:
    found = _Walk({}, [])
    queue, left = deque([str(root)]), MAX_ENTRIES
    while queue and left > 0:
        directory = queue.popleft()
        found.directories[directory] = _changed(directory)
        with suppress(OSError), os.scandir(directory) as entries:
            for entry in islice(entries, left):
                left -= 1
                if entry.name.endswith(SUFFIXES) and entry.is_file(follow_symlinks=False):
                    found.named.append(entry.path)
                elif entry.is_dir(follow_symlinks=False) and _is_searched(entry):
                    queue.append(entry.path)
    return found


def _changed(directory: str) -> int:
    try:
        return os.stat(directory).st_mtime_ns  # noqa: PTH116 - speed
    except OSError:
        return 0


def _is_searched(entry: os.DirEntry[str]) -> bool:
    is_skipped = entry.name.startswith(".") or entry.name in _SKIPPED
    return not is_skipped and not os.path.exists(os.path.join(entry.path, "pyvenv.cfg"))  # noqa: PTH110, PTH118 - speed


def copy(source: Path, target: Path) -> None:
    """Copy a database by SQLite's backup, which waits for the app's locks and takes the log into account.

    Without a log beside it, nobody has it open in WAL mode, and `immutable` keeps SQLite from making one there. A
    database that SQLite cannot read is copied as bytes, companions too.

    Raises:
        OSError: the copy cannot be written.
    """
    live = any(Path(f"{source}{companion}").exists() for companion in COMPANIONS)
    mode = "mode=ro" if live or not _is_wal(source) else "mode=ro&immutable=1"
    try:
        uri = f"file:{quote(str(source))}?{mode}"
        with closing(sqlite3.connect(uri, uri=True, timeout=_WAIT)) as theirs, closing(
            sqlite3.connect(str(target))
        ) as ours:
            theirs.backup(ours)
    except sqlite3.Error:
        for suffix in ("", "-wal", "-journal"):
            if Path(f"{source}{suffix}").exists():
                shutil.copyfile(f"{source}{suffix}", f"{target}{suffix}")
    shutil.copystat(source, target)


def _is_wal(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(20)[18:20] == b"\2\2"
