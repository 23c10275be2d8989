"""Capture for a command that is run once: `homeostasis heal -- COMMAND`, and the replay of such a command.

`HOMEOSTASIS_CAPTURE` names a directory. When it is set, `sitecustomize` of the injection directory calls `run()`, and
every exception that nobody catches (in the main thread, in another thread, in an event loop, in a child process) is
written there as one JSON file, an event each. Nothing else of the process changes: the hooks that were there before are
still called.
"""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any, Mapping

from homeostasis.autostart import escapes

CAPTURE = "HOMEOSTASIS_CAPTURE"
PYTEST_PLUGIN = "homeostasis.monitoring.pytest_plugin"
MAX_EVENTS = 20
"""Events that one process writes: a command that crashes over and over tells nothing new."""

EVENT = ".event.json"
FAILURE = ".failure.json"

_events = 0
_lock = threading.Lock()


def run() -> None:
    """Install the hooks if `HOMEOSTASIS_CAPTURE` names a directory. Call it once, at the start of the process."""
    if os.environ.get(CAPTURE):
        escapes.watch("capture", escapes.Listener(record))


def capturing(env: Mapping[str, str], directory: str) -> dict[str, str]:
    """The environment `env` with which a command writes its events into `directory`, also from inside pytest."""
    plugins = [name for name in env.get("PYTEST_PLUGINS", "").split(",") if name and name != PYTEST_PLUGIN]
    return {**env, CAPTURE: directory, "PYTEST_PLUGINS": ",".join([*plugins, PYTEST_PLUGIN])}


def record(error: BaseException) -> str | None:
    """Write the exception as an event into the directory that `HOMEOSTASIS_CAPTURE` names. Never raises.

    Returns:
        The event's fingerprint, or None if it was not written.
    """
    if not os.environ.get(CAPTURE) or not isinstance(error, Exception) or not _may_write():
        return None  # SystemExit, KeyboardInterrupt: somebody wanted the end
    try:
        event = describe(error)
        _write(event, EVENT)
        return str(event["fingerprint"])
    except Exception as failure:
        from homeostasis.monitoring.internal import failed

        failed("writing a captured exception", failure)
        return None


def note(test: str, fingerprint: str | None) -> None:
    """Write down that a test failed, and the fingerprint of the event if it crashed. Never raises."""
    try:
        if os.environ.get(CAPTURE):
            _write({"test": test, "fingerprint": fingerprint}, FAILURE)
    except Exception as failure:
        from homeostasis.monitoring.internal import failed

        failed("writing a failed test", failure)


def _may_write() -> bool:
    global _events
    with _lock:
        _events += 1
        return _events <= MAX_EVENTS


def _write(content: dict[str, Any], ending: str) -> None:
    directory = Path(os.environ[CAPTURE])
    name = f"{time.time_ns()}-{os.getpid()}-{threading.get_ident()}"
    unfinished = directory / f"{name}.unfinished"
    unfinished.write_text(json.dumps(content), encoding="utf-8")
    unfinished.rename(directory / f"{name}{ending}")


def describe(error: BaseException) -> dict[str, Any]:
    """The exception as an event, with the project and service that the environment names."""
    from homeostasis.monitoring.capture import describe as capture

    root = os.environ.get("HOMEOSTASIS_PROJECT") or str(Path.cwd())
    return capture(error, project_root=root, service=os.environ.get("HOMEOSTASIS_SERVICE", "app"))


def read(directory: Path, ending: str = EVENT) -> list[dict[str, Any]]:
    """The events (or, with `FAILURE`, the failed tests) that were written into `directory`, oldest first."""
    return [json.loads(file.read_text(encoding="utf-8")) for file in sorted(directory.glob(f"*{ending}"))]
