"""The walls around a trial, strongest first; `probe` really tries which of them stand here.

- `bubblewrap`: own namespaces for mounts, processes, IPC, host name and network (only a loopback of its own), all
  read-only but the trial's tree, private temporary and home directories, no capabilities. Needs user namespaces.
- `landlock`: the kernel refuses to open what is neither the trial's nor the system's, TCP connections (Linux 6.7) and
  signals to others (6.12). Works in containers and for everybody.
- `rlimits`: limits of processor time, memory, file size, open files and processes. Files and network stay reachable.

The limits apply at all levels. All is set by `launcher`, which then becomes the command.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Iterable, Mapping, Sequence

from homeostasis_sandbox_venv import landlock
from homeostasis_sandbox_venv.settings import Settings

LEVELS = ("rlimits", "landlock", "bubblewrap")
"""From the weakest to the strongest."""

_OPEN_FILES = 1024
_NAMESPACES = ("--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL")
_KERNEL = ("/proc/sys", "/proc/sysrq-trigger")
"""What root could write in its own /proc although it has no capabilities, and bwrap does not always cover."""
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm")
"""What a program may write in /dev; locks and shared memory of Python need the last."""


@lru_cache(maxsize=1)
def probe() -> tuple[str, str]:
    """The strongest level that works on this machine, and why it is no stronger, in a phrase; "" if it could not be."""
    missing = _why_no_bubblewrap()
    if not missing:
        return "bubblewrap", ""
    refused = _why_no_landlock()
    return ("rlimits", f"{missing}; {refused}") if refused else ("landlock", missing)


def _why_no_bubblewrap() -> str:
    program = shutil.which("bwrap")
    if program is None:
        return "bubblewrap is not installed (its command is bwrap)"
    check = "test ! -w /etc && test ! -e /tmp/* && echo walls"
    argv = [program, *_NAMESPACES, *_system(("/tmp",)), "--", "/bin/sh", "-c", check]  # noqa: S108 - made private inside
    said = _try(argv)
    return "" if said == "walls" else f"bubblewrap does not work here: {said[-200:] or 'its walls have holes'}"


def _why_no_landlock() -> str:
    if landlock.abi() == 0:
        return "the kernel has no Landlock"
    with tempfile.TemporaryDirectory(prefix="homeostasis-probe-") as directory:
        inside, outside = Path(directory, "inside"), Path(directory, "outside")
        inside.mkdir()
        check = f': > "{inside}/file" && ! (: > "{outside}") 2>/dev/null && echo walls'
        rights = landlock_rights(tree=inside, writable=(), readable=(), root=Path(directory))
        said = _try(launched(["/bin/sh", "-c", check], limits={}, cwd="/", supervise=False, rights=rights))
    return "" if said == "walls" else f"Landlock does not work here: {said[-200:] or 'its walls have holes'}"


def _try(argv: Sequence[str]) -> str:
    """The output of a command, or its errors."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=False, env={"PATH": os.defpath})
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    return done.stdout.strip() or done.stderr.strip()


def launched(
    argv: Sequence[str],
    *,
    limits: Mapping[str, int],
    cwd: str,
    supervise: bool,
    namespaces: tuple[int, int] = (-1, -1),
    rights: Mapping[str, Sequence[str]] | None = None,
    ports: Sequence[int] | None = None,
) -> list[str]:
    """The command behind the launcher.

    Args:
        argv: the command, walls of bubblewrap included.
        limits: what `limits` returned.
        cwd: the directory in which it starts.
        supervise: whether the launcher stays, to end what the command leaves behind.
        namespaces: descriptors of the user and the mount namespace to enter; -1 for none.
        rights: what `landlock_rights` returned; without it Landlock leaves files alone.
        ports: the only ones that TCP may connect to; without it and without `rights` all.
    """
    spec = {
        "limits": dict(limits), "cwd": cwd, "supervise": supervise, "orchestrator": os.getpid(),
        "namespaces": namespaces, "landlock": rights, "ports": ports,
    }  # fmt: skip
    launcher = str(Path(__file__).with_name("launcher.py"))
    return [sys.executable, "-I", "-S", launcher, json.dumps(spec), *argv]


def limits(settings: Settings) -> dict[str, int]:
    """The resource limits of a command, by their names in `resource`."""
    return {
        "RLIMIT_CORE": 0,
        "RLIMIT_CPU": settings.cpu_seconds,
        "RLIMIT_AS": settings.memory_mb * 1024 * 1024,
        "RLIMIT_FSIZE": settings.file_mb * 1024 * 1024,
        "RLIMIT_NOFILE": _OPEN_FILES,
        "RLIMIT_NPROC": _running() + settings.processes,
    }


def landlock_rights(
    *, tree: Path, writable: Iterable[Path], readable: Iterable[Path], root: Path
) -> dict[str, list[str]]:
    """What a command may read and write under Landlock, which knows no exceptions: the system but what is hidden.

    Args:
        tree: the trial's copy of the tree, as the command sees it.
        writable: further directories that it may write.
        readable: what it must be able to read although it lies in a directory that is hidden.
        root: the live tree, which is hidden too.
    """
    hidden = (*hidden_directories(), str(root))
    devices = [f"/dev/{name}" for name in _DEVICES]
    return {
        "readable": [*_beside(Path("/"), hidden), *(str(path) for path in readable if not _uncovers(path, hidden))],
        "writable": [str(tree), *map(str, writable), *devices],
    }


