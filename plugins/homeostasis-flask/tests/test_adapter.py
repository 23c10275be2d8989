from __future__ import annotations

import json
import logging
from typing import Any, Callable

import pytest
from flask import Blueprint, Flask, Response, abort, jsonify, request, stream_with_context

from homeostasis.models import Event, Request
from homeostasis.monitoring import adapters
from homeostasis_flask import adapter, setup_monitoring


def make_app(monitored: bool = True) -> Flask:
    app = Flask(__name__)
    app.logger.disabled = True
    shop = Blueprint("shop", __name__, url_prefix="/shop")

    @app.get("/ok/<name>")
    def ok(name: str) -> str:
        return f"hello {name}"

    @app.post("/orders/<int:number>")
    def order(number: int) -> Any:
        return jsonify({"price": {"apple": 3}[request.args["sku"]], "number": number})

    @shop.post("/unread")
    def unread() -> str:
        raise ValueError("not read")

    @app.get("/handled")
    def handled() -> str:
        raise LookupError("handled")

    @app.errorhandler(LookupError)
    def sorry(error: Exception) -> Any:
        return "sorry", 503

    @app.errorhandler(PermissionError)
    def refused(error: Exception) -> Any:
        return "no", 403

    @app.get("/refused")
    def refuse() -> str:
        raise PermissionError("x")

    @app.get("/abort/<int:code>")
    def stop(code: int) -> str:
        abort(code)

    @app.get("/stream")
    def stream() -> Response:
        @stream_with_context
        def generate() -> Any:
            yield "one"
            raise RuntimeError(request.path)

        return Response(generate())

    @app.get("/logged")
    def logged() -> str:
        try:
            return str(1 / 0)
        except ZeroDivisionError:
            logging.getLogger("shop.views").exception("it failed")
            return "fine"

    app.register_blueprint(shop)
    if monitored:
        setup_monitoring(app)
    return app


@pytest.fixture
def crash(client: Any) -> Callable[..., Event]:
    """Sends a request to the app and returns the one event that it made."""

    def send(method: str, url: str, **arguments: Any) -> Event:
        app = make_app()
        app.test_client().open(url, method=method, **arguments).get_data()
        (record,) = [record for record in client.records if record["record"] == "event"]
        return Event.model_validate_json(json.dumps(record))

    return send


def test_unhandled(crash: Callable[..., Event]) -> None:
    """A crash of a view carries its route and a request that can be sent again."""
    event = crash("POST", "/orders/7?sku=pear", json={"user": "ann", "password": "hunter2"}, headers={"X-A": "1"})
    assert event.raised.type == "LookupError" or event.raised.type == "KeyError"
    sent = event.request
    assert sent is not None
    assert (sent.method, sent.path, sent.query, sent.route) == ("POST", "/orders/7", "sku=pear", "/orders/<int:number>")
    assert (sent.framework, sent.interface) == ("flask", "wsgi")
    assert json.loads(sent.body) == {"user": "ann", "password": "[redacted]"}
    frame = event.crash_frame
    assert frame is not None
    assert frame.function == "order"
    assert frame.locals["number"].repr == "7"
    assert event.runtime.frameworks["flask"]


def test_blueprint_and_unread_body(crash: Callable[..., Event]) -> None:
    """A view of a blueprint that crashed before it read the body is reported with both."""
    event = crash("POST", "/shop/unread", data={"a": "1"})
    assert event.request is not None
    assert (event.request.route, event.request.status, event.request.body) == ("/shop/unread", 500, b"a=1")
    assert event.handled is False


def test_swallowed(crash: Callable[..., Event]) -> None:
    """An exception that an error handler turns into a 503 is captured as handled."""
    event = crash("GET", "/handled")
    assert event.handled
    assert event.request is not None
    assert (event.request.status, event.request.route) == (503, "/handled")


def test_abort_500(crash: Callable[..., Event]) -> None:
    """`abort(500)` is a crash that the app admits."""
    assert crash("GET", "/abort/500").handled


def test_logged(crash: Callable[..., Event]) -> None:
    """A logged traceback belongs to the request that was being answered."""
    event = crash("GET", "/logged")
    assert event.handled
    assert event.request is not None
    assert event.request.path == "/logged"


