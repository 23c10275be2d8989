from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from homeostasis.monitoring import HomeostasisMiddleware, setup_monitoring
from homeostasis.monitoring.request import MAX_HEADERS


def scope_for(kind: str = "http", **more: Any) -> dict[str, Any]:
    return {
        "type": kind,
        "method": "POST",
        "path": "/a",
        "query_string": b"q=1",
        "headers": [(b"host", b"shop.example"), (b"x-thing", b"1"), (b"content-length", b"6")],
        "scheme": "https",
        **more,
    }


def exchange(app: Any, scope: dict[str, Any], *chunks: bytes) -> list[Any]:
    """Sends a request in chunks and returns the messages that are answered, and at last the exception, if any."""
    answered: list[Any] = []
    waiting = list(chunks)

    async def receive() -> Any:
        if not waiting:
            await asyncio.sleep(3600)
        chunk = waiting.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(waiting)}

    async def send(message: Any) -> None:
        answered.append(message)

    async def run() -> None:
        try:
            await app(scope, receive, send)
        except Exception as error:
            answered.append(error)

    asyncio.run(run())
    return answered


async def echo(scope: Any, receive: Any, send: Any) -> None:
    body = b""
    more = True
    while more:
        message = await receive()
        body += message["body"]
        more = message["more_body"]
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"a", b"1"), (b"a", b"2")], "trailers": False}
    )
    await send({"type": "http.response.body", "body": body, "more_body": True})
    await send({"type": "http.response.body", "body": b"."})


@pytest.mark.parametrize("chunks", [(b"",), (b"abc", b"def"), (b"x" * 100_000, b"y")])
def test_answers_are_the_same(remembering: Any, chunks: Any) -> None:
    """The messages are the same with and without monitoring."""
    bare = exchange(echo, scope_for(), *chunks)
    client = remembering(max_body_bytes=10)
    assert exchange(HomeostasisMiddleware(echo), scope_for(), *chunks) == bare
    client.flush()
    assert client.records[-1]["record"] == "traffic"


def test_crash_with_its_request(remembering: Any, event_of: Any) -> None:
    """A crash passes on and carries the request, with the part of the body that the app had not read."""
    client = remembering()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        raise KeyError("k")

    (error,) = exchange(HomeostasisMiddleware(app), scope_for(), b"abc", b"def")
    assert type(error) is KeyError
    event = event_of(client.records[0])
    request = event.request
    assert request is not None
    assert (request.method, request.path, request.query, request.body) == ("POST", "/a", "q=1", b"abcdef")
    assert (request.interface, request.scheme, request.host, request.status) == ("asgi", "https", "shop.example", 500)
    assert ("x-thing", "1") in request.headers
    assert not request.body_truncated
    assert event.raised.frames[-1].function == "app"


def test_many_headers_do_not_push_the_type_of_the_body_out(remembering: Any, event_of: Any) -> None:
    """What is a secret in a body depends on its type, so that it is kept whatever else a client sends."""
    client = remembering()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise KeyError("k")

    form = b"application/x-www-form-urlencoded"
    headers = [*[(b"x-%d" % number, b"1") for number in range(MAX_HEADERS)], (b"content-type", form)]
    exchange(HomeostasisMiddleware(app), scope_for(headers=headers), b"p%61ssword=hunter2")
    request = event_of(client.records[0]).request
    assert request.headers[:2] == (("content-type", form.decode()), ("x-0", "1"))
    assert len(request.headers) == MAX_HEADERS
    assert b"hunter2" not in request.body


def test_stalling_client(remembering: Any) -> None:
    """A client that never sends the body that it announced does not hold up the answer."""
    client = remembering()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise KeyError("k")

    (error,) = exchange(HomeostasisMiddleware(app), scope_for())
    assert type(error) is KeyError
    assert client.records[0]["request"]["body_truncated"]


def test_a_lifespan_passes_through(remembering: Any) -> None:
    """A lifespan gets the very callables of the server; its crash is captured."""
    client = remembering()
    got: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        got.append((receive, send))
        raise ValueError("x")

    async def receive() -> Any:
        return {}

    async def send(_message: Any) -> None:
        return None

    with pytest.raises(ValueError, match="x"):
        asyncio.run(HomeostasisMiddleware(app)(scope_for("lifespan"), receive, send))
    assert got == [(receive, send)]
    assert [(record["record"], record["request"]) for record in client.records] == [("event", None)]


