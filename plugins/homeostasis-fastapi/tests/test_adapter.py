from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import Any, AsyncIterator, Callable

import httpx
import pytest
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute

from homeostasis.models import Event
from homeostasis.monitoring import adapters
from homeostasis_fastapi import HomeostasisMiddleware, adapter, setup_monitoring

fastapi = pytest.importorskip("fastapi")
# Older versions of Starlette leave streams of a crashed response to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:.*MemoryObject:pytest.PytestUnraisableExceptionWarning")


def fetch(app: Any, method: str, url: str, **arguments: Any) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as web:
            return await web.request(method, url, **arguments)

    return asyncio.run(send())


def starlette_app() -> Starlette:
    async def ok(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"hello {request.path_params['name']}")

    def order(request: Request) -> PlainTextResponse:
        return PlainTextResponse({"apple": "3"}[request.query_params["sku"]])

    async def handled(request: Request) -> PlainTextResponse:
        raise LookupError("handled")

    async def sorry(request: Request, error: Exception) -> PlainTextResponse:
        return PlainTextResponse("sorry", 503)

    def refused(request: Request, error: Exception) -> PlainTextResponse:
        return PlainTextResponse("no", 403)

    async def refuse(request: Request) -> PlainTextResponse:
        raise PermissionError

    async def stop(request: Request) -> PlainTextResponse:
        raise HTTPException(int(request.path_params["code"]))

    def later() -> None:
        raise RuntimeError("later")

    async def background(request: Request) -> PlainTextResponse:
        return PlainTextResponse("done", background=BackgroundTask(later))

    async def stream(request: Request) -> StreamingResponse:
        async def generate() -> AsyncIterator[bytes]:
            yield b"one"
            raise RuntimeError("in the middle")

        return StreamingResponse(generate())

    async def socket(websocket: Any) -> None:
        await websocket.accept()
        raise ValueError("socket")

    return Starlette(
        routes=[
            Route("/ok/{name}", ok),
            Route("/orders/{number:int}", order, methods=["POST"]),
            Mount("/mounted", routes=[Route("/orders/{number:int}", order, methods=["POST"])]),
            Route("/handled", handled),
            Route("/refused", refuse),
            Route("/stop/{code:int}", stop),
            Route("/background", background),
            Route("/stream", stream),
            WebSocketRoute("/ws", socket),
        ],
        exception_handlers={
            NotADirectoryError: refused,
            PermissionError: refused,
            IndexError: sorry,
            LookupError: sorry,
        },
    )


class Order(BaseModel):
    sku: str
    password: str = ""


def price(order: Order) -> int:
    return {"apple": 3}[order.sku]


def fastapi_app() -> Any:
    app = fastapi.FastAPI()

    @app.post("/orders/{number}")
    async def order(number: int, found: int = fastapi.Depends(price)) -> Any:
        return {"price": found, "number": number}

    @app.get("/divide/{number}")
    def divide(number: int) -> Any:
        return {"result": 10 / number}

    return app


@pytest.fixture(params=["middleware", "setup"])
def monitored(request: Any) -> Callable[[Any], Any]:
    """Monitors an app in one of the two ways that the documentation shows."""

    def add(app: Any) -> Any:
        if request.param == "setup":
            return setup_monitoring(app)
        app.add_middleware(HomeostasisMiddleware, config={"service": "shop"})
        return app

    return add


def events(client: Any) -> list[Event]:
    return [Event.model_validate_json(json.dumps(r)) for r in client.records if r["record"] == "event"]


def test_fastapi_crash(client: Any, monitored: Any) -> None:
    """A crash of a dependency carries route, body and the frames of the app."""
    app = monitored(fastapi_app())
    assert fetch(app, "POST", "/orders/7", json={"sku": "pear", "password": "hunter2"}).status_code == 500
    (event,) = events(client)
    request = event.request
    assert request is not None
    assert (event.raised.type, event.handled) == ("KeyError", False)
    assert (request.framework, request.interface, request.route, request.status) == (
        "fastapi",
        "asgi",
        "/orders/{number}",
        500,
    )
    assert json.loads(request.body) == {"sku": "pear", "password": "[redacted]"}
    frame = event.crash_frame
    assert frame is not None
    assert frame.function == "price"
    assert event.runtime.frameworks["starlette"]


def test_fastapi_sync_route_and_refused_requests(client: Any, monitored: Any) -> None:
    """A sync route that runs in a thread is captured; requests that FastAPI refuses as invalid are not."""
    app = monitored(fastapi_app())
    assert fetch(app, "GET", "/divide/0").status_code == 500
    assert fetch(app, "GET", "/divide/x").status_code == 422
    assert fetch(app, "POST", "/orders/1", json={}).status_code == 422
    assert [event.raised.type for event in events(client)] == ["ZeroDivisionError"]
    request = events(client)[0].request
    assert request is not None
    assert request.route == "/divide/{number}"


@pytest.mark.parametrize(
    ("method", "url", "kind", "handled", "status", "route"),
    [
        ("POST", "/orders/7?sku=pear", "KeyError", True, 503, "/orders/{number:int}"),
        ("POST", "/mounted/orders/7?sku=pear", "KeyError", True, 503, None),
        ("GET", "/handled", "LookupError", True, 503, "/handled"),
        ("GET", "/stop/502", "HTTPException", True, 502, "/stop/{code:int}"),
        ("GET", "/background", "RuntimeError", False, 200, "/background"),
        ("GET", "/stream", "RuntimeError", False, 200, "/stream"),
    ],
)
def test_starlette_crashes(
    client: Any, monitored: Any, method: str, url: str, kind: str, handled: bool, status: int, route: str | None
) -> None:
    """Sync and async routes, swallowed exceptions, background tasks and streams are captured with their route."""
    fetch(monitored(starlette_app()), method, url, content=b"body" if method == "POST" else None)
    (event,) = events(client)
    assert event.request is not None
    assert kind in {one.type for one in event.exceptions}  # of a group, where anyio makes one
    assert (event.handled, event.request.status) == (handled, status)
    assert event.request.framework == "starlette"
    assert route is None or event.request.route == route
    assert event.request.body == (b"body" if method == "POST" else b"")


