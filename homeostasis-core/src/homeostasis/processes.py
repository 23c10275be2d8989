"""Naming processes so that a recycled pid is not taken for the one that was meant."""

from __future__ import annotations

import os
from pathlib import Path


def process_name(pid: int) -> str:
    """`pid:start`, where start is the kernel's start time of the process in clock ticks, 0 where it cannot be read."""
    return f"{pid}:{_started(pid)}"


def this_process() -> str:
    """The name of the running process."""
    return process_name(os.getpid())


def is_alive(name: str) -> bool:
    """Whether the process of that name still runs."""
    pid, _, _ = name.partition(":")
    return pid.isdigit() and pid_runs(int(pid)) and process_name(int(pid)) == name


def pid_runs(pid: int) -> bool:
    """Whether a process with that number runs, whoever's it is."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return pid > 0


def _started(pid: int) -> str:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "0"
    # The command in parentheses may hold spaces; start time is field 22 (proc(5)), the 20th after it.
    return stat.rpartition(")")[2].split()[19]
