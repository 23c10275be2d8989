"""What a project's tree holds, so that what was learnt of it can be told from what must be learnt anew.

Python files count by their content, so that a tree in which a patch was deployed is the tree on which it was tried. All
other files count by what the file system says of them: one that was written again is another file, whatever is in it.
"""

from __future__ import annotations

import hashlib
import os
import stat
from functools import lru_cache
from pathlib import Path
from typing import Mapping

from homeostasis.models import Patch
from homeostasis.source import is_settled

MAX_FILES = 20_000
"""Files of a tree; looking at more takes longer than it could save."""
MAX_BYTES = 500_000
"""Longest Python file whose content is read."""
LEFT_OUT = frozenset(
    (".git", ".hg", ".svn", ".homeostasis", "node_modules", "__pycache__", ".mypy_cache", ".pytest_cache",
     ".ruff_cache", ".tox", ".nox")
)  # fmt: skip
"""Directories, at any depth, that are no part of the program."""


class TreeState:
    """The files of a tree at one moment: path relative to the root, and what the file is."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self.files = files

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TreeState) and self.files == other.files

    __hash__ = None  # type: ignore[assignment]

    def digest(self, patch: Patch | None = None) -> str:
        """Hex SHA-256 over the tree, or over what a patch makes of it."""
        edits = {edit.path: _of_content(edit.after) for edit in patch.edits} if patch is not None else {}
        digest = hashlib.sha256()
        for path, what in sorted({**self.files, **edits}.items()):
            digest.update(f"{path}\0{what}\0".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()


def tree_state(root: Path) -> TreeState | None:
    """The state of the tree at `root`, without repositories, environments, caches and byte code.

    Returns:
        None if it is too large, cannot be read whole, or has a link to a directory outside.
    """
    files: dict[str, str] = {}
    pending = [""]
    try:
        while pending:
            if not _look(str(root), pending.pop(), files, pending) or len(files) > MAX_FILES:
                return None
    except OSError:
        return None  # it changes while we look
    return TreeState(files)


def _look(root: str, base: str, files: dict[str, str], pending: list[str]) -> bool:
    """Add what is in the directory `base`, relative to the root; False if that is not all that can be reached."""
    with os.scandir(f"{root}/{base}") as entries:
        found = list(entries)
    if any(entry.name == "pyvenv.cfg" for entry in found) and base:
        return True
    for entry in found:
        path = f"{base}{entry.name}"
        if entry.is_symlink():
            if not _stays_inside(root, entry):
                return False
            files[path] = f"link {os.readlink(entry.path)} {_of_target(entry)}"
        elif entry.is_dir():
            if entry.name not in LEFT_OUT:
                files[f"{path}/"] = "directory"
                pending.append(f"{path}/")
        elif entry.is_file():
            files[path] = _of_file(entry)
    return True


def _stays_inside(root: str, link: os.DirEntry[str]) -> bool:
    return not link.is_dir() or os.path.realpath(link.path).startswith(os.path.realpath(root) + os.sep)


def _of_target(link: os.DirEntry[str]) -> str:
    try:
        return _of_status(link.stat())
    except FileNotFoundError:
        return "leads nowhere"


def _of_file(entry: os.DirEntry[str]) -> str:
    found = entry.stat()
    if not entry.name.endswith(".py") or found.st_size > MAX_BYTES:
        return _of_status(found)
    if not is_settled(found):
        return _of_content(Path(entry.path).read_bytes())
    return _read(entry.path, found.st_ino, found.st_ctime_ns, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=MAX_FILES)
def _read(path: str, *_status: int) -> str:
    return _of_content(Path(path).read_bytes())


def _of_content(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _of_status(found: os.stat_result) -> str:
    return f"{stat.S_IFMT(found.st_mode)} {found.st_ino} {found.st_ctime_ns} {found.st_mtime_ns} {found.st_size}"
