from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, Response

from homeostasis.monitoring.wsgi import noted_within
from homeostasis_flask import setup_monitoring


class Unusual(Flask):
    """An app whose answers do not all pass through `finalize_request`."""

    def full_dispatch_request(self, *context: Any) -> Any:
        if self.config.get("SHORT"):
            return self.response_class("short", status=503)
        return super().full_dispatch_request(*context)


def make(cls: type[Flask] = Flask) -> Flask:
    app = cls(__name__)
    app.logger.disabled = True

    @app.get("/orders/<int:number>")
    def order(number: int) -> Any:
        return {"number": number}

    @app.get("/stream")
    def stream() -> Any:
        return Response(iter(["a", "b"]))

    @app.get("/crash")
    def crash() -> Any:
        raise KeyError("k")

    return app


def traffic(client: Any) -> dict[str, tuple[int, int]]:
    client.flush()
    return {
        r["attributes"]["http.route"]: (r["count"], r["errors"]) for r in client.records if r["record"] == "traffic"
    }


def test_status_after_the_last_function_of_the_app(client: Any) -> None:
    """What counts is the status that is sent: also when a function after the request has changed it."""
    app = make()

    @app.after_request
    def late(response: Any) -> Any:
        response.status_code = 503
        return response

    setup_monitoring(app)
    assert app.test_client().get("/orders/1", buffered=True).status_code == 503
    assert traffic(client) == {"/orders/<int:number>": (1, 1)}


def test_status_that_a_middleware_changes(client: Any) -> None:
    """A middleware that lies between has the last word."""
    app = make()
    inner = app.wsgi_app

    def middleware(environ: Any, start_response: Any) -> Any:
        return inner(environ, lambda _status, headers, *rest: start_response("500 NO", headers, *rest))

    app.wsgi_app = middleware  # type: ignore[method-assign]
    setup_monitoring(app)
    assert app.test_client().get("/orders/1", buffered=True).status_code == 500
    assert traffic(client) == {"/orders/<int:number>": (1, 1)}


def test_status_that_a_subclass_answers(client: Any) -> None:
    """An app that answers in a way of its own is watched from outside."""
    app = make(Unusual)
    setup_monitoring(app)
    app.config["SHORT"] = True
    assert app.test_client().get("/orders/1", buffered=True).status_code == 503
    assert traffic(client) == {"/orders/<int:number>": (1, 1)}


def test_answers_pass_untouched(client: Any) -> None:
    """A complete answer reaches the server as the very object that Flask made; a stream is counted when it was sent."""
    app = make()
    given: list[Any] = []
    inner = app.wsgi_app

    def between(*arguments: Any) -> Any:
        given.append(inner(*arguments))
        return given[-1]

    setup_monitoring(app)
    monitor: Any = noted_within(between, "flask", lambda _environ: None)
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/orders/1", "SERVER_NAME": "x", "SERVER_PORT": "80"}
    environ["wsgi.url_scheme"] = "http"
    assert monitor(dict(environ), lambda *_: None) is given[0]
    answer = monitor({**environ, "PATH_INFO": "/stream"}, lambda *_: None)
    assert "/stream" not in traffic(client)
    assert b"".join(answer) == b"ab"
    answer.close()
    assert traffic(client)["/stream"] == (1, 0)


@pytest.mark.parametrize("handled", [False, True])
def test_answer_to_a_crash(client: Any, handled: bool) -> None:
    """Flask's own answer to a crash is counted when it is made; a stream that the app answers, when it was sent."""
    app = make()
    if handled:
        app.register_error_handler(500, lambda _: Response(iter(["a", "b"]), status=500))
    setup_monitoring(app)
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/crash", "SERVER_NAME": "x", "SERVER_PORT": "80"}
    environ["wsgi.url_scheme"] = "http"
    monitor: Any = app.wsgi_app
    answer = monitor(environ, lambda *_: None)
    assert traffic(client) == ({} if handled else {"/crash": (1, 1)})
    assert b"".join(answer)
    answer.close()
    assert traffic(client) == {"/crash": (1, 1)}


@pytest.mark.parametrize("propagate", [True, False])
def test_no_frame_of_ours_in_a_traceback(client: Any, propagate: bool) -> None:
    """What Flask logs or passes on shows the app and Flask only: frames of ours would cost more than the capture."""
    app = make()
    app.config["PROPAGATE_EXCEPTIONS"] = propagate
    seen: list[str] = []

    def log_exception(info: Any) -> None:
        entry = info[2]
        while entry is not None:
            seen.append(entry.tb_frame.f_globals["__name__"])
            entry = entry.tb_next

    app.log_exception = log_exception  # type: ignore[method-assign]
    setup_monitoring(app)
    try:
        app.test_client().get("/crash")
    except KeyError:
        assert propagate
    assert [record["record"] for record in client.records] == ["event"]
    assert not any(name.startswith("homeostasis") for name in seen)
