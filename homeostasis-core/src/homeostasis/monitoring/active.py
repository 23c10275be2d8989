"""The one client of this process: made when monitoring is switched on, and looked after at forks and at the end.

Importing this module is cheap. What a client needs is imported when one is made: then, so that no crash has to wait for
an import or find that there can be none any more, as at the interpreter's end.
"""

from __future__ import annotations

import atexit
import os
import threading
from typing import TYPE_CHECKING, Any, Mapping

from homeostasis.monitoring.internal import warn

if TYPE_CHECKING:
    from homeostasis.monitoring.client import Client

_current: Client | None = None
_lock = threading.Lock()


def current() -> Client | None:
    """The client of this process; None before `configure`."""
    return _current


def configure(config: Mapping[str, Any] | None = None) -> Client:
    """Make the client of this process. A second call keeps it, unless it brings other settings.

    Raises:
        ValueError: `config` is wrong.
    """
    global _current
    with _lock:
        if _current is not None and not config:
            return _current
        from homeostasis.monitoring import workers
        from homeostasis.monitoring.client import Client
        from homeostasis.monitoring.config import load_settings

        settings = load_settings(config)
        if _current is not None and settings == _current.settings:
            return _current
        if _current is not None:
            _current.close()
        in_memory = os.environ.get("HOMEOSTASIS_TRANSPORT") == "memory"
        _watch_forks()
        _current = Client(settings, in_memory=in_memory)
        if settings.enabled and not _current.active:
            warn(
                "homeostasis monitors nothing: no pyproject.toml with a table [tool.homeostasis] in %s or above; run "
                "`homeostasis init` in the project, or set HOMEOSTASIS_PROJECT",
                os.getcwd(),
            )
        if workers.is_prefork_worker():
            _current.start()
        return _current


def reset() -> None:
    """Close and forget the client, for tests and replays."""
    global _current
    with _lock:
        client, _current = _current, None
    if client is not None:
        client.close()


def _at_exit() -> None:
    if _current is not None:
        _current.close()


def _watch_forks() -> None:
    global _forks_watched
    if _forks_watched or not hasattr(os, "register_at_fork"):
        return
    _forks_watched = True
    from homeostasis.monitoring import workers

    def after_in_child() -> None:
        global _lock
        _lock = threading.Lock()
        workers.after_fork_in_child()
        if _current is not None:
            _current.after_fork()

    os.register_at_fork(
        before=workers.before_fork, after_in_parent=workers.after_fork_in_parent, after_in_child=after_in_child
    )


_forks_watched = False
atexit.register(_at_exit)
