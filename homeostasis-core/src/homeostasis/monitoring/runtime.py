"""Describes the process: interpreter, command line, frameworks and the import path of the app."""

from __future__ import annotations

import os
import re
import sys
import time
from types import FrameType
from typing import Any, Iterator

from homeostasis.monitoring.encode import Fields
from homeostasis.monitoring.redaction import Redactor

FRAMEWORKS = ("flask", "werkzeug", "fastapi", "starlette", "pydantic", "sqlalchemy", "django", "gunicorn", "uvicorn")
_IMPORT_PATH = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*(\([^()]*\))?\Z")

SERVERS = {"gunicorn.arbiter": "gunicorn", "uvicorn.server": "uvicorn"}
"""By the module that is on the stack while the server runs; the outer one first."""

_fixed: dict[str, Any] = {}
_described: dict[tuple[str, str | None, str | None], Fields] = {}
MAX_DESCRIBED = 64
"""Threads, each with its directory, whose description is remembered."""
_found_server: dict[int, str | None] = {}
_app: list[Any] = []
_found: dict[str, Any] = {}
SEARCH_AGAIN = 10.0
"""Seconds until the app is searched again after it was not found: all modules are looked through."""


def describe_runtime(thread: str, redactor: Redactor) -> dict[str, Any]:
    """The fields of a `homeostasis.models.Runtime`."""
    if _fixed.get("pid") != os.getpid():
        _fixed.update(
            python=sys.version.split()[0],
            executable=sys.executable,
            pid=os.getpid(),
            argv=[redactor.text(argument[:500]) for argument in arguments()[:50]],
            host=os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME"),
            frameworks=_versions(),
        )
        _described.clear()
    key = (thread, _cwd(), app_path())
    found = _described.get(key)
    if found is None:
        if len(_described) >= MAX_DESCRIBED:
            _described.clear()
        found = _described[key] = Fields({**_fixed, **dict(zip(("thread", "cwd", "app"), key))})
    return found


def remember_app(app: Any) -> None:
    """Keep the app, to find its import path when it is asked for: its module is often still being imported now."""
    _app[:] = [app]
    _found.clear()


def app_path() -> str | None:
    """The import path of the app: what the server was told (`shop:create_app()`), else where the object is found."""
    told = _told()
    if told is not None or not _app:
        return told
    now = time.monotonic()
    if _found.get("path") is None and now >= _found.get("again", 0.0):
        _found.update(path=_search(), again=now + SEARCH_AGAIN)
    path: str | None = _found.get("path")
    return path


def _search() -> str | None:
    for name, module in list(sys.modules.items()):
        names = getattr(module, "__dict__", None)
        if name == "__main__" or type(names) is not dict:
            continue
        for attribute, value in list(names.items()):
            if value is _app[0] and type(attribute) is str and not attribute.startswith("_"):
                return f"{name}:{attribute}"
    return None


def _told() -> str | None:
    if server() is None:
        return None
    for argument in arguments()[1:]:
        if _IMPORT_PATH.match(argument):
            if "--factory" in arguments() and not argument.endswith(")"):
                return f"{argument}()"
            return argument
    return None


def arguments() -> list[str]:
    """The command line, as far as it is text."""
    return [argument for argument in getattr(sys, "argv", []) if type(argument) is str]


def server() -> str | None:
    """`gunicorn` or `uvicorn` if it is what runs the app; uvicorn's worker class for gunicorn counts as gunicorn."""
    if _found_server.get(os.getpid()) is None:
        _found_server.clear()
        _found_server[os.getpid()] = _running_server()
    return _found_server[os.getpid()]


def _running_server() -> str | None:
    """Told from the stacks: an app may import a server that does not run it."""
    names = [name for module, name in SERVERS.items() if module in sys.modules]
    if not names:
        return None
    running = {str(frame.f_globals.get("__name__")) for frame in _stacks()}
    return next((name for module, name in SERVERS.items() if module in running), None)


def _stacks() -> Iterator[FrameType]:
    for innermost in list(sys._current_frames().values()):  # noqa: SLF001 - the documented way, for all its underscore
        frame: FrameType | None = innermost
        while frame is not None:
            yield frame
            frame = frame.f_back


def _cwd() -> str | None:
    try:
        return os.getcwd()
    except OSError:
        return None


def _versions() -> dict[str, str]:
    loaded = [name for name in FRAMEWORKS if name in sys.modules]
    if not loaded:
        return {}
    from importlib import metadata

    found = {}
    for name in loaded:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
