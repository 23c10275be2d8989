"""Monitors apps that no framework of ours makes, where a server takes them: any WSGI or ASGI callable.

A process in which a Flask, Starlette or FastAPI app was made is left to that app's own monitoring, which knows routes:
a second one around it would hide them.
"""

from __future__ import annotations

from functools import wraps
from types import ModuleType
from typing import Any

from homeostasis.autostart import apps


def watch_server(module: ModuleType) -> None:
    """Have the server of this module, which was just imported, serve monitored apps."""
    _SERVERS[module.__name__](module)


def _monitored(app: Any) -> Any:
    """The app to serve in place of `app`."""
    if apps.was_made():
        return app
    try:
        from homeostasis.monitoring import setup_monitoring

        return setup_monitoring(app)
    except Exception as error:
        from homeostasis.monitoring.internal import failed

        failed("monitoring a served app", error)
        return app


def _gunicorn(module: ModuleType) -> None:
    """Also for its workers of other servers, which serve ASGI."""
    cls: Any = module.BaseApplication
    before = cls.wsgi

    @wraps(before)
    def wsgi(self: Any) -> Any:
        self.callable = _monitored(before(self))
        return self.callable

    cls.wsgi = wsgi


def _uvicorn(module: ModuleType) -> None:
    """Around all that uvicorn itself puts around the app: what comes out is ASGI, whatever went in."""
    cls: Any = module.Config
    before = cls.load

    @wraps(before)
    def load(self: Any) -> None:
        before(self)
        if not apps.was_made():
            _wrap_loaded(self)

    cls.load = load


def _wrap_loaded(config: Any) -> None:
    try:
        from homeostasis.monitoring import HomeostasisMiddleware
        from homeostasis.monitoring.active import configure
        from homeostasis.monitoring.runtime import remember_app

        seen = isinstance(config.app, HomeostasisMiddleware) or isinstance(config.loaded_app, HomeostasisMiddleware)
        if configure().active and not seen:
            if not isinstance(config.app, str):
                remember_app(config.app)
            config.loaded_app = HomeostasisMiddleware(config.loaded_app)
    except Exception as error:
        from homeostasis.monitoring.internal import failed

        failed("monitoring a served app", error)


def _wsgiref(module: ModuleType) -> None:
    """Also for the development server of Django, which is made of it."""
    cls: Any = module.WSGIServer
    before = cls.set_app

    @wraps(before)
    def set_app(self: Any, application: Any) -> None:
        before(self, _monitored(application))

    cls.set_app = set_app


def _waitress(module: ModuleType) -> None:
    before: Any = module.create_server

    @wraps(before)
    def create_server(application: Any, *args: Any, **kwargs: Any) -> Any:
        return before(_monitored(application), *args, **kwargs)

    module.create_server = create_server  # type: ignore[attr-defined]


def _hypercorn(module: ModuleType) -> None:
    before: Any = module.wrap_app

    @wraps(before)
    def wrap_app(app: Any, *args: Any, **kwargs: Any) -> Any:
        return before(_monitored(app), *args, **kwargs)

    module.wrap_app = wrap_app  # type: ignore[attr-defined]


_SERVERS = {
    "gunicorn.app.base": _gunicorn,
    "uvicorn.config": _uvicorn,
    "wsgiref.simple_server": _wsgiref,
    "waitress.server": _waitress,
    "hypercorn.utils": _hypercorn,
}
