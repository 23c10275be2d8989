"""Whatever breaks in the monitoring, the app answers as it would without: each inner function raises in its turn."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any

import pytest

from homeostasis.monitoring import HomeostasisMiddleware, asgi, capture_exception, client, delivery, redaction, wsgi
from homeostasis.monitoring.expected import Expected
from homeostasis.monitoring.redaction import Redactor
from homeostasis.monitoring.request import BodyRecorder, RequestState
from homeostasis.monitoring.spool import SpoolWriter
from homeostasis.monitoring.storms import Storms
from homeostasis.monitoring.traffic import Traffic
from homeostasis.monitoring.wsgi import WsgiMonitor

INNER = [
    (client, "describe"),
    (client, "key_of"),
    (client.seen, "remember"),
    (Storms, "sight"),
    (Storms, "collect"),
    (Traffic, "count"),
    (Traffic, "pick"),
    (Redactor, "text"),
    (redaction._Secrets, "__missing__"),
    (Expected, "covers"),
    (BodyRecorder, "add"),
    (BodyRecorder, "__init__"),
    (RequestState, "describe"),
    (RequestState, "find_route"),
    (delivery, "encode"),
    (SpoolWriter, "write"),
    (wsgi, "read_rest"),
    (asgi, "_read_rest"),
    (delivery.Delivery, "put"),
]


def fail(*_: Any, **__: Any) -> Any:
    raise RuntimeError("ours")


@pytest.fixture(params=INNER, ids=lambda pair: f"{getattr(pair[0], '__name__', '')}.{pair[1]}")
def broken(request: Any, spooling: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A monitored process in which one inner function raises."""
    monkeypatch.delenv("HOMEOSTASIS_STRICT")
    spooling()
    monkeypatch.setattr(*request.param, fail)


def test_counters_that_cannot_be_told_keep_no_processor_busy(spooling: Any, monkeypatch: Any, project: Path) -> None:
    """They are not asked for again at once; other records are written, and a flush ends."""
    monkeypatch.delenv("HOMEOSTASIS_STRICT")
    monitored, asked = spooling(), []

    def collect(*_: Any) -> Any:
        asked.append("counters")
        raise RuntimeError("ours")

    monkeypatch.setattr(Storms, "collect", collect)
    assert monitored._delivery.flush(60.0)
    monitored._delivery.put({"record": "lost", "reason": "x", "count": 1})
    assert monitored._delivery.flush(60.0)
    assert len(asked) == 2
    assert [file.read_bytes().count(b"\n") for file in project.glob(".homeostasis/spool/*.jsonl")] == [1]


def wsgi_app(environ: Any, start_response: Any) -> Any:
    path = environ["PATH_INFO"]
    body = environ["wsgi.input"].read(3)
    if path == "/crash":
        raise LookupError("the app's")
    start_response("500 Oops" if path == "/500" else "200 OK", [("A", "b")])
    if path == "/stream":
        return iter([b"one", body])
    if path == "/broken stream":
        return (part if part else {}["gone"] for part in (b"one", b""))
    return [body]


def ask_wsgi(app: Any, path: str) -> Any:
    started: list[Any] = []
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "CONTENT_LENGTH": "6",
        "wsgi.input": io.BytesIO(b"abcdef"),
    }
    try:
        answer = app(environ, lambda *arguments: started.append(arguments))
        body = []
        try:
            body.extend(answer)
        finally:
            getattr(answer, "close", lambda: None)()
        return started, body
    except Exception as error:
        return started, repr(error)


@pytest.mark.parametrize("path", ["/", "/500", "/crash", "/stream", "/broken stream"])
def test_wsgi(broken: None, path: str) -> None:
    """A WSGI app answers, streams and crashes as it does alone."""
    assert ask_wsgi(WsgiMonitor(wsgi_app), path) == ask_wsgi(wsgi_app, path)


async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        raise LookupError("the app's")
    message = await receive()
    if scope["path"] == "/crash":
        raise LookupError("the app's")
    await send({"type": "http.response.start", "status": 500 if scope["path"] == "/500" else 200, "headers": []})
    await send({"type": "http.response.body", "body": message["body"], "more_body": True})
    if scope["path"] == "/broken stream":
        raise LookupError("the app's")
    await send({"type": "http.response.body", "body": b""})


def ask_asgi(app: Any, kind: str, path: str) -> Any:
    answered: list[Any] = []
    scope = {"type": kind, "method": "POST", "path": path, "headers": [(b"content-length", b"6")], "query_string": b""}

    async def run() -> None:
        async def receive() -> Any:
            return {"type": "http.request", "body": b"abc", "more_body": len(answered) == 0}

        async def send(message: Any) -> None:
            answered.append(message)

        await app(scope, receive, send)

    try:
        asyncio.run(run())
    except Exception as error:
        answered.append(repr(error))
    return answered


@pytest.mark.parametrize(
    ("kind", "path"),
    [("http", "/"), ("http", "/500"), ("http", "/crash"), ("http", "/broken stream"), ("websocket", "/")],
)
def test_asgi(broken: None, kind: str, path: str) -> None:
    """An ASGI app answers, streams and crashes as it does alone, also on a WebSocket."""
    assert ask_asgi(HomeostasisMiddleware(asgi_app), kind, path) == ask_asgi(asgi_app, kind, path)


def test_capturing(broken: None) -> None:
    """`capture_exception` and the end of the process raise nothing."""
    try:
        {}["a"]
    except KeyError as error:
        assert capture_exception(error) in (True, False)
    made = client.current()
    assert made is not None
    made.flush(0.2)
    made.close()
