"""Every place of a FastAPI or Starlette app in which an exception can happen."""

from __future__ import annotations

import asyncio
import json
import warnings
from contextlib import suppress
from typing import Any, Callable, Iterator

import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Host, Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from homeostasis.models import Event
from homeostasis_fastapi import HomeostasisMiddleware, setup_monitoring

fastapi = pytest.importorskip("fastapi")
with warnings.catch_warnings():  # newer versions would have another HTTP client, and say so when they are imported
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient
# Older versions of Starlette leave streams of a crashed response to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:.*MemoryObject:pytest.PytestUnraisableExceptionWarning")


def crash(*_: Any, **__: Any) -> Any:
    raise ValueError("here")


async def crash_later(*_: Any, **__: Any) -> Any:
    await asyncio.sleep(0)
    raise ValueError("here")


@pytest.fixture
def events(client: Any) -> Callable[[], list[Event]]:
    """The events so far."""
    return lambda: [Event.model_validate_json(json.dumps(r)) for r in client.records if r["record"] == "event"]


@pytest.fixture
def app() -> Any:
    """A monitored FastAPI app without routes."""
    made = fastapi.FastAPI()
    setup_monitoring(made)
    return made


def web(app: Any) -> TestClient:
    return TestClient(app, raise_server_exceptions=False)


def failing() -> Iterator[int]:
    yield 1
    crash()


PLACES: dict[str, Callable[[Any], None]] = {
    "async route": lambda app: app.get("/")(_later),
    "sync route": lambda app: app.get("/")(lambda: crash()),
    "dependency": lambda app: app.get("/")(lambda found=fastapi.Depends(lambda: crash()): found),
    "async dependency": lambda app: app.get("/", dependencies=[fastapi.Depends(_later)])(lambda: 1),
    "dependency that ends": lambda app: app.get("/", dependencies=[fastapi.Depends(failing)])(lambda: 1),
    "middleware": lambda app: _add_middleware(app),
    "background task": lambda app: app.get("/")(lambda: PlainTextResponse("done", background=BackgroundTask(crash))),
    "answer that does not fit": lambda app: app.get("/", response_model=int)(lambda: "x"),
    "router": lambda app: _include(app),
}


async def _later() -> None:
    await crash_later()


def _add_middleware(app: Any) -> None:
    class Broken(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: Any) -> Any:
            await call_next(request)
            crash()

    app.add_middleware(Broken)
    app.get("/")(lambda: 1)


def _include(app: Any) -> None:
    router = fastapi.APIRouter(prefix="")
    router.get("/")(lambda: crash())
    app.include_router(router)


@pytest.mark.parametrize("place", PLACES)
def test_places(app: Any, events: Any, place: str) -> None:
    """Each place of an app is seen, once, with the request."""
    PLACES[place](app)
    web(app).get("/?a=1")
    (event,) = events()
    assert event.request.query == "a=1"
    assert event.handled is False
    if place != "answer that does not fit":
        assert "ValueError" in {one.type for one in event.exceptions}


