"""Where trials live, and how what a killed orchestrator left behind is found and removed."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import stat
import tempfile
import time
from functools import lru_cache
from pathlib import Path

from homeostasis import processes

PREFIX = "homeostasis-trial-"
TOKEN = "HOMEOSTASIS_TRIAL"  # noqa: S105 - the name of a variable; its value, the trial's directory, marks our processes
_LOOKS = 4
_EXEC_SECONDS = 0.005
_NAME = re.compile(re.escape(PREFIX) + r"(\d+)-(\d+)-\w+$")


def make() -> Path:
    """A new private directory that names its owner, this process. The first call sweeps what dead owners left."""
    _sweep_once(os.getpid())
    owner = processes.this_process().replace(":", "-")
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{owner}-")).resolve()


def remove(directory: Path) -> None:
    """End the processes of a trial that escaped their process group, and delete its directory. Never raises."""
    end_processes(directory)
    shutil.rmtree(directory, ignore_errors=True)
    if directory.is_dir():
        _make_writable(directory)
        shutil.rmtree(directory, ignore_errors=True)


def end_processes(directory: Path) -> None:
    """Kill every process of ours that carries the trial's mark in its environment."""
    mark = f"{TOKEN}={directory}".encode()
    for _ in range(_LOOKS):  # a process may start another one while we look
        seen = [(pid, _environ(pid)) for pid in _own_processes()]
        found = [pid for pid, environ in seen if mark in environ]
        for pid in found:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        if any(not environ and _runs_a_program(pid) for pid, environ in seen):
            time.sleep(_EXEC_SECONDS)
        elif not found:
            return


def sweep() -> list[Path]:
    """Remove the trials whose owner is dead; returns their directories."""
    removed = []
    for path in Path(tempfile.gettempdir()).resolve().glob(PREFIX + "*"):
        match = _NAME.match(path.name)
        if match and _is_ours(path) and not processes.is_alive(f"{match[1]}:{match[2]}"):
            remove(path)
            removed.append(path)
    return removed


@lru_cache(maxsize=1)
def _sweep_once(_pid: int) -> None:
    sweep()


def _is_ours(path: Path) -> bool:
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()


def _own_processes() -> list[int]:
    try:
        return [
            int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit() and entry.name != str(os.getpid())
        ]
    except OSError:
        return []


def _environ(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""  # it has ended, or belongs to somebody else


def _runs_a_program(pid: int) -> bool:
    """Whether a process without an environment may get one: it is just being replaced by another program.

    Threads of the kernel and what has ended never get one.
    """
    try:
        return bool(os.readlink(f"/proc/{pid}/exe"))
    except OSError:
        return False


def _make_writable(directory: Path) -> None:
    """Give back the permissions that a program in the trial took from its own directories. Links are not followed."""
    for parent, names, _ in os.walk(directory):
        for path in [Path(parent), *(Path(parent, name) for name in names)]:
            if not path.is_symlink():
                with contextlib.suppress(OSError):
                    path.chmod(0o700)
