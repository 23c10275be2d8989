"""Send recorded requests to an ASGI app in this process; see `homeostasis.monitoring.inprocess`."""

from __future__ import annotations

import asyncio
import gc
from typing import Any, Callable, Dict
from urllib.parse import quote

from homeostasis.monitoring.inprocess import answer, body_of, headers_of

Done = Callable[[Dict[str, Any]], None]


def send_asgi(app: Any, requests: list[dict[str, Any]], done: Done, *, collect: bool = False) -> None:
    """Start the ASGI app's lifespan, send the requests one after the other on one event loop, and shut it down.

    Args:
        app: the app.
        requests: what to send.
        done: is called with each answer.
        collect: collect garbage after each request, before its answer is handed on.

    Raises:
        RuntimeError: the app says that it could not start.
    """
    asyncio.run(_run_asgi(app, requests, done, collect))


async def _run_asgi(app: Any, requests: list[dict[str, Any]], done: Done, collect: bool) -> None:
    lifespan = Lifespan(app)
    await lifespan.startup()
    for request in requests:
        got = await _call_asgi(app, request, lifespan.state)
        if collect:
            gc.collect()
        done(got)
    await lifespan.shutdown()


class Lifespan:
    """The lifespan protocol of ASGI; an app that does not speak it is left alone."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.state: dict[str, Any] = {}
        self.told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.said: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self.error: BaseException | None = None
        self.task: asyncio.Task[None] | None = None

    async def startup(self) -> None:
        """Raise what the app's start-up raised; see `send_asgi`."""
        self.task = asyncio.ensure_future(self._serve())
        await self.told.put({"type": "lifespan.startup"})
        said = await self.said.get()
        if said is not None and said["type"] == "lifespan.startup.failed":
            raise RuntimeError(f"the app could not start: {said.get('message', '')}") from self.error

    async def shutdown(self) -> None:
        """Let the app end, for at most two seconds: its answers are already there."""
        if self.task is not None and not self.task.done():
            await self.told.put({"type": "lifespan.shutdown"})
            await asyncio.wait([self.task], timeout=2)

    async def _serve(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self.app(scope, self.told.get, self.said.put)
        except Exception as error:
            self.error = error
        await self.said.put(None)


async def _call_asgi(app: Any, request: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
    body = body_of(request)
    incoming = [{"type": "http.request", "body": body, "more_body": False}]
    ended = asyncio.Event()
    got: dict[str, Any] = {"status": None, "headers": (), "body": b""}

    async def receive() -> dict[str, Any]:
        if incoming:
            return incoming.pop()
        await ended.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            got["status"] = int(message["status"])
            got["headers"] = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in message.get("headers") or ()]
        elif message["type"] == "http.response.body":
            got["body"] += message.get("body") or b""
            if not message.get("more_body"):
                ended.set()

    error: BaseException | None = None
    try:
        await app(asgi_scope(request, body, state), receive, send)
    except Exception as escaped:
        error = escaped
    ended.set()
    await asyncio.sleep(0)  # tasks that the request left behind get their turn before the next one
    return answer(got["status"], got["headers"], got["body"], error)


def asgi_scope(request: dict[str, Any], body: bytes, state: dict[str, Any]) -> dict[str, Any]:
    """The ASGI scope of a recorded request."""
    path = request.get("path") or "/"
    host, _, port = (request.get("host") or "localhost").partition(":")
    scheme = request.get("scheme") or "http"
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.get("method") or "GET",
        "scheme": scheme,
        "path": path,
        "raw_path": quote(path, errors="surrogateescape").encode("ascii"),
        "query_string": (request.get("query") or "").encode("latin-1", "replace"),
        "root_path": "",
        "headers": [
            (n.encode("latin-1", "replace"), v.encode("latin-1", "replace")) for n, v in headers_of(request, body)
        ],
        "client": ("127.0.0.1", 50000),
        "server": (host, int(port) if port.isdigit() else (443 if scheme == "https" else 80)),
        "state": dict(state),
    }