@pytest.mark.parametrize("status", [409, 503])
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_exception_handlers(app: Any, events: Any, status: int, kind: str) -> None:
    """What a handler turns into a 5xx is captured, into a 4xx not."""

    def sync(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({}, status)

    async def later(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({}, status)

    app.add_exception_handler(ValueError, sync if kind == "sync" else later)
    app.get("/")(lambda: crash())
    assert web(app).get("/").status_code == status
    assert [event.handled for event in events()] == ([True] if status == 503 else [])


@pytest.mark.parametrize("make", [fastapi.FastAPI, Starlette])
def test_mounted_apps(events: Any, make: Any) -> None:
    """Handlers of an app within an app are seen, however deep it is mounted, and a request counts once."""

    async def sorry(request: Request, error: Exception) -> PlainTextResponse:
        return PlainTextResponse("sorry", 500)

    inner = make()
    inner.router.routes.append(Route("/crash", crash))
    inner.add_exception_handler(ValueError, sorry)
    app = make()
    app.router.routes.append(Mount("/a", routes=[Mount("/b", app=inner), Host("shop", app=inner)]))
    setup_monitoring(app)
    assert web(app).get("/a/b/crash").text == "sorry"
    (event,) = events()
    assert (event.raised.type, event.handled, event.request.path) == ("ValueError", True, "/a/b/crash")
    from homeostasis.monitoring import client as clients

    clients.current().flush()
    assert sum(r["count"] for r in clients.current().records if r["record"] == "traffic") == 1


def socket_app(behave: Callable[[WebSocket], Any], **handlers: Any) -> Any:
    app = Starlette(routes=[WebSocketRoute("/ws/{room}", behave)], **handlers)
    setup_monitoring(app)
    return app


def test_websocket(events: Any) -> None:
    """A WebSocket crashes with the request that opened it: path, query, headers."""

    async def behave(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())
        crash()

    with suppress(ValueError), TestClient(socket_app(behave)).websocket_connect(
        "/ws/7?a=1", headers={"x-shop": "tea"}
    ) as ws:
        ws.send_text("hello")
        assert ws.receive_text() == "hello"
        ws.receive_text()
    (event,) = events()
    assert (event.request.path, event.request.query, event.request.scheme) == ("/ws/7", "a=1", "ws")
    assert ("x-shop", "tea") in event.request.headers
    assert event.request.route == "/ws/{room}"


def test_fastapi_websocket_dependency(app: Any, events: Any) -> None:
    """A dependency of a WebSocket route crashes as one of a route does."""

    @app.websocket("/ws")
    async def behave(websocket: fastapi.WebSocket, found: Any = fastapi.Depends(_later)) -> None:
        await websocket.accept()

    with suppress(ValueError), TestClient(app).websocket_connect("/ws") as ws:
        ws.receive_text()
    assert [event.request.path for event in events()] == ["/ws"]


@pytest.mark.parametrize(("code", "captured"), [(1011, 1), (1008, 0)])
def test_websocket_handlers(events: Any, code: int, captured: int) -> None:
    """A handler that closes the connection as an internal error swallows a crash; any other code is meant."""

    async def behave(websocket: WebSocket) -> None:
        await websocket.accept()
        crash()

    async def close(websocket: WebSocket, error: Exception) -> None:
        await websocket.close(code)

    app = socket_app(behave, exception_handlers={ValueError: close})
    with suppress(WebSocketDisconnect), TestClient(app).websocket_connect("/ws/7") as ws:
        ws.receive_text()
    assert len(events()) == captured


def test_websocket_that_the_client_leaves(events: Any) -> None:
    """A client that goes away in the middle is no incident."""

    async def behave(websocket: WebSocket) -> None:
        await websocket.accept()
        while True:
            await websocket.receive_text()

    with suppress(WebSocketDisconnect), TestClient(socket_app(behave)).websocket_connect("/ws/7") as ws:
        ws.close()
    assert events() == []


def raising(error: BaseException) -> Callable[[], Any]:
    async def view() -> None:
        raise error

    return view


EXPECTED: dict[str, BaseException] = {
    "not found": HTTPException(404),
    "unprocessable": HTTPException(422),
    "forbidden": fastapi.HTTPException(403),
    "client gone": ClientDisconnect(),
    "cancelled": asyncio.CancelledError(),
}


@pytest.mark.parametrize("kind", EXPECTED)
def test_expected(app: Any, events: Any, kind: str) -> None:
    """Answers that the app means to give, clients that leave and cancelled requests are no incidents."""
    app.get("/")(raising(EXPECTED[kind]))
    with suppress(BaseException):
        web(app).get("/")
    assert events() == []


def test_invalid_requests(app: Any, events: Any) -> None:
    """Requests that do not validate are answered with 422 and are no incidents."""

    @app.post("/{number}")
    async def view(number: int, items: Any = fastapi.Body()) -> int:
        return number

    assert web(app).post("/x", json=[]).status_code == 422
    assert web(app).post("/1", content=b"{", headers={"content-type": "application/json"}).status_code in (400, 422)
    assert web(app).get("/1").status_code == 405
    assert events() == []


def test_settings_of_the_middleware_win(client: Any) -> None:
    """Where an app is set up and has the middleware with settings of its own, those are used."""
    from homeostasis.monitoring import client as clients

    app = Starlette(routes=[Route("/", crash)])
    setup_monitoring(app)
    app.add_middleware(HomeostasisMiddleware, config={"service": "own", "exclude_error_types": ["ValueError"]})
    assert web(app).get("/").status_code == 500
    assert clients.current().settings.service == "own"
    assert [r for r in clients.current().records if r["record"] == "event"] == []