def _beside(directory: Path, hidden: Sequence[str]) -> list[str]:
    """The entries of a directory that hold nothing hidden; of the others, theirs."""
    found: list[str] = []
    for entry in sorted(directory.iterdir()):
        path = str(entry)
        if path in hidden or entry.is_symlink():
            continue
        if any(place.startswith(path + "/") for place in hidden):
            found += _beside(entry, hidden)
        else:
            found.append(path)
    return found


def walled(
    argv: Sequence[str],
    *,
    tree: Path,
    root: Path,
    writable: Iterable[Path],
    readable: Iterable[Path],
    cwd: str,
    share_network: bool,
    space: int,
    nest: Path | None = None,
) -> list[str]:
    """The command inside bubblewrap.

    Args:
        argv: the command.
        tree: the trial's copy of the tree.
        root: where the command sees it: the project's own root, so that paths are those of the app.
        writable: further directories that it may write, seen where they are.
        readable: what it must be able to read although it lies in a directory that is hidden or covered by the tree.
        cwd: directory in which it starts, as it sees it.
        share_network: keep the network of the machine.
        space: most MiB that each of the private directories takes, which are kept in memory.
        nest: a directory, private to the command, in which it finds `lower`, the tree without what is mounted in it, to
            make namespaces for further commands; it must not write the tree then.
    """
    hidden = hidden_directories()
    needed = sorted({path for path in readable if _is_covered(path, (*hidden, str(root)))})
    outside = [path for path in needed if root not in path.parents]
    inside = [path for path in needed if root in path.parents]
    return [
        shutil.which("bwrap") or "bwrap",
        *_NAMESPACES,
        *(["--share-net"] if share_network else []),
        *_system(hidden, space),
        *_binds("--ro-bind", outside),
        "--bind" if nest is None else "--ro-bind", str(tree), str(root),
        *_binds("--bind", sorted(writable)),
        *_binds("--ro-bind", inside),
        *([] if nest is None else _nesting(nest, tree)),
        "--chdir", cwd,
        "--",
        *argv,
    ]  # fmt: skip


def _nesting(nest: Path, tree: Path) -> list[str]:
    """What the layers of further namespaces are made from; for root also the rights to be root in them, and a /proc.

    bwrap covers parts of its own /proc, for root only. The kernel lets nobody mount a /proc that shows more than those
    in sight; a read-only one that is covered by other mounts counts as well.
    """
    words = ["--ro-bind", str(tree), str(nest / "lower")]
    if os.getuid() == 0:
        words += ["--cap-add", "CAP_SETFCAP", "--ro-bind", "/proc", str(nest / "proc")]
    return words


@lru_cache(maxsize=1)
def hidden_directories() -> tuple[str, ...]:
    """Directories that are replaced by empty ones: homes, temporary files, and the sockets of the system's services."""
    usual = (Path(path) for path in ("/home", "/root", "/tmp", "/var/tmp", "/run", "/var/run"))  # noqa: S108
    candidates = (*usual, Path("~").expanduser(), Path(tempfile.gettempdir()))
    tops = sorted({str(path.resolve()) for path in candidates if path.is_dir()} - {"/"})
    return tuple(path for path in tops if not any(path.startswith(top + "/") for top in tops))


def _is_covered(path: Path, covers: Sequence[str]) -> bool:
    # What contains a hidden directory would uncover it, so it is not bound.
    return any(str(path).startswith(cover + "/") for cover in covers)


def _uncovers(path: Path, hidden: Sequence[str]) -> bool:
    return any(place == str(path) or place.startswith(f"{str(path).rstrip('/')}/") for place in hidden)


def _system(hidden: Sequence[str], space: int = 0) -> list[str]:
    words = ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
    for name in _KERNEL if os.getuid() == 0 else ():
        words += ["--ro-bind-try", name, name]
    size = ["--size", str(space << 20)] if space and knows_size() else []
    for directory in ("/dev/shm", *hidden):  # noqa: S108 - made private inside
        words += [*size, "--tmpfs", directory]
    return words


@lru_cache(maxsize=1)
def knows_size() -> bool:
    """Whether this bubblewrap can limit a private directory: 0.7 and later can, unless they are installed setuid."""
    argv = [shutil.which("bwrap") or "bwrap", *_NAMESPACES, "--ro-bind", "/", "/", "--size", "1048576"]
    return _try([*argv, "--tmpfs", "/tmp", "--", "/bin/echo", "sized"]) == "sized"  # noqa: S108 - made private inside


def _binds(option: str, paths: Iterable[Path]) -> list[str]:
    return [word for path in paths for word in (option, str(path), str(path))]


def _running() -> int:
    """Threads that run on the machine now: the limit of processes counts all of one user."""
    try:
        return int(Path("/proc/loadavg").read_text(encoding="ascii").split()[3].partition("/")[2])
    except (OSError, ValueError, IndexError):
        return 1024
