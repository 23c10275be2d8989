"""Finds the process that replaces the workers of a server when it gets a hang-up signal."""

from __future__ import annotations

import signal
from pathlib import Path

from homeostasis.workers import Worker, owner_of

_KEEPS_OLD_CODE = {"gunicorn": "--preload"}


def reloading_master(worker: Worker) -> int | None:
    """The process to signal so that a worker is replaced by one that loads the files anew.

    gunicorn's arbiter and the parent of uvicorn's `--workers` finish the requests in flight first. A gunicorn that was
    told to preload on its command line would keep the old code, and does not count.

    Returns:
        Its process id, or None if the worker has none, or one that cannot be trusted with the signal.
    """
    return None if _problem(worker) is not None else worker.ppid


def complaint(worker: Worker) -> str | None:
    """Why the parent of a gunicorn worker is not signalled, with a way out; None for other workers."""
    reason = _problem(worker)
    if worker.server != "gunicorn" or reason is None:
        return None
    return f"{reason}: set `systemd_unit` or `command` to reload it"


def _problem(worker: Worker) -> str | None:
    if worker.server is None:
        return f"worker {worker.pid} runs under a server that is not known"
    try:
        command = Path(f"/proc/{worker.ppid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
        caught = _catches(worker.ppid, signal.SIGHUP)
    except (OSError, ValueError) as error:
        return f"process {worker.ppid}, the parent of worker {worker.pid}, cannot be looked at ({error})"
    names_server = any(worker.server in argument for argument in command)
    if not names_server or not caught or owner_of(worker.ppid) != owner_of(worker.pid):
        return f"process {worker.ppid}, the parent of worker {worker.pid}, is not its {worker.server} master"
    if _KEEPS_OLD_CODE.get(worker.server) in command:
        return f"{worker.server} {worker.ppid} was started with preload, and keeps the old code over a SIGHUP"
    return None


def _catches(pid: int, number: int) -> bool:
    """Whether a process has a handler for a signal: else the signal would end it. See proc(5), `SigCgt`."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    return False
