"""The processes of an app: those that registered in `.homeostasis/workers/`, still live and belong to us."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from homeostasis.monitoring.channel import trusted

if TYPE_CHECKING:
    from homeostasis.project import Project

_LARGEST_RECORD = 65536
_SLACK = 2.0
"""Seconds by which the clocks of the file system and the process table may differ."""


@dataclass(frozen=True)
class Worker:
    """One registered process.

    Attributes:
        pid: of the process.
        executable: its interpreter, or None if it did not say.
        app: import path of the app that it serves, or None.
        ppid: of its parent when it registered, such as gunicorn's master.
        server: `gunicorn`, `uvicorn` or None.
        control: path of its control socket, or None if it has none.
        start_ticks: when the kernel started it, or None if it did not say.
        record: the file that it registered with.
    """

    pid: int
    executable: str | None
    app: str | None
    ppid: int
    server: str | None
    control: str | None
    start_ticks: str | None
    record: Path

    @property
    def alive(self) -> bool:
        """Whether the process that registered still runs, and not another one that got its number."""
        if self.start_ticks is not None and Path("/proc/self/stat").exists():
            return self.record.exists() and _started(self.pid) == self.start_ticks
        try:
            registered = self.record.stat().st_mtime
        except OSError:
            return False
        started = _start_time(self.pid)
        return started is not None and started <= registered + _SLACK


def live_workers(project: Project) -> list[Worker]:
    """All live workers, by pid. Files that are damaged or belong to another user are passed over."""
    found = [_read(path) for path in sorted((project.state / "workers").glob("*.json"))]
    return [worker for worker in found if worker is not None and worker.alive]


def _read(path: Path) -> Worker | None:
    try:
        status = path.lstat()
        if not path.is_file() or path.is_symlink() or not trusted(status.st_uid) or status.st_size > _LARGEST_RECORD:
            return None
        record = json.loads(path.read_bytes().decode("utf-8"))
        pid, ppid = record["pid"], record["ppid"]
        if str(pid) != path.stem or not isinstance(pid, int) or not isinstance(ppid, int) or pid <= 0:
            return None
        owner = owner_of(pid)
        if owner is not None and owner != status.st_uid:
            return None  # somebody claims the process of another user
        texts = {key: record.get(key) for key in ("executable", "app", "server", "control", "start_ticks")}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    known = {key: value if isinstance(value, str) else None for key, value in texts.items()}
    return Worker(pid=pid, ppid=ppid, record=path, **known)


def sweep(project: Project) -> None:
    """Delete what processes left that were killed before they could unregister."""
    for path in sorted((project.state / "workers").glob("*.json")):
        worker = _read(path)
        if worker is not None and not worker.alive:
            path.unlink()


def owner_of(pid: int) -> int | None:
    """The user id of a process, or None if it is gone or the system has no /proc."""
    try:
        return Path(f"/proc/{pid}").stat().st_uid
    except OSError:
        return None


def _started(pid: int) -> str | None:
    """When the kernel started a process, in clock ticks; None if it does not run, or is a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]  # field 22 of proc(5)


def _start_time(pid: int) -> float | None:
    """When a process started, in seconds since the epoch; 0.0 where that is unknown; None if it does not run."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    if not Path("/proc/self/stat").exists():
        return 0.0
    ticks = _started(pid)
    try:
        uptime = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError):
        return None
    return None if ticks is None else time.time() - uptime + int(ticks) / os.sysconf("SC_CLK_TCK")
