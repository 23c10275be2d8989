"""Gives a worker that starts late the releases that live in no file (see `homeostasis.monitoring.standing`).

A thread of its own waits until the files are imported, swaps, and ends. It goes on looking for a few seconds, because a
release may be made while the worker registers.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, List

from homeostasis.monitoring import hotswap, standing
from homeostasis.monitoring.internal import failed
from homeostasis.monitoring.live_functions import namespaces_of
from homeostasis.monitoring.swap_module import Importing

_ATTENTIVE = 5.0
"""Seconds after the start during which releases that are new are looked for."""
_PAUSE = 0.05
_LONG_PAUSE = 1.0
_LONG_AFTER = 30.0

Changes = Callable[[Dict[str, Any], str], List[hotswap.FileChange]]


def start(root: str, state: Path, changes: Changes, ended: Callable[[], bool]) -> None:
    """Begin, in the background.

    Args:
        root: of the project.
        state: its directory `.homeostasis/`.
        changes: reads the files of a request.
        ended: whether this process listens no more.
    """
    arguments = (root, state, changes, ended)
    threading.Thread(target=_run, args=arguments, name="homeostasis-catching-up", daemon=True).start()


def _run(root: str, state: Path, changes: Changes, ended: Callable[[], bool]) -> None:
    begun = time.monotonic()
    settled: set[str] = set()
    try:
        while not ended():
            waiting = [one for one in standing.load(state) if one.get("release") not in settled]
            for request in waiting:
                if not _apply(request, state, changes(request, root), settled):
                    break  # later releases may build on this one
            age = time.monotonic() - begun
            if age > _ATTENTIVE and all(one.get("release") in settled for one in waiting):
                return
            time.sleep(_PAUSE if age < _LONG_AFTER else _LONG_PAUSE)
    except Exception as error:  # also what nobody foresaw must not become an incident of the app
        failed("catching up with releases that live in no file", error)


def _apply(request: dict[str, Any], state: Path, changes: list[hotswap.FileChange], settled: set[str]) -> bool:
    """Swap if the files are as they were when the release was made; False if it is too early."""
    release = str(request.get("release"))
    if release not in hotswap.releases() and all(_holds_old_text(change) for change in changes):
        if not all(any(namespaces_of(change.path)) for change in changes):
            return False
        try:
            hotswap.swap(release, changes)
        except Importing:
            return False
        except hotswap.Refused as refusal:
            failed(f"swapping the release {release} into a worker that has just started", refusal)
        if all(one.get("release") != release for one in standing.load(state)):
            hotswap.undo(release)  # it was rolled back meanwhile
    settled.add(release)
    return True


def _holds_old_text(change: hotswap.FileChange) -> bool:
    try:
        return Path(change.path).read_bytes() == change.before
    except OSError:
        return False