def test_a_websocket_crashes_with_its_request(remembering: Any, event_of: Any) -> None:
    """The crash of a WebSocket carries the request that opened it; its messages pass unchanged."""
    client = remembering()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        await receive()
        raise ValueError("x")

    answered = exchange(HomeostasisMiddleware(app), scope_for("websocket", scheme="wss"), b"a")
    assert answered[0] == {"type": "websocket.accept"}
    assert isinstance(answered[1], ValueError)
    event = event_of(client.records[0])
    assert (event.request.path, event.request.query, event.request.scheme) == ("/a", "q=1", "wss")
    assert ("x-thing", "1") in event.request.headers
    assert event.handled is False


@pytest.mark.parametrize("error", ["WebSocketDisconnect", "ClientDisconnected"])
def test_a_client_that_leaves_a_websocket_is_no_crash(remembering: Any, error: str) -> None:
    """Aborted connections are no incidents."""
    client = remembering()
    modules = {"WebSocketDisconnect": "starlette.websockets", "ClientDisconnected": "uvicorn.protocols.utils"}
    kind = type(error, (Exception,), {"__module__": modules[error]})

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise kind

    exchange(HomeostasisMiddleware(app), scope_for("websocket"), b"a")
    assert client.records == []


def test_a_crash_is_not_lost_if_its_request_is_cancelled(remembering: Any, event_of: Any) -> None:
    """A server that cancels the request while the rest of its body is awaited costs that body only."""
    client = remembering()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise KeyError("k")

    async def run() -> None:
        asked = asyncio.Event()

        async def receive() -> Any:
            asked.set()
            await asyncio.sleep(3600)

        request = asyncio.ensure_future(HomeostasisMiddleware(app)(scope_for(), receive, receive))
        await asked.wait()
        request.cancel()
        await asyncio.gather(request, return_exceptions=True)

    asyncio.run(run())
    assert event_of(client.records[0]).raised.type == "KeyError"


def test_cancelled_requests_are_no_errors(remembering: Any) -> None:
    """A request that the server cancels is no crash."""
    client = remembering()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(3600)

    async def run() -> None:
        task = asyncio.ensure_future(HomeostasisMiddleware(app)(scope_for(), asyncio.sleep, asyncio.sleep))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert [record for record in client.records if record["record"] == "event"] == []


def test_samples_hold_the_body(remembering: Any) -> None:
    """A healthy request is kept with its body, so that it can be compared later."""
    client = remembering()
    exchange(HomeostasisMiddleware(echo), scope_for(), b"abc", b"def")
    (sample,) = [record for record in client.records if record["record"] == "sample"]
    assert base64.urlsafe_b64decode(sample["request"]["body"]) == b"abcdef"


def test_nested_middleware_counts_once(remembering: Any) -> None:
    """An app that is wrapped twice reports each request once."""
    client = remembering()
    exchange(HomeostasisMiddleware(HomeostasisMiddleware(echo)), scope_for(), b"abc")
    client.flush()
    assert sum(record["count"] for record in client.records if record["record"] == "traffic") == 1


def test_setup_wraps_plain_apps(remembering: Any) -> None:
    """Coroutine functions and objects with an async call are wrapped as ASGI apps."""
    remembering()

    class App:
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await echo(scope, receive, send)

    assert isinstance(setup_monitoring(echo), HomeostasisMiddleware)
    wrapped = setup_monitoring(App())
    assert isinstance(wrapped, HomeostasisMiddleware)
    assert setup_monitoring(wrapped) is wrapped
    assert isinstance(setup_monitoring(lambda scope, receive, send: None), HomeostasisMiddleware)


def test_wrong_settings_are_refused(remembering: Any) -> None:
    """A misspelt key is an error where the middleware is added."""
    remembering()
    with pytest.raises(ValueError, match="did you mean 'sample_rate'"):
        HomeostasisMiddleware(echo, config={"sample_rat": 1.0})


@pytest.mark.parametrize(
    ("path", "route"),
    [(17, "/a"), (["/a"], "/a"), (type("Path", (str,), {"__hash__": None})("/b"), "/a"), ("/" * 2000, "/" * 1000)],
    ids=["number", "list", "own", "long"],
)
def test_a_route_that_is_none(remembering: Any, path: Any, route: str) -> None:
    """What a foreign router left in the scope becomes a route only if it is a text, of which a part is kept."""
    client = remembering()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["route"] = type("Route", (), {"path": path})()
        await echo(scope, receive, send)

    exchange(HomeostasisMiddleware(app), scope_for(), b"abc")
    (record,) = (record for record in client.records if record["record"] == "sample")
    assert [counted for _, counted in client.traffic.routes] == [route]
    assert record["request"]["route"] in (route, None)
