"""What the real SDK reports becomes the event that the monitoring captures, less what is not there."""

from __future__ import annotations

import json
import sys

import pytest

HEAD = """
import json, sys
import sentry_sdk
sentry_sdk.init(**{"release": "shop@1.2.3", "server_name": "web-1", "default_integrations": True, **OPTIONS})
import shop.cart
"""
CAPTURED = """
from homeostasis.monitoring.capture import describe
found = []
for name in sys.argv[1:]:
    try:
        getattr(shop.cart, name)()
    except Exception as error:
        found.append(describe(error, project_root=ROOT, service="app"))
        sentry_sdk.capture_exception(error)
json.dump(found, open("captured.json", "w"), default=str)
"""
GROUPED = """


def several():
    found = []
    for work in (cause, plain):
        try:
            work()
        except Exception as error:
            found.append(error)
    try:
        raise ValueError("before")
    except ValueError as error:
        raise ExceptionGroup("many", [*found, ExceptionGroup("inner", [TypeError("deep")])]) from error
"""


def script(body, place, **options):
    return HEAD.replace("OPTIONS", repr(options)) + body.replace("ROOT", repr(str(place.root)))


def test_it_is_the_crash_that_the_monitoring_captures(place, sink, listen, run_app):
    """Fingerprint, types, messages, relations and frames are the same; what cannot be said is named."""
    names = ["plain", "cause", "context"]
    if sys.version_info >= (3, 11):
        names.append("several")
        cart = place.root / "shop" / "cart.py"
        cart.write_text(cart.read_text() + GROUPED)
    done = run_app(script(CAPTURED, place), listen(), *names)
    assert done.returncode == 0, done.stderr
    captured = json.loads((place.root / "captured.json").read_text())
    assert len(sink.events) == len(names)
    for event, expected in zip(sink.events, captured):
        assert event.source == "sentry:event"
        assert shapes(event.model_dump(mode="json")["exceptions"]) == shapes(expected["exceptions"])
        assert event.fingerprint == expected["fingerprint"]
        assert event.losses
        assert event.handled
        assert event.runtime.host == "web-1"
        assert event.runtime.python == sys.version.split()[0]


def shapes(exceptions):
    """What must agree of exceptions, whatever their order."""
    return sorted(shape(raised, exceptions) for raised in exceptions)


def shape(raised, others):
    frames = [
        (
            f["path"].rpartition("/")[2],
            f["function"],
            f["qualname"] or f["function"],
            f["span"]["line"],
            f["source_line"],
            f["in_app"],
        )
        for f in raised["frames"]
    ]
    name = (raised["module"], raised["type"], raised["type"] == "ExceptionGroup" or raised["message"])
    parent = raised.get("parent")
    return name, raised.get("relation", "raised"), "" if parent is None else others[parent]["type"], frames


def test_local_variables(place, sink, listen, run_app):
    """Types, lengths, keys and literals are there; secrets are not."""
    code = """
SECRET = "".join(["hun", "ter2"])
def work(rows, password, cart, many, name, nothing, pair, text):
    raise ValueError("no")
try:
    work([{"price": 3, "token": "abcdef"}], SECRET, shop.cart.Cart(), list(range(50)), "tea", None, (1, 2), "x" * 9000)
except ValueError as error:
    sentry_sdk.capture_exception(error)
"""
    assert run_app(script(code, place), listen()).returncode == 0
    (event,) = sink.events
    found = event.crash_frame.locals
    assert (found["rows"].type, found["rows"].length) == ("list", 1)
    assert "'price': 3" in found["rows"].repr
    assert "abcdef" not in event.model_dump_json()
    assert "hunter2" not in event.model_dump_json()
    assert found["password"].redacted
    assert (found["cart"].type, found["cart"].module) == ("Cart", "shop.cart")
    assert (found["many"].type, found["many"].length) == ("list", None)
    assert (found["name"].type, found["name"].repr, found["name"].literal) == ("str", "'tea'", True)
    assert found["nothing"].is_none
    assert found["pair"].type == "list"
    assert len(found["text"].repr) <= 4096
    assert event.crash_frame.arguments[:2] == ("rows", "password")


def test_loggers_threads_and_what_nobody_caught(place, sink, listen, run_app):
    code = """
import logging, threading
try:
    shop.cart.plain()
except KeyError:
    logging.getLogger("shop").exception("it failed")
logging.getLogger("shop").error("no exception here")
thread = threading.Thread(target=shop.cart.cause, name="worker one")
thread.start()
thread.join()
shop.cart.context()
"""
    run_app(script(code, place), listen())
    assert [event.raised.type for event in sink.events] == ["KeyError", "CartError", "CartError"]
    assert [event.handled for event in sink.events] == [True, False, False]
    assert sink.events[2].raised.message == "two\nlines"
    assert sink.events[2].command.argv == ("python", "main.py")
    assert sink.losses == []


