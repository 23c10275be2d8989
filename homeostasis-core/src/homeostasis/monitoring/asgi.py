"""Monitors an ASGI app from around it, without changing a byte of what it answers."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any, Awaitable, Callable, Mapping

from homeostasis.monitoring.active import configure
from homeostasis.monitoring.active import current as current_client
from homeostasis.monitoring.internal import failed
from homeostasis.monitoring.request import BodyRecorder, RequestState, Router, current
from homeostasis.monitoring.unread import WAIT_SECONDS

if TYPE_CHECKING:
    from types import ModuleType

    from homeostasis.monitoring.client import Client

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
AsgiApp = Callable[[Any, Receive, Send], Awaitable[None]]
MAX_MESSAGES = 1000
"""Messages of a body that are received for a crashed app."""
INTERNAL_ERROR = 1011
"""Code with which a WebSocket is closed by a server that failed (RFC 6455)."""


class HomeostasisMiddleware:
    """Middleware for FastAPI, Starlette and any other ASGI app: `app.add_middleware(HomeostasisMiddleware, config={})`.

    Args:
        app: what it wraps.
        config: settings of `[tool.homeostasis.monitoring]`, which win over those of the environment and of files.

    Raises:
        ValueError: `config` has an unknown key or a wrong value.
    """

    def __init__(self, app: AsgiApp, config: Mapping[str, Any] | None = None) -> None:
        self.app = app
        self._framework: str | None = None
        self._router: Router = route_of
        self._make_request = _Exchange.for_app(None, route_of)
        self._prepared = False
        if configure(config).active:
            from homeostasis.monitoring import hooks

            hooks.install()

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer a request, or pass on a lifespan or WebSocket."""
        client = current_client()
        outer = current.get()
        if client is None or not client.active or (outer is not None and outer.source is scope):
            if client is not None and client.active and not self._prepared:
                self._look_inside(scope)  # an app that another one has mounted
            await self.app(scope, receive, send)
            return
        if not self._prepared:
            self._prepare(client, scope)
        if scope["type"] != "http":
            await self._other(client, scope, receive, send)
            return
        started = perf_counter()
        request = self._make_request(client, scope, receive, send)
        token = current.set(request)
        try:
            await self.app(scope, request.receive, request.send)
        except BaseException as error:
            crashed = isinstance(error, Exception)
            try:
                if crashed and request.is_incomplete() and not client.expects(error):
                    await request.read_rest()
            finally:  # also if the server cancels the request meanwhile
                _crashed(client, request, error)
                current.reset(token)
                request.pending = None
                client.answered(request, perf_counter() - started, crashed)
            raise
        current.reset(token)
        if request.pending is not None:
            request.pending = None
        found = scope.get("route")
        if found is not None:  # FastAPI's; whatever else the adapter finds, it finds more slowly
            path = getattr(found, "path", None)
            if type(path) is str:  # other routers put there what they like
                request.route = path
        client.answered(request, perf_counter() - started)

    async def _other(self, client: Client, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._websocket(client, scope, receive, send)
            return
        try:
            await self.app(scope, receive, send)
        except BaseException as error:
            client.capture(error)
            raise
        finally:
            if scope["type"] == "lifespan":  # uvicorn ends itself by a signal next, past all exit handlers
                client.leave()

    async def _websocket(self, client: Client, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Serve a connection; an exception carries the request that opened it."""
        request = RequestState("asgi", scope, self._framework, self._router)

        def noting_send(message: Any) -> Awaitable[None]:
            error, request.pending = request.pending, None
            if error is not None and message.get("type") == "websocket.close" and message.get("code") == INTERNAL_ERROR:
                client.capture(error, request=request, handled=True)
            return send(message)

        token = current.set(request)
        try:
            await self.app(scope, receive, noting_send)
        except BaseException as error:
            client.capture(error, request=request)
            raise
        finally:
            current.reset(token)
            request.pending = None

    def _prepare(self, client: Client, scope: dict[str, Any]) -> None:
        """On the first message: this process serves the app, so it registers, and the adapter looks inside."""
        app = scope.get("app")
        if app is not None:
            from homeostasis.monitoring.runtime import remember_app

            remember_app(app)
        client.start()
        self._look_inside(scope)

    def _look_inside(self, scope: dict[str, Any]) -> None:
        self._prepared = True
        try:
            adapter = self._find_adapter(scope.get("app"))
            if adapter is not None:
                self._framework, self._router = adapter.framework(scope), adapter.route
                self._make_request = _Exchange.for_app(self._framework, self._router)
                adapter.prepare(self.app)
        except Exception as error:
            failed("preparing the app", error)

    @staticmethod
    def _find_adapter(app: Any) -> ModuleType | None:
        from homeostasis.monitoring import adapters

        adapter = adapters.find(app) if app is not None else None
        return adapter if hasattr(adapter, "prepare") else None


class _Exchange(RequestState):
    """A request with the callables of its server, which the app gets in place of those.

    They are no coroutine functions where that can be avoided: a coroutine more for each message costs as much as all
    the rest.
    """

    interface = "asgi"

    def __init__(self, client: Client, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        # What the constructor of the base sets: to call it takes longer.
        self.source = scope
        self.method = scope.get("method") or "GET"
        self.client = client
        self.from_server = receive
        self.to_server = send

    async def receive(self) -> Any:
        """Receive for the app, and keep the beginning of the body."""
        message = await self.from_server()
        try:
            if message.get("type") == "http.request":
                if self.body is None:
                    self.body = self.client.body_recorder()
                if self.body is not None:
                    self.body.add(message.get("body") or b"")
                    self.body.complete = not message.get("more_body")
        except Exception as error:
            failed("recording a body", error)
        return message

    def send(self, message: Any) -> Awaitable[None]:
        """Send for the app, and note the status."""
        try:
            if message["type"] == "http.response.start":
                status = message["status"]
                if self.pending is not None:
                    return self._send_for_pending(message, status)
                if type(status) is int:
                    self.status = status
        except (LookupError, TypeError):
            pass  # no message at all: the server says so
        return self.to_server(message)

    async def _send_for_pending(self, message: Any, status: object) -> None:
        """Capture the exception that the app turned into an error of its own."""
        if self.is_incomplete():
            await self.read_rest()
        if type(status) is int:
            self.status = status
            error, self.pending = self.pending, None
            if error is not None and (status >= 500 or (status == 404 and self.client.settings.capture_404)):
                self.client.capture(error, request=self, handled=True)
        await self.to_server(message)

    def is_incomplete(self) -> bool:
        """Whether a body was announced that the app has not read to its end."""
        if self.body is not None and self.body.complete:
            return False
        return any(name == b"content-length" for name, _ in self.source.get("headers") or ())

    async def read_rest(self) -> None:
        """Read the part of a small body that the app left: without it the request could not be sent again."""
        if self.body is None:
            self.body = self.client.body_recorder()
        if self.body is not None:
            try:
                await _read_rest(self.source, self.receive, self.body)
            except Exception as error:
                failed("reading the rest of a request", error)


def _crashed(client: Client, request: RequestState, error: BaseException) -> None:
    if request.status is None:
        request.status = 500
    client.capture(error, request=request)


def route_of(scope: Mapping[str, Any]) -> str | None:
    """The pattern of the route that a router left in the scope, as FastAPI's does."""
    path = getattr(scope.get("route"), "path", None)
    return path if type(path) is str else None


async def _read_rest(scope: Mapping[str, Any], receive: Receive, body: BodyRecorder) -> None:
    """Read on through the recorder, unless too much is missing or it does not come in time."""
    announced = dict(scope.get("headers") or ()).get(b"content-length", b"0")
    missing = int(announced) - len(body.content) if announced.isdigit() else body.left + 1
    if missing <= 0:
        return
    body.truncated = missing > body.left
    if body.truncated:
        return

    import asyncio

    async def drain() -> None:
        for _ in range(MAX_MESSAGES):
            if not (await receive()).get("more_body"):
                return
        body.truncated = True

    try:
        await asyncio.wait_for(drain(), WAIT_SECONDS)
    except Exception:
        body.truncated = True
