"""An overlay of the live tree instead of a copy: what is not touched costs nothing, whatever the size of the tree.

The live tree is the lower layer, which overlayfs never writes; the trial's directory holds the upper one. The mount
lives in namespaces of its own (see `mounter`), which this process keeps open: there is nothing to unmount, ever.

overlayfs shows what happens to its lower layer. So that a heal that is deployed meanwhile does not make a tree that is
half old and half new, `pinned` copies the files that a heal may change, the Python files of `source`, into the upper
layer before anything runs. Databases are copied too: see `sqlite`.
"""

from __future__ import annotations

import glob
import json
import os
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Iterable, Iterator, Sequence

from homeostasis.models import Patch
from homeostasis.models.patch import resolve_inside
from homeostasis_sandbox_venv import sqlite, tree

_TIMEOUT = 10.0
_UNWANTED = frozenset(",:\\")
"""Characters that mean something in the options of a mount."""
_failed: set[tuple[int, int]] = set()
"""Devices of a live tree and of the trials, between which an overlay did not work: it is not tried again."""


@dataclass(frozen=True)
class Overlay:
    """A mounted overlay, held by its mount namespace and, if it needs one, its user namespace."""

    user: FileIO | None
    mount: FileIO

    @property
    def namespaces(self) -> tuple[int, int]:
        """Descriptors of the user namespace, -1 for none, and of the mount namespace."""
        return (-1 if self.user is None else self.user.fileno(), self.mount.fileno())

    def close(self) -> None:
        """Let go of it. Programs that still run in it keep it until they end."""
        for held in (self.user, self.mount):
            if held is not None:
                held.close()


def prepare(root: Path, upper: Path, source: Sequence[str]) -> bool:
    """Fill the upper layer with what hides and what is pinned. False if an overlay cannot be made of this tree."""
    devices = (root.stat().st_dev, upper.parent.stat().st_dev)
    if devices in _failed or not fits(root, upper):
        return False
    try:
        upper.mkdir(mode=stat.S_IMODE(root.stat().st_mode) | 0o700)
        _hide(root, upper)
        for folder in tree.outermost(root, source):
            _pin(folder, upper, root)
        for database in sqlite.near(root):
            target = upper / database.relative_to(root)
            _make_directories(target.parent, root, upper)
            sqlite.copy(database, target)
    except OSError as error:
        if not isinstance(error, FileNotFoundError):  # the app deletes files too
            _failed.add(devices)
        shutil.rmtree(upper, ignore_errors=True)
        return False
    return True


def fits(root: Path, upper: Path) -> bool:
    """Whether the names of the layers can be told to the kernel, and the tree is all on one file system."""
    return not _UNWANTED & set(f"{root}{upper}") and not _has_mounts(root)


def mount(directory: Path, root: Path, *, bound: Iterable[Path], cover: bool) -> Overlay | None:
    """Mount the layer that `prepare` and the patch have filled at `directory/tree`; None if that does not work here.

    Args:
        directory: the trial's.
        root: the live tree.
        bound: hidden directories of the live tree that are shown all the same, read-only, such as an environment.
        cover: also mount it over `root`, so that absolute links and paths lead to it.
    """
    for name in ("work", "tree"):
        (directory / name).mkdir()
    inside = [path.relative_to(root).as_posix() for path in bound]
    names = {"lower": root, "root": root, "upper": directory / "upper", "work": directory / "work"}
    spec = {**{key: str(path) for key, path in names.items()}, "tree": str(directory / "tree")}
    words = [str(Path(__file__).with_name("mounter.py")), json.dumps({**spec, "bound": inside, "cover": cover})]
    with subprocess.Popen(
        [sys.executable, "-I", "-S", *words],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={}, cwd="/",
    ) as process:  # fmt: skip
        said = process.stdout.readline() if process.stdout is not None else b""
        try:
            if said in (b"user\n", b"root\n"):
                user = _open(process.pid, "user") if said == b"user\n" else None
                return Overlay(user, _open(process.pid, "mnt"))
        except OSError:
            pass  # it has ended already
        finally:
            process.communicate(timeout=_TIMEOUT)
    _give_up(directory, root)
    return None


def _give_up(directory: Path, root: Path) -> None:
    _failed.add((root.stat().st_dev, directory.stat().st_dev))
    for name in ("work", "tree", "upper"):
        shutil.rmtree(directory / name, ignore_errors=True)