FLASK = """
import flask
app = flask.Flask("shop")
@app.route("/orders/<int:number>", methods=["GET", "POST"])
def order(number):
    body = flask.request.get_json(silent=True) or dict(flask.request.form)
    return str(shop.cart.Cart().total([body]))
@app.get("/")
def hello():
    return "hello"
client = app.test_client()
client.get("/?page=2")
client.post("/orders/3?a=1&a=2", json={"name": "tea", "password": "hunter2"}, headers={"Authorization": "Bearer abcdefabcdef"})
client.post("/orders/4", data={"name": "tea", "size": ["1", "2"]})
client.post("/orders/5", data=b"{", content_type="application/octet-stream")
client.get("/nowhere")
"""
FASTAPI = """
import fastapi
from starlette.testclient import TestClient
app = fastapi.FastAPI()
@app.post("/orders/{number}")
async def order(number: int, body: dict):
    return shop.cart.Cart().total([body])
client = TestClient(app, raise_server_exceptions=False)
client.post("/orders/3?a=1", json={"name": "tea"})
"""


def test_a_flask_app(place, sink, listen, run_app):
    """The request can be sent again; transactions are traffic, and healthy requests are kept for comparison."""
    done = run_app(script(FLASK, place, traces_sample_rate=1.0), listen())
    assert done.returncode == 0, done.stderr
    json_call, form, raw = (event.request for event in sink.events)
    assert (json_call.method, json_call.path, json_call.query) == ("POST", "/orders/3", "a=1&a=2")
    assert (json_call.framework, json_call.interface, json_call.host) == ("flask", "wsgi", "localhost")
    assert json.loads(json_call.body) == {"name": "tea", "password": "[redacted]"}
    assert ("Content-Type", "application/json") in json_call.headers
    assert form.body == b"name=tea&size=1"  # what the SDK keeps of a field that was sent twice
    assert raw.body_truncated
    assert [event.crash_frame.qualname for event in sink.events] == ["Cart.price"] * 3
    text = "".join(event.model_dump_json() for event in sink.events)
    assert "hunter2" not in text
    assert "abcdefabcdef" not in text
    counted = [(route, requests, errors) for _, route, requests, errors, _ in sink.requests]
    assert (counted.count(("hello", 1, 0)), counted.count(("order", 1, 1))) == (1, 3)
    assert {request.path: (request.status, request.query) for _, request in sink.samples} == {"/": (200, "page=2")}


def test_a_fastapi_app(place, sink, listen, run_app):
    done = run_app(script(FASTAPI, place, traces_sample_rate=1.0), listen())
    assert done.returncode == 0, done.stderr
    (event,) = sink.events
    request = event.request
    assert (request.method, request.path, request.query, json.loads(request.body)) == (
        "POST",
        "/orders/3",
        "a=1",
        {"name": "tea"},
    )
    assert (request.framework, request.interface, request.route) == ("fastapi", "asgi", "/orders/{number}")
    assert event.crash_frame.qualname == "Cart.price"
    assert event.trace_id
    assert event.span_id
    assert [(route, requests, errors) for _, route, requests, errors, _ in sink.requests] == [
        ("/orders/{number}", 1, 1)
    ]


def test_the_release_names_the_revision(place, sink, listen, run_app):
    """Frames are looked up in the commit that ran, also if the file has changed since."""
    import subprocess

    def git(*words):
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words],
            cwd=place.root,
            check=True,
            capture_output=True,
        )

    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "one")
    git("tag", "v1.2.3")
    code = script(
        "try:\n    shop.cart.plain()\nexcept KeyError as error:\n    sentry_sdk.capture_exception(error)\n", place
    )
    cart = place.root / "shop" / "cart.py"
    dsn = listen()
    run_app(code + f"\nopen({str(cart)!r}, 'w').write('# new\\n' * 3 + {cart.read_text()!r})\n", dsn)
    (event,) = sink.events
    assert event.crash_frame.qualname == "Cart.price"
    assert not any("not what it was" in loss for loss in event.losses)


@pytest.mark.parametrize("compressed", [0, 9])
def test_bodies_as_the_sdk_compresses_them(place, sink, listen, run_app, compressed):
    """gzip, and none; brotli is what it uses by itself where it is installed."""
    options = {"_experiments": {"transport_compression_level": compressed, "transport_compression_algo": "gzip"}}
    run_app(script("sentry_sdk.capture_exception(ValueError('x'))\nshop.cart.plain()\n", place, **options), listen())
    assert [event.raised.type for event in sink.events] == ["KeyError"]
