"""Copy the app's tree into a trial.

A copy and not hard links: a program in the trial may write into a file in place, and with a hard link it would write
into the app's. What is never part of a program (repositories, environments, caches, our own state) is left out.
"""

from __future__ import annotations

import glob
import os
import shutil
import stat
from pathlib import Path
from typing import Sequence

from homeostasis_sandbox_venv import sqlite

LEFT_OUT = frozenset(
    (
        ".git",
        ".hg",
        ".svn",
        ".homeostasis",
        "node_modules",
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
        ".tox",
        ".nox",
    )
)
_CHUNK = 1 << 20


def copy(source: Path, target: Path, *, outward_links: bool) -> None:
    """Copy the tree at `source` to `target`, which must not exist.

    Byte code is copied along with the times of its sources, so that it stays valid and the app starts as fast as usual.

    Args:
        source: the project's root.
        target: the copy's root.
        outward_links: keep symbolic links that lead out of the tree, as links. Only safe where what is outside cannot
            be written; links that stay inside are always kept.
    """
    _copy_directory(source, target, source, outward_links)


def copy_file(source: Path, target: Path) -> None:
    """Copy a file with its mode and times; an SQLite database in one consistent state."""
    if sqlite.is_database(source):
        sqlite.copy(source, target)
        return
    shutil.copyfile(source, target)
    copy_status(source, target)


def copy_source(source: str, target: str) -> None:
    """Copy a regular file with its mode and times into a new one: the same as `copy_file` in a fifth of the time.

    Hundreds of files are copied for each trial.
    """
    reading = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        found = os.fstat(reading)
        writing = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            while True:
                content = os.read(reading, _CHUNK)
                if not content:
                    break
                while content:
                    content = content[os.write(writing, content) :]
            os.fchmod(writing, stat.S_IMODE(found.st_mode))
            os.utime(writing, ns=(found.st_atime_ns, found.st_mtime_ns))
        finally:
            os.close(writing)
    finally:
        os.close(reading)


def copy_status(source: Path, target: Path) -> None:
    """Copy mode and times. `shutil.copystat` would also look for extended attributes, which costs as much again."""
    found = source.stat()
    target.chmod(stat.S_IMODE(found.st_mode))
    os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))


def outermost(root: Path, source: Sequence[str]) -> list[Path]:
    """The folders and files of the setting `source` that exist below `root`, without those that lie in another one."""
    found = [root / entry for entry in dict.fromkeys(map(os.path.normpath, source))]
    found = [path for path in found if path.exists() and (path == root or root in path.resolve().parents)]
    return [path for path in found if not any(other in path.parents for other in found)]


def forget_byte_code(root: Path, path: str) -> None:
    """Delete the byte code of a file that was changed: an edit of the same size within a second of the original's time
    would go unnoticed.
    """
    file = root / path
    cache = file.parent / "__pycache__"
    if cache.is_symlink():
        cache.unlink()  # what it leads to is not ours
    for stale in cache.glob(f"{glob.escape(file.stem)}.*.pyc"):
        stale.unlink()


def _copy_directory(source: Path, target: Path, root: Path, outward_links: bool) -> None:
    target.mkdir()
    with os.scandir(source) as entries:
        for entry in entries:
            if entry.name in LEFT_OUT:
                continue
            here = target / entry.name
            try:
                if entry.is_symlink():
                    _copy_link(Path(entry.path), here, root, outward_links)
                elif entry.is_dir():
                    if not is_environment(Path(entry.path)):
                        _copy_directory(Path(entry.path), here, root, outward_links)
                elif entry.is_file() and not sqlite.is_companion(entry.name):
                    copy_file(Path(entry.path), here)
            except FileNotFoundError:
                continue  # the live app deleted it meanwhile
            except PermissionError:
                continue  # what the healer cannot read, the trial cannot have
    copy_status(source, target)
    target.chmod(target.stat().st_mode | 0o700)


def is_environment(directory: Path) -> bool:
    """Whether a directory is a virtual environment."""
    return (directory / "pyvenv.cfg").is_file()


def _copy_link(link: Path, here: Path, root: Path, outward_links: bool) -> None:
    destination = link.resolve()
    if destination == root or root in destination.parents:
        inside = os.path.relpath(destination, link.parent.resolve())
        here.symlink_to(inside)
    elif outward_links:
        here.symlink_to(destination)