def _open(pid: int, kind: str) -> FileIO:
    return FileIO(f"/proc/{pid}/ns/{kind}")


def _has_mounts(root: Path) -> bool:
    """Whether something is mounted inside: an overlay would not show it."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return True
    return any(line.split(" ")[4].startswith(f"{root}/") for line in lines)


def hidden(root: Path) -> Iterator[str]:
    """What is no part of the program, in the root and one level below, relative to it; `.homeostasis` in any case."""
    yield ".homeostasis"
    for entry in _directories(root):
        if _is_left_out(entry):
            if entry.name != ".homeostasis":
                yield entry.name
            continue
        for below in _directories(Path(entry.path)):
            if _is_left_out(below):
                yield f"{entry.name}/{below.name}"


def _hide(root: Path, upper: Path) -> None:
    """White out what is hidden."""
    for path in hidden(root):
        _make_directories((upper / path).parent, root, upper)
        os.mknod(upper / path, stat.S_IFCHR, os.makedev(0, 0))


def _directories(directory: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            yield from [entry for entry in entries if entry.is_dir(follow_symlinks=False) or _is_git(entry)]
    except PermissionError:
        return  # it is as closed to the trial


def _is_git(entry: os.DirEntry[str]) -> bool:
    return entry.name == ".git"  # a file in a work tree


def _is_left_out(entry: os.DirEntry[str]) -> bool:
    return entry.name in tree.LEFT_OUT or tree.is_environment(Path(entry.path))


def _make_directories(directory: Path, root: Path, upper: Path) -> None:
    """Make a directory of the upper layer with the modes that the lower one has."""
    if directory.is_dir():
        return
    _make_directories(directory.parent, root, upper)
    directory.mkdir()
    tree.copy_status(root / directory.relative_to(upper), directory)


def _pin(source: Path, upper: Path, root: Path) -> None:
    """Copy the Python files at or below `source`, a file or directory, into the upper layer."""
    if source.is_file():
        _make_directories((upper / source.relative_to(root)).parent, root, upper)
        tree.copy_source(str(source), str(upper / source.relative_to(root)))
        return
    made = None
    for file, _ in python_files(source):
        inside = file[len(f"{root}/") :]
        folder = inside.rpartition("/")[0]
        if folder != made:
            _make_directories(upper / folder, root, upper)
            made = folder
        tree.copy_source(file, f"{upper}/{inside}")


def python_files(folder: Path) -> Iterator[tuple[str, int]]:
    """The Python files that would be pinned below a folder, each with the time of its last change."""
    try:
        with os.scandir(folder) as entries:
            found = list(entries)
    except OSError:
        return
    for entry in found:
        if entry.is_symlink():
            continue
        if entry.name.endswith(".py") and entry.is_file():
            yield entry.path, entry.stat().st_mtime_ns
        elif entry.is_dir() and entry.name != "__pycache__" and not _is_left_out(entry):
            yield from python_files(Path(entry.path))


def apply(patch: Patch, root: Path, upper: Path) -> None:
    """Apply a patch in the upper layer, and hide the byte code of the files that it changes.

    Raises:
        PatchConflict: the live tree is not what the patch was made from.
        UnsafePath: a path passes through a symbolic link.
    """
    for edit in patch.edits:
        live, here = resolve_inside(root, edit.path), upper / edit.path
        for directory in reversed(here.relative_to(upper).parents):
            if (root / directory).is_dir():
                _make_directories(upper / directory, root, upper)
        if live.is_file() and not here.exists():
            tree.copy_file(live, here)
    patch.apply(upper)
    for stale in byte_code(patch, root):
        covered = upper / stale
        _make_directories(covered.parent, root, upper)
        if not covered.exists():
            os.mknod(covered, stat.S_IFCHR, os.makedev(0, 0))


def byte_code(patch: Patch, root: Path) -> Iterator[str]:
    """The byte code of the files that a patch changes, relative to the root."""
    for edit in patch.edits:
        cache = (root / edit.path).parent / "__pycache__"
        if cache.is_symlink():
            continue  # the byte code there is not ours, and Python checks its time
        for stale in cache.glob(f"{glob.escape(Path(edit.path).stem)}.*.pyc"):
            yield stale.relative_to(root).as_posix()
