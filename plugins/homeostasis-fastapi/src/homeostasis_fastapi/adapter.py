"""Reaches into a FastAPI or Starlette app: what its exception handlers swallow, and which route matched."""

from __future__ import annotations

import inspect
from functools import wraps
from typing import TYPE_CHECKING, Any, Callable, Mapping

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Host, Mount

from homeostasis.monitoring.asgi import HomeostasisMiddleware
from homeostasis.monitoring.request import current

if TYPE_CHECKING:
    from homeostasis.monitoring.client import Client

_MARK = "__homeostasis_wrapped__"
_MAX_LAYERS = 100
_MAX_DEPTH = 10
_MAX_ROUTES = 2000
_Handler = Callable[..., Any]
_routes: dict[Any, str | None] = {}


def matches(app: Any) -> bool:
    """Whether this is a Starlette app, as FastAPI apps are."""
    return isinstance(app, Starlette)


def instrument(app: Starlette, client: Client | None = None) -> None:  # noqa: ARG001 - all adapters have this signature
    """Put the middleware around all others, also those that are added later; a second call changes nothing."""
    if getattr(app.build_middleware_stack, _MARK, False):
        return
    build = app.build_middleware_stack

    @wraps(build)
    def build_middleware_stack() -> Any:
        ours: Any = HomeostasisMiddleware
        mine = [layer for layer in app.user_middleware if layer.cls == ours]  # with the config that the app gave it
        others = [layer for layer in app.user_middleware if layer.cls != ours]
        app.user_middleware[:] = [*(mine[:1] or [Middleware(HomeostasisMiddleware)]), *others]
        return build()

    setattr(build_middleware_stack, _MARK, True)
    app.build_middleware_stack = build_middleware_stack  # type: ignore[method-assign]
    if app.middleware_stack is not None:  # the app has answered already: build the stack again, for the next request
        app.middleware_stack = None


def prepare(asgi_app: Any) -> None:
    """Note each exception that a handler of the app gets to see: its answer decides what becomes of it."""
    layer = asgi_app
    for _ in range(_MAX_LAYERS):
        handlers = getattr(layer, "_exception_handlers", None)
        if isinstance(handlers, dict):
            _watch(handlers)
            statuses = getattr(layer, "_status_handlers", None)
            if isinstance(statuses, dict):
                _watch(statuses)
        _instrument_mounted(getattr(layer, "routes", None), 0)
        layer = getattr(layer, "app", None)
        if layer is None:
            return


def _instrument_mounted(routes: Any, depth: int) -> None:
    """Monitor the apps within the app: each has exception handlers of its own."""
    if not isinstance(routes, list) or depth >= _MAX_DEPTH:
        return
    for mount in routes:
        layer = getattr(mount, "app", None) if isinstance(mount, (Mount, Host)) else None
        for _ in range(_MAX_LAYERS):
            if layer is None or isinstance(layer, Starlette):
                break
            layer = getattr(layer, "app", None)
        if isinstance(layer, Starlette):
            instrument(layer)
        else:
            _instrument_mounted(getattr(mount, "routes", None), depth + 1)


def framework(scope: Mapping[str, Any]) -> str:
    """`fastapi` or `starlette`."""
    classes = type(scope.get("app")).__mro__
    return "fastapi" if any(cls.__module__.startswith("fastapi.") for cls in classes) else "starlette"


def route(scope: Mapping[str, Any]) -> str | None:
    """The pattern of the route that matched, such as `/orders/{id}`."""
    path = getattr(scope.get("route"), "path", None)
    if type(path) is str:
        return path
    endpoint = scope.get("endpoint")
    if endpoint is None:
        return None
    key = (endpoint, frozenset(scope.get("path_params") or ()))
    if key not in _routes:
        if len(_routes) >= _MAX_ROUTES:
            _routes.clear()
        _routes[key] = _find(getattr(scope.get("app"), "routes", ()), endpoint, key[1], "", 0)
    return _routes[key]


def _find(candidates: Any, endpoint: Any, parameters: frozenset[str], prefix: str, depth: int) -> str | None:
    for candidate in candidates or ():
        path = getattr(candidate, "path", None)
        if not isinstance(path, str):
            continue
        convertors = getattr(candidate, "param_convertors", {})
        if getattr(candidate, "endpoint", None) is endpoint and set(convertors) <= parameters:
            return prefix + path
        if depth < _MAX_DEPTH:
            found = _find(getattr(candidate, "routes", None), endpoint, parameters, prefix + path, depth + 1)
            if found is not None:
                return found
    return None


def _watch(handlers: dict[Any, _Handler]) -> None:
    for key, handler in list(handlers.items()):
        if not getattr(handler, _MARK, False):
            handlers[key] = _watched(handler)


def _watched(handler: _Handler) -> _Handler:
    # Starlette runs coroutine functions in the loop and others in a thread: the wrapper has to be of the same kind.
    if inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(getattr(handler, "__call__", None)):  # noqa: B004

        @wraps(handler)
        async def watched(connection: Any, error: Exception) -> Any:
            _note(error)
            return await handler(connection, error)
    else:

        @wraps(handler)
        def watched(connection: Any, error: Exception) -> Any:
            _note(error)
            return handler(connection, error)

    setattr(watched, _MARK, True)
    return watched


def _note(error: Exception) -> None:
    request = current.get()
    if request is not None:
        request.pending = error
