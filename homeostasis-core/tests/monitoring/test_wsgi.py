from __future__ import annotations

import base64
import io
import socket
from typing import Any, Callable, Iterable, Iterator
from wsgiref.validate import validator

import pytest

from homeostasis.monitoring import setup_monitoring
from homeostasis.monitoring.request import MAX_HEADERS
from homeostasis.monitoring.wsgi import WsgiMonitor


def environ_for(method: str = "GET", path: str = "/a", body: bytes = b"", **more: Any) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "q=1",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "shop.example",
        "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": "text/plain",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        **more,
    }


def answer(app: Callable[..., Iterable[bytes]], environ: dict[str, Any]) -> tuple[Any, ...]:
    """What a server would send: status, headers, and the chunks one by one."""
    sent: list[Any] = []

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], None]:
        sent.append((status, list(headers)))
        return sent.append

    chunks = app(environ, start_response)
    try:
        sent.extend(chunks)
    finally:
        close = getattr(chunks, "close", None)
        if close:
            close()
    return tuple(sent)


def plain(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"read ", environ["wsgi.input"].read()]


def streaming(environ: Any, start_response: Any) -> Iterator[bytes]:
    start_response("201 Created", [("Content-Type", "text/plain"), ("X-A", "1"), ("X-A", "2")])
    yield b""
    yield from environ["wsgi.input"]


def writing(environ: Any, start_response: Any) -> Iterable[bytes]:
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"written ")
    return iter([b"then ", environ["wsgi.input"].read(3)])


@pytest.mark.parametrize("app", [plain, streaming, writing])
@pytest.mark.parametrize("body", [b"", b"one\ntwo\n", b"x" * 100_000])
def test_answers_are_the_same(remembering: Any, app: Any, body: bytes) -> None:
    """Status, headers, chunks and their order are the same with and without monitoring."""
    bare = answer(app, environ_for("POST", body=body))
    remembering(max_body_bytes=10)
    assert answer(WsgiMonitor(app), environ_for("POST", body=body)) == bare


def test_conforms_to_the_standard(remembering: Any) -> None:
    """The monitor is a valid server to the app and a valid app to the server."""
    remembering()

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield environ["wsgi.input"].read(10)

    chunks = validator(WsgiMonitor(validator(app)))(environ_for("POST", body=b"abc"), lambda *_: lambda _: None)
    assert list(chunks) == [b"abc"]
    chunks.close()


def test_lists_and_files_stay_what_they_are(remembering: Any) -> None:
    """Servers take the length of a list and send a file by sendfile: both pass through untouched."""
    remembering()

    class FileWrapper:
        def __init__(self, file: Any) -> None:
            self.file = file

        def __iter__(self) -> Iterator[bytes]:
            return iter([b"f"])

    made: Any = []
    chunks = WsgiMonitor(lambda *_: made)(environ_for(), None)
    assert chunks is made
    file = FileWrapper(None)
    assert WsgiMonitor(lambda *_: file)(environ_for(**{"wsgi.file_wrapper": FileWrapper}), None) is file


def test_crash_with_its_request(remembering: Any, raised_by: Any, event_of: Any) -> None:
    """A crash carries the request, complete enough to send it again."""
    client = remembering()

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        environ["wsgi.input"].read()
        raise KeyError("k")

    error = raised_by(answer, WsgiMonitor(app), environ_for("POST", "/caf\xc3\xa9", b"data", HTTP_X_THING="1"))
    assert type(error) is KeyError
    event = event_of(client.records[0])
    request = event.request
    assert request is not None
    assert (request.method, request.path, request.query, request.body, request.status) == (
        "POST",
        "/café",
        "q=1",
        b"data",
        500,
    )
    assert ("X-Thing", "1") in request.headers
    assert ("Content-Type", "text/plain") in request.headers
    assert (request.host, request.interface, request.framework) == ("shop.example", "wsgi", None)
    assert not request.body_truncated
    assert not event.handled
    assert event.raised.frames[-1].function == "app"
    assert not any(frame.module and frame.module.startswith("homeostasis.monitoring") for frame in event.raised.frames)


def test_many_headers_do_not_push_the_type_of_the_body_out(remembering: Any, raised_by: Any, event_of: Any) -> None:
    """What is a secret in a body depends on its type, so that it is kept whatever else a client sends."""
    client = remembering()

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        environ["wsgi.input"].read()
        raise KeyError("k")

    many = {f"HTTP_X_{number}": "1" for number in range(MAX_HEADERS + 1)}
    form = "application/x-www-form-urlencoded"
    raised_by(answer, WsgiMonitor(app), {**many, **environ_for("POST", "/", b"p%61ssword=hunter2", CONTENT_TYPE=form)})
    request = event_of(client.records[0]).request
    assert ("Content-Type", form) in request.headers
    assert len(request.headers) == MAX_HEADERS
    assert b"hunter2" not in request.body


def test_crash_while_streaming(remembering: Any, raised_by: Any) -> None:
    """An exception in the middle of a streamed answer is captured, and the app's own close runs."""
    client = remembering()
    closed = []

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            yield b"one"
            raise ValueError("late")

        def close(self) -> None:
            closed.append(True)

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return Body()

    assert type(raised_by(answer, WsgiMonitor(app), environ_for())) is ValueError
    assert closed == [True]
    (event,) = client.records
    assert event["request"]["status"] == 200
    client.flush()
    assert client.records[-1]["errors"] == 1


