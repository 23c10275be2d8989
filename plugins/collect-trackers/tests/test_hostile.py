"""Reports of anybody: what cannot be read is refused or left out, and nothing fails."""

from __future__ import annotations

import gzip
import json
import urllib.error
import urllib.request

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostasis.collecting.events import EventMaker
from homeostasis.collecting.settings import CollectorTable
from homeostasis.monitoring.redaction import Redactor
from homeostasis_collect_http.endpoint import Refused, load_json
from homeostasis_collect_trackers import bugsnag, elastic_apm, honeybadger, rollbar

FRAME = {"filename": "/app/shop/cart.py", "lineno": 11, "method": "price", "code": 'return row["price"]'}
ITEM = {"data": {"body": {"trace": {"frames": [FRAME], "exception": {"class": "KeyError", "message": "'price'"}}}}}
ERROR = {
    "id": "e1",
    "exception": {
        "type": "KeyError",
        "message": "KeyError: 'price'",
        "stacktrace": [{"abs_path": "/app/shop/cart.py", "lineno": 11, "function": "price"}],
    },
}
NAMES = (
    "data", "body", "trace", "trace_chain", "frames", "exception", "class", "message", "filename", "lineno", "method", "code",
    "locals", "request", "url", "headers", "server", "events", "exceptions", "errorClass", "stacktrace", "file", "lineNumber",
    "projectRoot", "metaData", "context", "error", "backtrace", "causes", "number", "source", "cgi_data", "params", "type",
    "cause", "transaction", "duration", "sample_rate", "timestamp", "name", "result", "POST", "level",
)  # fmt: skip
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(("POST", "/x", "http://[")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=8),
    max_leaves=40,
)


def post(url, path, body, **headers):
    """Status of a call."""
    request = urllib.request.Request(url + path, body, headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@given(JSON)
@pytest.mark.parametrize("read", [rollbar.crashes_of, bugsnag.crashes_of, honeybadger.crashes_of])
def test_any_json_is_read_or_left(read, document):
    for crash in read(document, Redactor()):
        assert all(item.name for item in crash.chain)


@given(st.lists(JSON, min_size=1, max_size=4))
def test_any_stream_of_json_is_read_or_left(lines):
    body = b"\n".join(json.dumps(line).encode() for line in [{"metadata": {"service": {}}}, *lines])
    elastic_apm.read(body, Redactor())


def test_what_was_read_becomes_an_event(place):
    (crash,) = rollbar.crashes_of(ITEM, Redactor())
    event = EventMaker(place, CollectorTable(path_map={"/app": "."})).event(crash)
    assert event.crash_frame.qualname == "Cart.price"


@pytest.mark.parametrize("body", [b"", b"\n", b"{}", b"[1]", b'{"metadata": 1}', b"\xff\xfe", b"x" * 100])
def test_a_stream_without_metadata_is_refused(body):
    with pytest.raises(Refused):
        elastic_apm.read(body, Redactor())


def test_a_line_that_is_broken_costs_only_itself():
    lines = [b'{"metadata": {"service": {"name": "shop"}}}', b'{"error": ', json.dumps({"error": ERROR}).encode()]
    found = elastic_apm.read(b"\n".join(lines), Redactor())
    assert (len(found.crashes), found.unreadable, found.records) == (1, 1, 2)


def test_a_chain_of_causes_without_end_is_cut():
    (crash,) = elastic_apm.read(
        b'{"metadata": {"service": {}}}\n' + json.dumps({"error": {"exception": _deep(60)}}).encode(), Redactor()
    ).crashes
    assert len(crash.chain) == 50


@pytest.mark.parametrize(
    ("line", "relation"), [("raise CartError() from error", "cause"), ("raise CartError()", "context")]
)
def test_the_line_that_raised_tells_a_cause_from_a_context(line, relation):
    outer = {"frames": [{**FRAME, "code": line}], "exception": {"class": "CartError", "message": "no"}}
    item = {"data": {"body": {"trace_chain": [outer, ITEM["data"]["body"]["trace"]]}}}
    (crash,) = rollbar.crashes_of(item, Redactor())
    assert [(each.name, each.relation) for each in crash.chain] == [("KeyError", relation), ("CartError", None)]


def _deep(count):
    found = dict(ERROR["exception"])
    for _ in range(count):
        found = {**ERROR["exception"], "cause": [found]}
    return found


def test_a_sampled_transaction_stands_for_those_that_were_left_out():
    transaction = {"type": "request", "name": "GET /x", "duration": 30, "result": "HTTP 2xx", "sample_rate": 0.1}
    lines = [{"metadata": {"service": {"name": "shop"}}}, {"transaction": transaction}]
    (traffic,) = elastic_apm.read("\n".join(map(json.dumps, lines)).encode(), Redactor()).traffic
    assert (traffic.requests, traffic.errors, round(traffic.seconds, 3), sum(traffic.buckets)) == (10, 0, 0.3, 10)


@pytest.mark.parametrize(("rate", "requests"), [(5e-324, 1000), (0.0015, 667), (2, 1), (-1, 1)])
def test_no_transaction_stands_for_too_many(rate, requests):
    transaction = {"type": "request", "name": "GET /x", "duration": 30, "sample_rate": rate}
    lines = [{"metadata": {"service": {"name": "shop"}}}, {"transaction": transaction}]
    (traffic,) = elastic_apm.read("\n".join(map(json.dumps, lines)).encode(), Redactor()).traffic
    assert (traffic.requests, sum(traffic.buckets)) == (requests, requests)


def test_a_body_as_deep_as_is_read_costs_the_body_only():
    deep = load_json(b"[" * 1000 + b"]" * 1000)
    item = {"data": {**ITEM["data"], "request": {"method": "POST", "url": "/x", "body": deep}}}
    (crash,) = rollbar.crashes_of(item, Redactor())
    assert crash.request.path == "/x"


@pytest.mark.parametrize("told", [-1e300, 1e300, "2024-01-02T03:04:05.5", None])
def test_moments_are_of_this_age_or_unknown(told):
    item = {"data": {**ITEM["data"], "timestamp": told}}
    (crash,) = rollbar.crashes_of(item, Redactor())
    assert crash.moment == (1704164645.5 if isinstance(told, str) else None)


@pytest.mark.parametrize(
    ("path", "token"),
    [
        ("/api/1/item/", {"X-Rollbar-Access-Token": "k3y"}),
        ("/", {"Bugsnag-Api-Key": "k3y"}),
        ("/v1/notices/", {"X-Api-Key": "k3y"}),
        ("/intake/v2/events", {"Authorization": "Bearer k3y"}),
        ("/intake/v2/events", {"Authorization": "ApiKey k3y"}),
    ],
)
def test_only_who_has_a_token_is_heard(heard, monkeypatch, path, token):
    monkeypatch.setenv("TRACKER_TOKENS", "k3y")
    endpoint = heard(token_env="TRACKER_TOKENS")
    body = b'{"metadata": {"service": {}}}\n'
    assert post(endpoint.url, path, body) == 401
    assert post(endpoint.url, path, body, **{name: value + "x" for name, value in token.items()}) == 401
    assert post(endpoint.url, path, body, **token) < 300


def test_a_broken_report_is_a_clear_refusal(heard):
    endpoint = heard()
    assert post(endpoint.url, "/api/1/item/", b"{") == 400
    assert post(endpoint.url, "/api/1/item/", b"[" * 5000) == 400
    bomb = gzip.compress(b" " * 20_000_000)
    assert post(endpoint.url, "/intake/v2/events", bomb, **{"Content-Encoding": "gzip"}) == 413
    assert endpoint.sink.events == []
