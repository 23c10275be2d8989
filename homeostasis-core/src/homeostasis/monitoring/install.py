"""`setup_monitoring` and `capture_exception`: what apps call."""

from __future__ import annotations

from typing import Any, Mapping, TypeVar

from homeostasis.monitoring.active import configure, current
from homeostasis.monitoring.asgi import HomeostasisMiddleware
from homeostasis.monitoring.internal import failed, warn
from homeostasis.monitoring.request import current as current_request
from homeostasis.monitoring.wsgi import WsgiMonitor

App = TypeVar("App")


def setup_monitoring(app: App | None = None, config: Mapping[str, Any] | None = None) -> App | None:
    """Monitor an app, or, without one, what is logged and what is never caught in this process.

    Args:
        app: a Flask, FastAPI or Starlette app, or any other WSGI or ASGI app.
        config: settings of `[tool.homeostasis.monitoring]`, which win over those of the environment and of files.

    Returns:
        The app. A plain WSGI or ASGI callable cannot be changed from within: serve what is returned.

    Raises:
        ValueError: `config` has an unknown key or a wrong value.
    """
    client = configure(config)
    if not client.active:
        return app
    from homeostasis.monitoring import hooks
    from homeostasis.monitoring.runtime import remember_app

    hooks.install()
    if app is None:
        return None
    remember_app(app)
    try:
        monitored: App = _instrument(app, client)
        return monitored
    except Exception as error:
        failed("instrumenting the app", error)
        return app


def capture_exception(exc: BaseException) -> bool:
    """Report an exception that the app caught itself.

    Returns:
        Whether it was captured; not so if it is expected, excluded or captured already.
    """
    client = current()
    return client is not None and client.capture(exc, request=current_request.get(), handled=True)


def _instrument(app: Any, client: Any) -> Any:
    from homeostasis.monitoring import adapters

    adapter = adapters.find(app)
    if adapter is not None:
        adapter.instrument(app, client)
        return app
    hint = adapters.advice(app)
    if hint is not None:
        warn("homeostasis sees this app only from outside; for routes and handled errors: %s", hint)
    if callable(getattr(app, "wsgi_app", None)):
        if not isinstance(app.wsgi_app, WsgiMonitor):
            app.wsgi_app = WsgiMonitor(app.wsgi_app)
        return app
    if callable(getattr(app, "add_middleware", None)):
        app.add_middleware(HomeostasisMiddleware)
        return app
    if isinstance(app, (WsgiMonitor, HomeostasisMiddleware)):
        return app
    return HomeostasisMiddleware(app) if _is_asgi(app) else WsgiMonitor(app)


def _is_asgi(app: Any) -> bool:
    import inspect

    if inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(getattr(app, "__call__", None)):  # noqa: B004
        return True
    try:
        required = [
            parameter
            for parameter in inspect.signature(app).parameters.values()
            if parameter.default is parameter.empty
            and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        ]
    except (TypeError, ValueError):
        return False
    return len(required) == 3
