"""Spans of servers become requests, whichever words of the semantic conventions they use."""

from __future__ import annotations

import pytest

from homeostasis.testing.fakes import MemorySink
from homeostasis_collect_otlp.intake import Intake
from homeostasis_collect_otlp.messages import TRACES
from homeostasis_collect_otlp.requests import served
from homeostasis_collect_otlp.settings import CollectOtlpSettings

from .messages import HTTP, server, spans

OLD = {"http.method": "POST", "http.scheme": "https", "http.status_code": 500}


def request(found, scope="opentelemetry.instrumentation.asgi"):
    message = spans(server(attributes=found), scope=scope)
    span = message.resource_spans[0].scope_spans[0].spans[0]
    made = served(span, scope)
    return made and made.request()


def test_present_words():
    """Address, agent and the headers that were recorded are kept."""
    made = request(
        {
            **HTTP,
            "url.path": "/a%20b",
            "server.address": "shop.example",
            "server.port": 8080,
            "user_agent.original": "check/1",
            "http.request.header.content-type": ["application/json"],
            "http.request.body.size": 12,
        },
        "opentelemetry.instrumentation.fastapi",
    )
    assert (made.path, made.host, made.interface, made.framework) == ("/a b", "shop.example:8080", "asgi", "fastapi")
    assert made.headers == (("content-type", "application/json"), ("user-agent", "check/1"))
    assert made.body_truncated


@pytest.mark.parametrize(
    ("found", "path", "query"),
    [
        ({**OLD, "http.target": "/a?b=c"}, "/a", "b=c"),
        ({**OLD, "http.url": "https://shop.example/a?b=c"}, "/a", "b=c"),
        ({**OLD, "http.target": "/a", "http.url": "https://shop.example/other"}, "/a", ""),
        ({**OLD, "url.path": "/a?b=c"}, "/a", "b=c"),
        ({**OLD, "url.path": "/a", "url.query": "?b=c"}, "/a", "b=c"),
    ],
)
def test_old_words(found, path, query):
    made = request(found)
    assert (made.method, made.scheme, made.status) == ("POST", "https", 500)
    assert (made.path, made.query) == (path, query)
    assert not made.body_truncated


def test_old_names_of_headers():
    made = request({**OLD, "http.target": "/", "http.request.header.x_request_id": ["1", "2"]})
    assert made.headers == (("x-request-id", "1, 2"),)


@pytest.mark.parametrize(
    "found",
    [
        {"rpc.system": "grpc"},
        {"http.method": "GET"},
        {"http.method": "GET", "http.url": "http://[broken"},
        {"http.method": 5, "http.target": 7},
    ],
)
def test_what_is_no_request(found):
    assert not request(found)


def test_healthy_requests_are_kept(place):
    """Some of each route, all different, without secrets, and only such as a span tells whole."""

    def fine(path, **found):
        attributes = {**HTTP, "http.response.status_code": 200, "url.path": path, **found}
        return server(span_id=path.encode().ljust(8, b"-")[:8], attributes=attributes)

    intake, sink = Intake(place, CollectOtlpSettings()), MemorySink()
    message = spans(
        *(fine(f"/orders/{number // 2}") for number in range(40)),
        fine("/late", **{"http.route": "/late", "url.query": "token=hunter2hunter2&page=2"}),
        fine("/sent", **{"http.route": "/sent", "http.request.method": "POST"}),
        fine("/lost", **{"http.route": "/lost", "http.response.status_code": 404}),
    )
    for put in intake.take(TRACES, lambda: message).taken.others:
        put(sink)
    assert [(service, request.path) for service, request in sink.samples] == [
        *(("shop", f"/orders/{number}") for number in range(5)),
        ("shop", "/late"),
    ]
    query = sink.samples[-1][1].query
    assert query.endswith("&page=2")
    assert "hunter2" not in query


def test_a_method_that_is_not_known_by_name():
    assert request({**HTTP, "http.request.method": "_OTHER", "http.request.method_original": "PURGE"}).method == "PURGE"
