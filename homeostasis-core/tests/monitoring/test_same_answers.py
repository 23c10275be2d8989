"""Responses are byte for byte the same with monitoring on, off and broken, over generated apps and requests."""

from __future__ import annotations

import asyncio
import os
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homeostasis.monitoring import HomeostasisMiddleware, setup_monitoring
from homeostasis.monitoring import client as clients
from homeostasis.monitoring.expected import Expected
from homeostasis.monitoring.redaction import Redactor
from homeostasis.monitoring.request import BodyRecorder, RequestState
from homeostasis.monitoring.storms import Storms
from homeostasis.monitoring.traffic import Traffic

flask = pytest.importorskip("flask")
starlette = pytest.importorskip("starlette")
pytestmark = pytest.mark.filterwarnings("ignore:.*MemoryObject:pytest.PytestUnraisableExceptionWarning")

ERRORS = {"key": KeyError, "value": ValueError, "own": type("Own", (LookupError,), {}), "os": OSError}
PATHS = ["/a", "/b/7", "/b/x", "/missing", "/ä"]

steps = st.sampled_from(
    ["text", "json", "bytes", "read", "stream", "stream that breaks", "abort 404", "abort 418", "abort 503", "redirect"]
    + [f"raise {name}" for name in ERRORS]
)
routes = st.dictionaries(st.sampled_from(["/a", "/b/{n}", "/"]), steps, min_size=1)
handlers = st.dictionaries(st.sampled_from(sorted(ERRORS)), st.sampled_from([200, 400, 500, 503]), max_size=2)
requests = st.lists(
    st.tuples(
        st.sampled_from(["GET", "POST", "HEAD", "PUT", "OPTIONS"]),
        st.sampled_from([*PATHS, "/"]),
        st.sampled_from([b"", b"x", b'{"password": "x"}', b"\xff" * 50]),
        st.sampled_from(["", "a=1", "a=%ff&token=x"]),
    ),
    min_size=1,
    max_size=4,
)
quick = settings(
    max_examples=40,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def fail(*_: Any, **__: Any) -> Any:
    raise RuntimeError("ours")


BROKEN = [
    (clients, "describe"),
    (Storms, "sight"),
    (Traffic, "count"),
    (Redactor, "text"),
    (Expected, "covers"),
    (BodyRecorder, "add"),
    (RequestState, "find_route"),
    (RequestState, "describe"),
]


@contextmanager
def monitoring(mode: str, project: Path) -> Iterator[None]:
    """A process in which the monitoring is on, or broken in all places at once."""
    with mock.patch.dict(os.environ, {"HOMEOSTASIS_TRANSPORT": "memory", "HOMEOSTASIS_STRICT": "0"}):
        clients.reset()
        clients.configure({"project": str(project)})
        patches = [mock.patch.object(*place, fail) for place in BROKEN] if mode == "broken" else []
        for patch in patches:
            patch.start()
        try:
            yield
        finally:
            for patch in patches:
                patch.stop()
            clients.reset()


def flask_app(routes: dict[str, str], handlers: dict[str, int]) -> Any:
    app = flask.Flask("made")
    app.logger.disabled = True

    def view_of(step: str) -> Any:
        def view(**_: Any) -> Any:
            kind, _, detail = step.partition(" ")
            if kind == "raise":
                raise ERRORS[detail](flask.request.path)
            if kind == "abort":
                flask.abort(int(detail))
            if kind == "redirect":
                return flask.redirect("/a")
            if kind == "read":
                return flask.request.get_data(cache=False) + flask.request.query_string
            if kind == "stream":
                return flask.Response(
                    part if part else {}["gone"] for part in ((b"one", b"two") if not detail else (b"one", b""))
                )
            return {"text": "häuser", "bytes": b"\x00\xff"}.get(kind, {"a": [1, None]})

        return view

    for number, (path, step) in enumerate(sorted(routes.items())):
        rule = path.replace("{n}", "<int:n>")
        app.add_url_rule(rule, str(number), view_of(step), methods=["GET", "POST"])
    for name, status in handlers.items():
        app.register_error_handler(ERRORS[name], lambda error, status=status: (f"handled {error!r}", status))
    return app


def ask_flask(app: Any, sent: Any) -> list[Any]:
    answers: list[Any] = []
    for method, path, body, query in sent:
        try:
            answer = app.test_client().open(path, method=method, data=body, query_string=query)
            answers.append((answer.status, list(answer.headers)))
            answers.append(answer.get_data())
        except Exception as error:
            answers.append(repr(error))
    return answers


@quick
@given(routes=routes, handlers=handlers, sent=requests)
def test_flask(project: Path, routes: Any, handlers: Any, sent: Any) -> None:
    """A Flask app answers the same, header by header and byte by byte."""
    bare = ask_flask(flask_app(routes, handlers), sent)
    for mode in ("on", "broken"):
        with monitoring(mode, project):
            app = flask_app(routes, handlers)
            assert setup_monitoring(app) is app
            assert ask_flask(app, sent) == bare, mode


def starlette_app(routes: dict[str, str], handlers: dict[str, int], sync: bool) -> Any:
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
    from starlette.routing import Route

    async def parts(whole: bool) -> Any:
        yield b"one"
        if not whole:
            raise KeyError("gone")
        yield b"two"

    def answer(step: str, path: str) -> Any:
        kind, _, detail = step.partition(" ")
        if kind == "raise":
            raise ERRORS[detail](path)
        if kind == "abort":
            raise HTTPException(int(detail))
        if kind == "redirect":
            return RedirectResponse("/a")
        if kind == "stream":
            return StreamingResponse(parts(not detail))
        return Response(b"\x00\xff") if kind == "bytes" else JSONResponse({"a": [1, None]})

    def view_of(step: str) -> Any:
        async def later(request: Any) -> Any:
            return Response(await request.body()) if step == "read" else answer(step, request.url.path)

        def at_once(request: Any) -> Any:
            return answer(step, request.url.path)

        return at_once if sync and step != "read" else later

    def handler_of(status: int) -> Any:
        async def later(request: Any, error: Exception) -> Any:
            return Response(f"handled {error!r}", status)

        def at_once(request: Any, error: Exception) -> Any:
            return Response(f"handled {error!r}", status)

        return at_once if sync else later

    made = [Route(path, view_of(step), methods=["GET", "POST"]) for path, step in sorted(routes.items())]
    return Starlette(
        routes=made, exception_handlers={ERRORS[name]: handler_of(status) for name, status in handlers.items()}
    )


def ask_starlette(app: Any, sent: Any) -> list[Any]:
    answers: list[Any] = []

    async def ask(method: str, path: str, body: bytes, query: str) -> None:
        waiting = [
            {"type": "http.request", "body": body[:5], "more_body": True},
            {"type": "http.request", "body": body[5:], "more_body": False},
        ]
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(b"content-length", str(len(body)).encode()), (b"host", b"shop")],
            "server": ("shop", 80),
            "client": ("127.0.0.1", 1),
            "scheme": "http",
            "root_path": "",
            "http_version": "1.1",
        }

        async def receive() -> Any:
            return waiting.pop(0) if waiting else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            answers.append(message)

        try:
            await app(scope, receive, send)
        except Exception as error:
            answers.append(type(error).__name__)

    async def all_of_them() -> None:
        for one in sent:
            await ask(*one)

    asyncio.run(all_of_them())
    return answers


@quick
@given(routes=routes, handlers=handlers, sent=requests, sync=st.booleans(), outside=st.booleans())
def test_starlette(project: Path, routes: Any, handlers: Any, sent: Any, sync: bool, outside: bool) -> None:
    """A Starlette app sends the same messages, as middleware or set up, sync or async."""
    bare = ask_starlette(starlette_app(routes, handlers, sync), sent)
    for mode in ("on", "broken"):
        with monitoring(mode, project):
            app = starlette_app(routes, handlers, sync)
            if outside:
                app.add_middleware(HomeostasisMiddleware)
            else:
                setup_monitoring(app)
            assert ask_starlette(app, sent) == bare, mode
