"""Every place of a Flask app in which an exception can happen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Callable

import pytest
from flask import Blueprint, Flask, abort, got_request_exception, request
from werkzeug.exceptions import ClientDisconnected, HTTPException

from homeostasis.models import Event
from homeostasis_flask import capture_exception, setup_monitoring


def crash(*_: Any, **__: Any) -> Any:
    raise ValueError("here")


@pytest.fixture
def events(client: Any) -> Callable[[], list[Event]]:
    """The events so far."""
    return lambda: [Event.model_validate_json(json.dumps(r)) for r in client.records if r["record"] == "event"]


@pytest.fixture
def app() -> Flask:
    """A monitored app without routes."""
    made = Flask(__name__)
    made.logger.disabled = True
    setup_monitoring(made)
    return made


def test_nested_blueprints(app: Flask, events: Any) -> None:
    """A view of a blueprint within a blueprint crashes with its whole route."""
    outer, inner = Blueprint("outer", __name__, url_prefix="/outer"), Blueprint("inner", __name__, url_prefix="/inner")
    inner.get("/<int:number>")(crash)
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    assert app.test_client().get("/outer/inner/7").status_code == 500
    (event,) = events()
    assert (event.request.route, event.handled) == ("/outer/inner/<int:number>", False)


def test_handler_of_a_blueprint(app: Flask, events: Any) -> None:
    """What the error handler of a blueprint turns into a 500 is captured, into a 409 not."""
    shop = Blueprint("shop", __name__)
    shop.get("/crash")(crash)
    shop.errorhandler(ValueError)(lambda error: ("sorry", int(request.args["status"])))
    app.register_blueprint(shop)
    web = app.test_client()
    assert web.get("/crash?status=409").status_code == 409
    assert events() == []
    assert web.get("/crash?status=500").data == b"sorry"
    (event,) = events()
    assert (event.raised.type, event.handled, event.request.status) == ("ValueError", True, 500)


@pytest.mark.parametrize("caught", [500, Exception, HTTPException])
def test_handlers_of_everything(app: Flask, events: Any, caught: Any) -> None:
    """Handlers of 500 and of Exception see the crash, and so do we, once."""
    app.get("/crash")(crash)
    app.errorhandler(caught)(lambda error: ("own page", 500))
    assert app.test_client().get("/crash").status_code == 500
    assert [event.raised.type for event in events()] == ["ValueError"]


@pytest.mark.parametrize("hook", ["before_request", "after_request", "url_value_preprocessor", "context_processor"])
def test_hooks_of_the_app(app: Flask, events: Any, hook: str) -> None:
    """Functions around the views crash as views do."""
    from flask import render_template_string

    getattr(app, hook)(crash)
    app.get("/")(lambda: render_template_string("x"))
    assert app.test_client().get("/").status_code == 500
    (event,) = events()
    assert event.request.path == "/"
    assert event.crash_frame.function == "crash"


def test_template(app: Flask, events: Any) -> None:
    """A crash within a template carries the view that rendered it."""
    from flask import render_template_string

    @app.get("/")
    def view() -> str:
        return render_template_string("{{ order.customer.name }}", order=None)

    assert app.test_client().get("/").status_code == 500
    (event,) = events()
    assert event.raised.type == "UndefinedError"
    assert "view" in [frame.function for frame in event.raised.frames]


def test_signal_sent_by_others(app: Flask, events: Any) -> None:
    """An extension that sends `got_request_exception` itself reports through it."""
    with app.app_context():
        got_request_exception.send(app, exception=ValueError("sent"))
    assert [event.raised.message for event in events()] == ["sent"]


def test_thread_of_a_view(app: Flask, events: Any) -> None:
    """A thread that a view has begun is captured by itself."""

    @app.get("/")
    def view() -> str:
        thread = threading.Thread(target=crash)
        thread.start()
        thread.join()
        return "fine"

    with _quiet_threads():
        assert app.test_client().get("/").data == b"fine"
    (event,) = events()
    assert (event.raised.type, event.request, event.handled) == ("ValueError", None, False)


class _quiet_threads:
    """pytest turns exceptions of threads into warnings; here they are what is tested."""

    def __enter__(self) -> None:
        from homeostasis.autostart import escapes

        self.before = threading.excepthook
        threading.excepthook = lambda arguments: escapes.uncaught(arguments.exc_value)

    def __exit__(self, *_: object) -> None:
        threading.excepthook = self.before


def test_reported_by_the_app(app: Flask, events: Any) -> None:
    """`capture_exception` in a view belongs to its request."""

    @app.get("/own")
    def view() -> str:
        try:
            crash()
        except ValueError as error:
            assert capture_exception(error)
        return "fine"

    assert app.test_client().get("/own").data == b"fine"
    (event,) = events()
    assert (event.handled, event.request.path) == (True, "/own")


def test_teardown(app: Flask, events: Any) -> None:
    """A teardown that fails escapes from Flask itself, past its handlers."""
    app.teardown_request(crash)
    app.get("/")(lambda: "fine")
    with pytest.raises(ValueError, match="here"):
        app.test_client().get("/")
    assert [event.raised.type for event in events()] == ["ValueError"]


def test_command(tmp_path: Path) -> None:
    """A command of `flask` that crashes is an event with its command line, and ends as it did."""
    (tmp_path / "pyproject.toml").write_text("[tool.homeostasis]\nservice = 'shop'\n")
    (tmp_path / "shop.py").write_text(
        "from flask import Flask\nfrom homeostasis.monitoring import setup_monitoring\napp = Flask(__name__)\n"
        "setup_monitoring(app)\n@app.cli.command('prices')\ndef prices():\n    return {}['tea']\n"
    )
    environ = {key: value for key, value in os.environ.items() if not key.startswith("HOMEOSTASIS_")}
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "shop", "prices"],
        cwd=tmp_path,
        env={**environ, "HOMEOSTASIS_STRICT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "KeyError: 'tea'" in done.stderr
    (file,) = (tmp_path / ".homeostasis" / "spool").glob("*.jsonl")
    event = Event.model_validate_json(file.read_text().splitlines()[0])
    assert event.crash_frame.function == "prices"
    assert event.runtime.argv[-1] == "prices"


EXPECTED: dict[str, Callable[[], Any]] = {
    "abort 400": lambda: abort(400),
    "abort 404": lambda: abort(404),
    "abort 413": lambda: abort(413),
    "missing form field": lambda: request.form["missing"],
    "JSON that is none": lambda: request.get_json(force=True),
    "client gone": lambda: (_ for _ in ()).throw(ClientDisconnected()),
    "redirect": lambda: (_ for _ in ()).throw(__import__("werkzeug.routing", fromlist=["x"]).RequestRedirect("/x")),
}


@pytest.mark.parametrize("kind", EXPECTED)
def test_expected(app: Flask, events: Any, kind: str) -> None:
    """Answers that the app means to give, invalid requests and clients that leave are no incidents."""
    app.post("/", endpoint="view")(EXPECTED[kind])
    assert app.test_client().post("/", data=b"{").status_code < 500
    assert events() == []


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_ends_pass_through(app: Flask, events: Any, kind: type[BaseException]) -> None:
    """An interrupt or exit within a view reaches the server and is no incident."""

    @app.get("/")
    def view() -> str:
        raise kind

    with pytest.raises(kind):
        app.test_client().get("/")
    assert events() == []


def test_other_base_exceptions(app: Flask, events: Any) -> None:
    """A BaseException of the app's own reaches the server, and is captured."""

    class Own(BaseException):
        pass

    @app.get("/")
    def view() -> str:
        raise Own

    with pytest.raises(Own):
        app.test_client().get("/")
    assert [event.raised.type for event in events()] == ["test_other_base_exceptions.<locals>.Own"]
