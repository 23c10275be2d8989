"""What a trial changes in the tree, for processes that are forked from a zygote: values, as each gets its own copy.

For fresh processes, `overlayfs` and `tree` write the same to where it stays until the end of the trial.
"""

from __future__ import annotations

import tempfile
from itertools import repeat
from pathlib import Path
from typing import Iterator, Mapping, NamedTuple

from homeostasis.errors import PatchConflict
from homeostasis.models import Patch
from homeostasis.models.patch import resolve_inside
from homeostasis.project import Project
from homeostasis_sandbox_venv import overlayfs, services, sqlite, tree

MAX_BYTES = 8 * 1024 * 1024
"""Databases and seed files that are handed to each run; larger ones are copied once for each trial instead."""


class Layer(NamedTuple):
    """What lies over the live tree; paths are relative to its root.

    Attributes:
        written: path and content of databases, patched files and seed files.
        hidden: what is no part of the program, stale byte code, and the logs of databases.
    """

    written: tuple[tuple[str, bytes], ...]
    hidden: tuple[str, ...]


def make(patch: Patch | None, root: Path, files: Mapping[str, str]) -> Layer:
    """The layer of a trial, from the live tree as it is now.

    Raises:
        PatchConflict: a file is not what the patch was made from.
        UnsafePath: a path passes through a symbolic link.
        SandboxError: a seed file cannot be read.
    """
    edited = [] if patch is None else list(_edited(patch, root))
    stale = [] if patch is None else list(overlayfs.byte_code(patch, root))
    left_out = list(overlayfs.hidden(root))
    databases = [path for path in sqlite.near(root) if path.parent.relative_to(root).as_posix() not in left_out]
    logs = [Path(f"{database}{companion}") for database in databases for companion in sqlite.COMPANIONS]
    return Layer(
        written=(*map(_snapshot, databases, repeat(root)), *edited, *_seeds(root, files)),
        hidden=(*left_out, *stale, *(log.relative_to(root).as_posix() for log in logs if log.exists())),
    )


def sources(project: Project) -> dict[str, int]:
    """The Python files of `source`, and when they were last changed: a run must not see half of a heal."""
    found: dict[str, int] = {}
    for folder in tree.outermost(project.root, project.config.source):
        found.update([(str(folder), folder.stat().st_mtime_ns)] if folder.is_file() else overlayfs.python_files(folder))
    return found


def size(root: Path, files: Mapping[str, str]) -> int:
    """Bytes of what each run is handed, beyond the patch."""
    copied = [*sqlite.near(root), *(root / Path(name).expanduser() for name in files.values())]
    return sum(path.stat().st_size for path in copied if path.exists())


def _edited(patch: Patch, root: Path) -> Iterator[tuple[str, bytes]]:
    for edit in patch.edits:
        live = resolve_inside(root, edit.path)
        current = live.read_bytes() if live.exists() else None
        if current not in (edit.before, edit.after):
            raise PatchConflict(f"{edit.path} has changed since the patch was made: make the patch again")
        yield edit.path, edit.after


def _snapshot(database: Path, root: Path) -> tuple[str, bytes]:
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place, "copy")
        sqlite.copy(database, copy)
        return database.relative_to(root).as_posix(), copy.read_bytes()


def _seeds(root: Path, files: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    for path, name in files.items():
        resolve_inside(root, path)
        with tempfile.TemporaryDirectory() as place:
            services.seed(Path(place).resolve(), root, {path: name})
            yield path, Path(place, path).read_bytes()