@pytest.mark.parametrize("url", ["/abort/404", "/abort/400", "/missing", "/refused", "/ok/ann"])
def test_meant_answers_are_no_crashes(client: Any, url: str) -> None:
    """Answers below 500, whoever made them, are no events."""
    make_app().test_client().get(url).get_data()
    assert [record for record in client.records if record["record"] == "event"] == []


def test_404_on_demand(client: Any) -> None:
    """With `capture_404` a missing page is an event."""
    app = make_app(monitored=False)
    setup_monitoring(app, config={"capture_404": True, "service": "shop"})
    from homeostasis.monitoring import client as clients

    app.test_client().get("/missing").get_data()
    assert [record["record"] for record in clients.current().records] == ["event"]


def test_streamed(client: Any) -> None:
    """An exception of a streamed answer is captured."""
    with pytest.raises(RuntimeError, match="/stream"):
        make_app().test_client().get("/stream").get_data()
    (record,) = [record for record in client.records if record["record"] == "event"]
    assert record["request"]["route"] == "/stream"


def test_debug_mode_passes_on(client: Any) -> None:
    """When Flask passes the exception on to the server, it is still one event."""
    app = make_app()
    app.testing = True
    with pytest.raises(ValueError, match="not read"):
        app.test_client().post("/shop/unread")
    assert [record["record"] for record in client.records] == ["event"]


def test_samples_and_traffic_by_route(client: Any) -> None:
    """Healthy requests are counted under their route, and a few are kept."""
    web = make_app().test_client()
    for name in "abcdefgh":
        web.get(f"/ok/{name}").get_data()
    web.get("/nowhere").get_data()
    client.flush()
    samples = [Request.model_validate(r["request"]) for r in client.records if r["record"] == "sample"]
    assert [(sample.route, sample.status) for sample in samples] == [("/ok/<name>", 200)] * 5
    traffic = {
        r["attributes"]["http.route"]: (r["count"], r["errors"]) for r in client.records if r["record"] == "traffic"
    }
    assert traffic == {"/ok/<name>": (8, 0), "(unmatched)": (1, 0)}


URLS = [
    ("GET", "/ok/ä"),
    ("POST", "/orders/1?sku=apple"),
    ("POST", "/orders/1"),
    ("POST", "/orders/1?sku=x"),
    ("POST", "/shop/unread"),
    ("GET", "/handled"),
    ("GET", "/abort/418"),
    ("GET", "/abort/500"),
    ("GET", "/missing"),
    ("PUT", "/ok/a"),
    ("HEAD", "/ok/a"),
    ("OPTIONS", "/ok/a"),
    ("GET", "/logged"),
]


@pytest.mark.parametrize(("method", "url"), URLS)
def test_answers_are_the_same(method: str, url: str) -> None:
    """Status, headers and body are the same with and without monitoring."""
    bare = make_app(monitored=False).test_client().open(url, method=method, data=b"a=1")
    seen = make_app().test_client().open(url, method=method, data=b"a=1")
    assert (seen.status, list(seen.headers), seen.get_data()) == (bare.status, list(bare.headers), bare.get_data())


def test_twice_is_once(client: Any) -> None:
    """Setting up again adds nothing: an event is one event, and a request counts once."""
    app = make_app()
    layer = app.wsgi_app
    setup_monitoring(app)
    assert app.wsgi_app is layer
    app.test_client().post("/shop/unread").get_data()
    client.flush()
    assert sum(r["count"] for r in client.records if r["record"] == "traffic") == 1


def test_subclasses_that_catch_everything(client: Any) -> None:
    """An app class with an error handler of its own for everything is seen through it."""

    class Own(Flask):
        def handle_user_exception(self, error: Any) -> Any:
            return Response("own", 500)

    app = Own(__name__)
    app.add_url_rule("/", "crash", lambda: 1 / 0)  # type: ignore[arg-type,return-value]
    setup_monitoring(app)
    assert app.test_client().get("/").get_data() == b"own"
    (record,) = [record for record in client.records if record["record"] == "event"]
    assert record["handled"]


def test_adapter_is_found() -> None:
    """The entry point of this package names the adapter, also for subclasses of Flask."""
    assert adapters.find(type("Own", (Flask,), {"__module__": "shop"})("x")) is adapter