def test_unread_body(remembering: Any, raised_by: Any) -> None:
    """What the app had not read of a small body is read for it; never from a stream that could block."""
    client = remembering()

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        environ["wsgi.input"].read(2)
        raise KeyError("k")

    def body_of(record: Any) -> Any:
        return base64.urlsafe_b64decode(record["request"]["body"]), record["request"]["body_truncated"]

    raised_by(answer, WsgiMonitor(app), environ_for("POST", body=b"abcdef"))
    assert body_of(client.records[0]) == (b"abcdef", False)

    class Slow(io.BytesIO):
        pass

    raised_by(answer, WsgiMonitor(app), {**environ_for("POST", body=b"abcdef"), "wsgi.input": Slow(b"abcdef")})
    assert body_of(client.records[1]) == (b"ab", True)


def test_unread_body_of_a_stalling_client(remembering: Any, raised_by: Any) -> None:
    """A client that announces a body and sends half of it does not hold up the worker."""
    client = remembering()
    ours, theirs = socket.socketpair()
    with ours, theirs, ours.makefile("rb", 0) as stream:
        theirs.sendall(b"half")

        def app(environ: Any, start_response: Any) -> Iterable[bytes]:
            raise KeyError("k")

        environ = environ_for("POST", body=b"half and half")
        environ.update({"wsgi.input": stream, "gunicorn.socket": ours})
        raised_by(answer, WsgiMonitor(app), environ)
        assert ours.gettimeout() is None
    assert client.records[0]["request"]["body_truncated"]


def test_bodies_can_be_left_out(remembering: Any, raised_by: Any) -> None:
    """`capture_request_body = false` keeps no body, and `max_body_bytes` cuts it."""

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        environ["wsgi.input"].read()
        raise KeyError("k")

    client = remembering(capture_request_body=False)
    raised_by(answer, WsgiMonitor(app), environ_for("POST", body=b"abcdef"))
    assert client.records[0]["request"]["body"] == ""
    client = remembering(max_body_bytes=3)
    raised_by(answer, WsgiMonitor(app), environ_for("POST", body=b"abcdef"))
    assert client.records[0]["request"]["body"] == base64.urlsafe_b64encode(b"abc").decode()
    assert client.records[0]["request"]["body_truncated"]


def test_healthy_samples_and_traffic(remembering: Any) -> None:
    """A few different healthy requests are kept, all are counted, and errors are no samples."""
    client = remembering(healthy_samples=2)

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("404 Not Found" if environ["QUERY_STRING"] == "no" else "200 OK", [])
        return [environ["wsgi.input"].read()]

    monitored = WsgiMonitor(app)
    for body in (b"1", b"1", b"2", b"3"):
        answer(monitored, environ_for("PUT", body=body))
    answer(monitored, environ_for("GET", QUERY_STRING="no"))
    client.flush()
    samples = [record for record in client.records if record["record"] == "sample"]
    assert [base64.urlsafe_b64decode(record["request"]["body"]) for record in samples] == [b"1", b"2"]
    assert samples[0]["request"]["status"] == 200
    assert samples[0]["service"] == "app" or samples[0]["service"] == "shop"
    (traffic,) = [record for record in client.records if record["record"] == "traffic"]
    assert (traffic["attributes"]["http.route"], traffic["count"], traffic["errors"]) == ("/a", 5, 0)


def test_exits_pass_through(remembering: Any, raised_by: Any) -> None:
    """SystemExit and KeyboardInterrupt of a view are neither swallowed nor captured."""
    client = remembering()

    def app(environ: Any, start_response: Any) -> Any:
        raise SystemExit(3)

    assert type(raised_by(answer, WsgiMonitor(app), environ_for())) is SystemExit
    assert [record for record in client.records if record["record"] == "event"] == []


def test_broken_monitoring_does_not_show(remembering: Any, monkeypatch: Any) -> None:
    """When everything of ours fails, the app still answers the same bytes."""
    bare = answer(plain, environ_for("POST", body=b"x"))
    monkeypatch.delenv("HOMEOSTASIS_STRICT")
    client = remembering()
    monkeypatch.setattr(type(client.traffic), "count", lambda *_, **__: 1 / 0)
    monitored = WsgiMonitor(plain, "broken", lambda _environ: 1 / 0)  # type: ignore[arg-type,return-value]
    assert answer(monitored, environ_for("POST", body=b"x")) == bare


def test_setup_wraps_plain_apps(remembering: Any, project: Any) -> None:
    """A callable is wrapped once; an object with a `wsgi_app` is changed in place."""
    remembering()
    wrapped = setup_monitoring(plain)
    assert isinstance(wrapped, WsgiMonitor)
    assert setup_monitoring(wrapped) is wrapped

    class App:
        def wsgi_app(self, environ: Any, start_response: Any) -> Any:
            return plain(environ, start_response)

    app = App()
    assert setup_monitoring(app) is app
    inner = app.wsgi_app
    setup_monitoring(app)
    assert app.wsgi_app is inner
