"""The request is taken from a log where the log names it for certain, and nowhere else."""

from __future__ import annotations

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostasis_collect_logs.asked import flask_request, request_of

CRASH = (
    'Traceback (most recent call last):\n  File "shop/cart.py", line 10, in price\n    return row["price"]\nKeyError: 1'
)


def told(event):
    request = event.request
    return None if request is None else (request.method, request.path, request.query, request.framework)


@pytest.mark.parametrize(
    "before",
    [
        "[2026-01-02 03:04:05,123] ERROR in app: Exception on /orders/3 [GET]",
        "ERROR:shop:Exception on /orders/3 [GET]",
        "web-1  | ERROR shop Exception on /orders/3 [GET]",
    ],
)
def test_flask_names_it(before, events_in):
    """Its own line, right before the traceback."""
    prefix = "web-1  | " if before.startswith("web") else ""
    (event,) = events_in(f"INFO x\n{before}\n" + "".join(f"{prefix}{line}\n" for line in CRASH.split("\n")))
    assert told(event) == ("GET", "/orders/3", "", "flask")
    assert event.losses[0].startswith("no local variables, and of the request only its line")


def test_flask_itself(events_in):
    """What Flask logs of a request with a query and characters beyond ASCII, and what it logs in JSON."""
    flask = pytest.importorskip("flask")
    from pythonjsonlogger.json import JsonFormatter

    written = []

    class Handler(logging.Handler):
        def emit(self, record):
            written.append(self.format(record))

    app = flask.Flask("shop")

    @app.route("/orders/<name>", methods=["GET", "POST"])
    def orders(name):
        raise KeyError(name)

    for formatter in (logging.Formatter("%(levelname)s %(message)s"), JsonFormatter()):
        handler = Handler()
        handler.setFormatter(formatter)
        app.logger.handlers = [handler]
        app.test_client().post("/orders/Zürich%20[GET]?x=1")
    for text in written:
        found = events_in(text.replace(__file__, "shop/cart.py") + "\n")[0]
        assert told(found) == ("POST", "/orders/Zürich [GET]", "", "flask")


RECORDS = {
    "ecs": ({"http": {"request": {"method": "post"}}, "url": {"path": "/a b", "query": "x=1"}}, ("POST", "/a b", "x=1", None)),
    "ecs flat": ({"http.request.method": "GET", "url.original": "/a%20b?x=1"}, ("GET", "/a b", "x=1", None)),
    "opentelemetry": ({"http.method": "GET", "http.target": "/a?x=1"}, ("GET", "/a", "x=1", None)),
    "google": ({"httpRequest": {"requestMethod": "GET", "requestUrl": "https://shop.example/a?x=1"}}, ("GET", "/a", "x=1", None)),
    "structlog": ({"method": "DELETE", "path": "/a"}, ("DELETE", "/a", "", None)),
    "django": ({"request": "<WSGIRequest: GET '/a?x=1'>"}, ("GET", "/a", "x=1", None)),
    "django-structlog": ({"request": "PUT /a"}, ("PUT", "/a", "", None)),
    "an unknown method": ({"method": "BREW", "path": "/a"}, None),
    "too long": ({"method": "GET", "path": "/" + "a" * 5000}, None),
    "too long a query": ({"http.request.method": "GET", "url.path": "/a", "url.query": "a" * 5000}, None),
    "a host, or a path with an empty first part": ({"method": "GET", "path": "//a/b"}, None),
    "no path": ({"method": "GET", "path": "a"}, None),
    "a call of another service": ({"method": "GET", "url": "https://other.example/a"}, None),
    "numbers": ({"method": 1, "path": 2, "request": 3, "message": 4}, None),
}  # fmt: skip


@pytest.mark.parametrize("name", RECORDS)
def test_fields_of_records(name, events_in):
    """Method and target, of the names that are in use."""
    fields, expected = RECORDS[name]
    (event,) = events_in(json.dumps({"exc_info": CRASH, **fields}) + "\n")
    assert told(event) == expected


@pytest.mark.parametrize(
    "line",
    [
        '127.0.0.1 - - [02/Jan/2026 03:04:05] "GET /orders/3 HTTP/1.1" 500 -',
        'INFO:     127.0.0.1:5 - "GET /orders/3 HTTP/1.1" 500 Internal Server Error',
        "ERROR:    Exception in ASGI application",
        "Internal Server Error: /orders/3",
        "ERROR in app: Exception on orders [GET]",
        "ERROR in app: Exception on /orders/3 [GET] x",
    ],
)
def test_nothing_is_guessed(line, events_in):
    """An access line beside a traceback may be of another request, and one without a method is not enough."""
    (event,) = events_in(f"{line}\n{CRASH}\n{line}\n")
    assert event.request is None
    assert event.losses[0].startswith("no request")


def test_secrets_of_the_query_are_taken_out(events_in):
    """As for any request that is recorded."""
    record = {"exc_info": CRASH, "http.method": "GET", "http.target": "/a?token=abcdefghijklmnop&x=1"}
    (event,) = events_in(json.dumps(record) + "\n")
    assert "abcdefghijklmnop" not in event.model_dump_json()
    assert "x=1" in event.request.query


@given(line=st.text(max_size=60) | st.text(max_size=20).map(lambda text: f"Exception on /{text} [GET]"))
def test_any_line(line):
    """Nothing is raised."""
    flask_request(line)
    request_of(
        {"message": line, "request": line, "method": "GET", "path": line, "http.method": line, "http.target": line}
    )