@pytest.mark.parametrize("url", ["/ok/a", "/refused", "/stop/404", "/stop/410", "/missing"])
def test_meant_answers_are_no_crashes(client: Any, monitored: Any, url: str) -> None:
    """Answers below 500, whoever made them, are no events."""
    fetch(monitored(starlette_app()), "GET", url)
    assert events(client) == []


def test_handler_for_everything(client: Any, monitored: Any) -> None:
    """A handler for Exception answers, and the crash is captured all the same, once."""
    app = starlette_app()

    async def everything(request: Request, error: Exception) -> PlainTextResponse:
        return PlainTextResponse("oh", 500)

    def crash(request: Request) -> None:
        raise ValueError

    app.router.routes.append(Route("/crash", crash))
    app.add_exception_handler(Exception, everything)
    assert fetch(monitored(app), "GET", "/crash").text == "oh"
    assert len(events(client)) == 1


def test_inner_middleware(client: Any, monitored: Any) -> None:
    """A crash of a middleware that lies inside is captured."""

    class Broken(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: Any) -> Any:
            await call_next(request)
            raise ValueError("after")

    app = starlette_app()
    app.add_middleware(Broken)
    assert fetch(monitored(app), "GET", "/ok/a").status_code == 500
    assert [event.raised.type for event in events(client)] == ["ValueError"]


def test_setup_stays_outermost(client: Any) -> None:
    """`setup_monitoring` sees crashes of middleware that is added after it, and twice is once."""

    class Broken:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            raise ValueError("outside")

    app = starlette_app()
    setup_monitoring(app)
    setup_monitoring(app)
    app.add_middleware(Broken)
    fetch(app, "GET", "/ok/a")
    assert [event.raised.type for event in events(client)] == ["ValueError"]
    client.flush()
    assert sum(r["count"] for r in client.records if r["record"] == "traffic") == 1


def test_setup_of_a_running_app(client: Any) -> None:
    """An app that has answered already is monitored from the next request on."""
    app = starlette_app()
    fetch(app, "GET", "/ok/a")
    setup_monitoring(app)
    fetch(app, "GET", "/stream")
    assert len(events(client)) == 1


def test_samples_and_traffic_by_route(client: Any, monitored: Any) -> None:
    """Healthy requests are counted under their route, and a few are kept."""
    app = monitored(starlette_app())
    for name in "abcdefg":
        fetch(app, "GET", f"/ok/{name}")
    fetch(app, "GET", "/nowhere")
    client.flush()
    samples = [(r["request"]["route"], r["request"]["path"]) for r in client.records if r["record"] == "sample"]
    assert samples == [("/ok/{name}", f"/ok/{name}") for name in "abcde"]
    traffic = {
        r["attributes"]["http.route"]: (r["count"], r["errors"]) for r in client.records if r["record"] == "traffic"
    }
    assert traffic == {"/ok/{name}": (7, 0), "(unmatched)": (1, 0)}


def drive(app: Any, kind: str, *messages: str) -> list[str]:
    """Speaks a protocol other than HTTP with the app; returns the types of what it sends."""
    sent: list[str] = []
    waiting = [{"type": message} for message in messages]

    async def receive() -> Any:
        return waiting.pop(0)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    scope = {"type": kind, "path": "/ws", "headers": [], "query_string": b"", "root_path": "", "app": app}
    asyncio.run(app(scope, receive, send))
    return sent


def test_websocket(client: Any, monitored: Any) -> None:
    """A crash of a WebSocket endpoint is captured."""
    with pytest.raises(ValueError, match="socket"):
        drive(monitored(starlette_app()), "websocket", "websocket.connect")
    assert [event.raised.type for event in events(client)] == ["ValueError"]


def test_lifespan(client: Any, monitored: Any) -> None:
    """A lifespan passes through."""
    ran: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        ran.append("up")
        yield
        ran.append("down")

    sent = drive(monitored(Starlette(lifespan=lifespan)), "lifespan", "lifespan.startup", "lifespan.shutdown")
    assert ran == ["up", "down"]
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("GET", "/ok/ä"),
        ("POST", "/orders/1?sku=apple"),
        ("POST", "/orders/1?sku=x"),
        ("GET", "/handled"),
        ("GET", "/refused"),
        ("GET", "/stop/410"),
        ("GET", "/stop/500"),
        ("GET", "/background"),
        ("GET", "/missing"),
        ("PUT", "/ok/a"),
        ("HEAD", "/ok/a"),
    ],
)
def test_answers_are_the_same(monitored: Any, method: str, url: str) -> None:
    """Status, headers and body are the same with and without monitoring."""
    bare = fetch(starlette_app(), method, url, content=b"x")
    seen = fetch(monitored(starlette_app()), method, url, content=b"x")
    assert (seen.status_code, seen.headers.raw, seen.content) == (bare.status_code, bare.headers.raw, bare.content)


def test_adapter_is_found() -> None:
    """The entry points of this package name the adapter for Starlette and FastAPI apps."""
    assert adapters.find(starlette_app()) is adapter
    assert adapters.find(fastapi.FastAPI()) is adapter
