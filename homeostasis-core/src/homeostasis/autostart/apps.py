"""Monitors the web apps of this process when they are made or served, without their help."""

from __future__ import annotations

from functools import wraps
from types import ModuleType
from typing import Any

from homeostasis.autostart.imports import when_imported

_CLASSES = {"flask.app": "Flask", "starlette.applications": "Starlette", "fastapi.applications": "FastAPI"}
_SERVERS = ("gunicorn.app.base", "uvicorn.config", "wsgiref.simple_server", "waitress.server", "hypercorn.utils")
_MARK = "__homeostasis_autostart__"
_made_some = False


def watch() -> None:
    """Have each app monitored that is made from now on; its framework need not be imported yet."""
    for module in _CLASSES:
        when_imported(module, _watch_class)
    for module in _SERVERS:
        when_imported(module, _watch_server)


def was_made() -> bool:
    """Whether an app of a framework that we know was made in this process, or in the one that it was forked from."""
    return _made_some


def _watch_server(module: ModuleType) -> None:
    from homeostasis.autostart.servers import watch_server  # only a process that serves pays for it

    watch_server(module)


def _watch_class(module: ModuleType) -> None:
    cls: Any = getattr(module, _CLASSES[module.__name__])
    make = cls.__init__
    if getattr(make, _MARK, False):
        return

    @wraps(make)
    def monitored(self: Any, *args: Any, **kwargs: Any) -> None:
        make(self, *args, **kwargs)
        _made(self)

    setattr(monitored, _MARK, True)
    cls.__init__ = monitored


def _made(app: Any) -> None:
    global _made_some
    _made_some = True
    try:
        from homeostasis.monitoring import setup_monitoring

        setup_monitoring(app)
    except Exception as error:
        from homeostasis.monitoring.internal import failed

        failed("monitoring a new app", error)
