"""Registers this process, so that the orchestrator finds the workers which run the app's code."""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
import time

from homeostasis import __version__
from homeostasis.monitoring.internal import failed
from homeostasis.monitoring.redaction import Redactor
from homeostasis.monitoring.runtime import app_path, arguments, server
from homeostasis.monitoring.spool import make_private

_STARTED = time.time()
_FORK_WAITS = 1.0
"""Seconds that a fork waits for a registration to end: a child that begins in the middle of one inherits its locks."""
_registering = threading.Lock()
_held = False
_CONTROL = "homeostasis.monitoring.control"


def register(project_root: str, service: str, redactor: Redactor) -> str | None:
    """Write `.homeostasis/workers/<pid>.json` and open the control socket.

    Returns:
        The file's path, for `unregister`; None if it cannot be written.
    """
    with _registering:
        return _register(project_root, service, redactor)


def _register(project_root: str, service: str, redactor: Redactor) -> str | None:
    directory = os.path.join(project_root, ".homeostasis", "workers")
    path = os.path.join(directory, f"{os.getpid()}.json")
    temporary = f"{path}.new"
    try:
        make_private(directory)
        record = {
            "pid": os.getpid(),
            "ppid": os.getppid(),
            "started": _STARTED,
            "start_ticks": _start_ticks(),
            "service": service,
            "executable": sys.executable,
            "python": sys.version.split()[0],
            "prefix": sys.prefix,
            "argv": [redactor.text(argument) for argument in arguments()],
            "cwd": os.getcwd(),
            "server": server(),
            "app": app_path(),
            "monitoring": __version__,
            "control": _control(project_root),
        }
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
            json.dump(record, stream)
        os.replace(temporary, path)
        return path
    except (OSError, UnicodeError) as error:
        failed("registering the worker", error)
        return None


def _start_ticks() -> str | None:
    """When the kernel started this process, in clock ticks since its own start, whatever the clock is set to."""
    try:
        with open("/proc/self/stat", encoding="utf-8", errors="replace") as stream:
            return stream.read().rpartition(")")[2].split()[19]  # field 22 of proc(5)
    except (OSError, IndexError):
        return None


def unregister(path: str) -> None:
    """Remove the file that `register` wrote, if this is still the process that wrote it."""
    try:
        if os.path.basename(path) == f"{os.getpid()}.json":
            os.unlink(path)
    except OSError:  # gone already, or the directory is no longer ours to write
        pass


def load_control() -> None:
    """Import what `register` needs, in the caller's thread.

    A process that forks while its thread imports leaves its children a half imported module.
    """
    try:
        importlib.import_module(_CONTROL)
    except Exception as error:
        failed("loading the control socket", error)


def _control(project_root: str) -> str | None:
    control = sys.modules.get(_CONTROL)
    if control is None:
        return None
    try:
        path = control.start(project_root, os.getpid())
        return None if path is None else str(path)
    except Exception as error:
        failed("opening the control socket", error)
        return None


def is_prefork_worker() -> bool | None:
    """Whether this process is a worker of gunicorn, told from its stack: True, False (its master), None (no gunicorn).

    A worker registers before its first request: it may hold code that has to be replaced though it never crashed.
    """
    if "gunicorn.arbiter" not in sys.modules:
        return None
    frame = sys._getframe()  # noqa: SLF001 - the one way to know which part of gunicorn is running
    while frame is not None:
        if frame.f_code.co_name == "spawn_worker" and frame.f_globals.get("__name__") == "gunicorn.arbiter":
            return True
        if frame.f_back is None:
            break
        frame = frame.f_back
    return False


def before_fork() -> None:
    """Let a registration that is under way end first."""
    global _held
    _held = _registering.acquire(timeout=_FORK_WAITS)


def after_fork_in_parent() -> None:
    """Go on registering."""
    global _held
    if _held:
        _held = False
        _registering.release()


def after_fork_in_child() -> None:
    """Begin with a lock of its own."""
    global _registering
    _registering = threading.Lock()
