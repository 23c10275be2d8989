"""Sentry's protocol without its SDK: what is answered, and that nothing which comes can do harm."""

from __future__ import annotations

import http.client
import json
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homeostasis.collecting.events import REPEATED, UNREADABLE, EventMaker
from homeostasis.collecting.fields import moment
from homeostasis.monitoring.redaction import Redactor
from homeostasis.testing.fakes import MemorySink
from homeostasis_collect_http.endpoint import Call, Refused, Taken
from homeostasis_collect_sentry.crashes import NO_EXCEPTION, NOT_PYTHON, Reader
from homeostasis_collect_sentry.envelopes import BROKEN, Envelope
from homeostasis_collect_sentry.receiver import UNREADABLE as NO_OBJECT
from homeostasis_collect_sentry.receiver import Handling
from homeostasis_collect_sentry.requests import CUT_BODY, MULTIPART, NO_BODY, request_of
from homeostasis_collect_sentry.settings import CollectSentrySettings
from homeostasis_collect_sentry.variables import variables

AUTH = "Sentry sentry_version=7, sentry_client=test/1, sentry_key={}"


def event(event_id="a" * 32, **fields):
    """An event with one exception in the project."""
    frame = {
        "abs_path": "/app/shop/cart.py",
        "lineno": 10,
        "function": "price",
        "context_line": '        return row["price"]',
    }
    value = {"type": "KeyError", "value": "'price'", "stacktrace": {"frames": [frame]}}
    return {"event_id": event_id, "platform": "python", "exception": {"values": [value]}, **fields}


def envelope(*items, **header):
    """An envelope as bytes; an item is a type with a payload."""
    lines = [json.dumps(header).encode()]
    for kind, payload in items:
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        lines += [json.dumps({"type": kind, "length": len(body)}).encode(), body]
    return b"\n".join(lines) + b"\n"


def send(dsn, body, path="envelope", query="", **headers):
    """Status, headers and answer."""
    place = dsn.rpartition("@")[2].partition("/")[0]
    client = http.client.HTTPConnection(place, timeout=10)
    try:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        client.request("POST", f"/api/42/{path}/{query}", body, sent)
        answer = client.getresponse()
        return answer.status, dict(answer.getheaders()), json.loads(answer.read())
    finally:
        client.close()


def test_an_envelope_is_answered_with_its_id(listen, sink):
    status, _, said = send(listen(), envelope(("event", event()), event_id="a" * 32))
    assert (status, said) == (200, {"id": "a" * 32})
    assert [found.raised.dotted for found in sink.events] == ["KeyError"]


def test_store(listen, sink):
    dsn = listen()
    assert send(dsn, json.dumps(event()), "store")[::2] == (200, {"id": "a" * 32})
    assert len(sink.events) == 1
    assert send(dsn, b"[]", "store")[0] == 400
    assert send(dsn, b"{", "store")[2]["detail"].startswith("no JSON")


def test_breadcrumbs_are_kept_without_secrets(listen, sink):
    crumbs = [
        {"timestamp": 1, "category": "shop", "level": "info", "message": f"step {number}"} for number in range(60)
    ]
    crumbs += [{"type": "http", "data": {"url": "/x", "reason": "password=hunter2", "deep": {}}}, 3, None]
    assert send(listen(), envelope(("event", event(breadcrumbs={"values": crumbs}))))[0] == 200
    kept = sink.events[0].breadcrumbs
    assert (len(kept), kept[0].message, kept[0].at, kept[0].category) == (50, "step 11", 1.0, "shop")
    assert (kept[-1].category, kept[-1].at) == ("http", None)
    assert kept[-1].message.startswith("url=/x reason=password=")
    assert "hunter2" not in kept[-1].message


def test_the_same_event_again_is_counted_as_such(listen, sink):
    dsn = listen()
    for _ in range(2):
        assert send(dsn, envelope(("event", event())))[0] == 200
    assert send(dsn, envelope(("event", event("b" * 32))))[0] == 200
    assert len(sink.events) == 2
    assert sink.losses == [(REPEATED, 1)]


def test_keys(listen, sink, monkeypatch):
    """The key is taken from where SDKs put it; without one that is accepted nothing is kept."""
    monkeypatch.setenv("SENTRY_KEYS", "good,other")
    dsn = listen(token_env="SENTRY_KEYS")
    body = envelope(("event", event()))
    assert send(dsn, body)[0] == 401
    assert send(dsn, body, x_sentry_auth=AUTH.format("bad"))[::2] == (
        401,
        {"detail": "the token is missing or not accepted"},
    )
    assert send(dsn, envelope(("event", event()), dsn="https://bad@host/1"))[0] == 401
    assert send(dsn, envelope(("event", event()), dsn=7))[0] == 401
    assert send(dsn, json.dumps(event()), "store")[0] == 401
    assert sink.events == []
    assert send(dsn, body, x_sentry_auth=AUTH.format("good"))[0] == 200
    assert send(dsn, body, authorization=AUTH.format("other"))[0] == 200
    assert send(dsn, body, query="?sentry_version=7&sentry_key=good")[0] == 200
    assert send(dsn, envelope(("event", event()), dsn="https://good@host/1"))[0] == 200


def test_when_there_is_too_much_sdks_are_told_as_they_expect(listen, monkeypatch):
    from homeostasis_collect_http import endpoint

    monkeypatch.setattr(endpoint, "MAX_HELD_BYTES", 10)
    status, headers, _ = send(listen(), envelope(("event", event())))
    assert (status, headers["retry-after"], headers["x-sentry-rate-limits"]) == (429, "1", "1::organization")


def test_other_items_are_acknowledged(listen, sink):
    """Sessions, check-ins, logs, attachments and what is to come are counted, and of no use here."""
    others = [(kind, {}) for kind in ("session", "sessions", "check_in", "log", "statsd", "unheard_of")]
    body = envelope(*others, ("attachment", b"\x00\n\xff\n"), ("event", event()))
    assert send(listen(), body)[0] == 200
    assert len(sink.events) == 1
    assert sink.losses == []
    assert [records for _, records, _ in sink.heard_of] == [8]


def test_what_the_sdk_dropped_is_counted(listen, sink):
    report = {
        "discarded_events": [
            {"reason": "ratelimit_backoff", "category": "error", "quantity": 3},
            {"reason": "before_send", "category": "error", "quantity": 5},
            {"reason": "queue_overflow", "category": "transaction", "quantity": 5},
            {"reason": "x", "category": "error", "quantity": "many"},
            7,
        ]
    }
    assert send(listen(), envelope(("client_report", report)))[0] == 200
    assert sink.losses == [("event that the Sentry SDK of the app dropped: ratelimit_backoff", 3)]


def test_a_broken_item_costs_no_neighbour_before_it(listen, sink):
    body = envelope(("event", event()), ("event", b"{"), ("event", b"[]"), ("event", event("b" * 32)))
    assert send(listen(), body + b'{"type": "event", "length": 500}\n{}')[0] == 200
    assert len(sink.events) == 2
    assert dict(sink.losses) == {NO_OBJECT: 2, BROKEN: 1}


@pytest.mark.parametrize("body", [b"", b"\n", b"[]\n", b"x", b"\xff\xfe\n{}"])
def test_what_is_no_envelope_is_a_400(listen, body):
    assert send(listen(), body)[0] == 400


def test_payloads_without_a_length_end_with_the_line():
    body = b'{}\n{"type":"event"}\n{"a":1}\n\n{"type":"session"}\n{}\n{"type":"empty","length":0}\n\n{"type":"last"}'
    found = Envelope(body)
    assert [tuple(item) for item in found.items()] == [
        ("event", b'{"a":1}'),
        ("session", b"{}"),
        ("empty", b""),
        ("last", b""),
    ]
    assert found.broken == 0


def test_events_without_a_crash_of_python(listen, sink):
    message = {"platform": "python", "message": "hello"}
    nameless = {"platform": "python", "exception": {"values": [{"value": "x"}]}}
    browser = event(platform="javascript")
    assert send(listen(), envelope(("event", message), ("event", nameless), ("event", browser)))[0] == 200
    assert sink.events == []
    assert dict(sink.losses) == {NO_EXCEPTION: 1, NOT_PYTHON: 1}


@pytest.fixture
def handling(place):
    return Handling(place, CollectSentrySettings(), None)


def test_transactions(handling):
    """Requests of the server count; what a client asked elsewhere, and what tells no end, does not."""
    now = time.time()

    def transaction(route, **fields):
        trace = {"op": "http.server", "status": "ok", **fields.pop("trace", {})}
        return {
            "transaction": route,
            "start_timestamp": now - 2.0,
            "timestamp": now,
            "contexts": {"trace": trace},
            **fields,
        }

    found = [
        transaction("/a"),
        transaction("/a", trace={"status": "internal_error"}),
        transaction("/a", tags={"http.status_code": "404"}),
        transaction("/secret/7", transaction_info={"source": "url"}),
        transaction("/b", timestamp="2026-01-02T03:04:05.5Z", start_timestamp="2026-01-02T03:04:05Z"),
        transaction("task", trace={"op": "queue.task"}),
        transaction("/c", trace={"status": "cancelled"}),
        transaction("/d", start_timestamp="soon"),
    ]
    taken = handling.envelope(Call("POST", "/", body=envelope(*[("transaction", each) for each in found])))
    counted = [(each.route, each.errors, round(each.seconds, 3)) for each in taken.traffic]
    assert counted == [("/a", 0, 2.0), ("/a", 1, 2.0), ("/a", 0, 2.0), ("(unmatched)", 0, 2.0), ("/b", 0, 0.5)]
    assert taken.traffic[4].at == 1767323045.5
    assert sum(taken.traffic[0].buckets) == 1


def request(**fields):
    return {"request": {"method": "POST", "url": "https://shop.example:8443/a%20b?x=1", "headers": {}, **fields}}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {"path": "/a b", "query": "x=1", "scheme": "https", "host": "shop.example:8443"}),
        ({"query_string": {"a": "1"}}, {"query": "a=1"}),
        ({"query_string": [["a", "1"], ["a", "2"]]}, {"query": "a=1&a=2"}),
        ({"query_string": "?a=1"}, {"query": "a=1"}),
        ({"headers": [["Accept", "x"], ["Authorization", "[Filtered]"]]}, {"headers": (("Accept", "x"), ("Authorization", "[redacted]"))}),
        ({"data": {"a": [1]}, "headers": {"content-type": "application/json", "Content-Length": "9"}}, {"body": b'{"a":[1]}', "headers": (("content-type", "application/json"),)}),
        ({"data": "[1]", "headers": {"content-type": "text/plain"}}, {"body": b"[1]"}),
        ({"data": {"a": ["1", "2"], "b": "[Filtered]"}, "headers": {"content-type": "application/x-www-form-urlencoded"}}, {"body": b"a=1&a=2&b=%5Bredacted%5D"}),
        ({"data": {"a": "1"}, "headers": {"content-type": "multipart/form-data; boundary=x"}}, {"body": b"", "body_truncated": True}),
        ({"headers": {"Content-Length": "7"}}, {"body": b"", "body_truncated": True}),
        ({"data": "x" * 5000, "headers": {"content-type": "text/plain"}}, {"body": b"x" * 1000, "body_truncated": True}),
    ],
)  # fmt: skip
def test_requests(fields, expected):
    found, _ = request_of(request(**fields), 1000)
    assert {name: getattr(found, name) for name in expected} == expected


def test_what_is_missing_of_a_request_is_named():
    form = {"content-type": "multipart/form-data"}
    cut = {"request": {"data": {"rows": {"": {"len": 50}}}}}
    hidden = {"request": {"data": {"password": {"": {"rem": [["!config", "s"]]}}}}}
    data = {"data": {"rows": [1]}, "headers": {"content-type": "application/json"}}
    assert request_of(request(headers={"content-length": "7"}), 99)[1] == [NO_BODY]
    assert request_of(request(data={"a": "1"}, headers=form), 99)[1] == [MULTIPART]
    assert request_of({**request(**data), "_meta": cut}, 99)[1] == [CUT_BODY]
    assert request_of({**request(**data), "_meta": hidden}, 99)[1] == []
    assert request_of({"request": {"url": "http://[bad"}}, 99) == (None, [])


@pytest.mark.parametrize(
    ("value", "fields"),
    [
        ("'tea'", {"type": "str", "literal": True}),
        ("3", {"type": "int", "repr": "3"}),
        ([], {"type": "list", "length": 0, "literal": False}),
        ([{"a": "<shop.cart.Cart object at 0x1>"}], {"type": "list", "length": 1, "repr": "[{'a': <shop.cart.Cart object at 0x1>}]"}),
        ({"a": "<object object at 0x1>", "b": "1"}, {"type": "dict", "length": 2, "keys": ["'a'", "'b'"]}),
        ({"a": "1"}, {"type": "dict", "length": 1, "keys": ["'a'"], "literal": False}),
        (["1"] * 10, {"type": "list", "length": None}),
        ("[Filtered]", {"repr": "[redacted]", "redacted": True}),
        ({"password": "[Filtered]"}, {"type": "dict", "repr": "{'password': '[redacted]'}"}),
        (None, {"type": "NoneType"}),
        (7, {"type": "int"}),
    ],
)  # fmt: skip
def test_variables(value, fields):
    found = variables({"name": value}, Redactor())["name"]
    assert {name: found.get(name) for name in fields} == fields


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1767323045.5, 1767323045.5),
        ("2026-01-02T03:04:05.500000Z", 1767323045.5),
        ("2026-01-02 03:04:05", 1767323045.0),
        ("2026-01-02T04:04:05+01:00", 1767323045.0),
        ("2026-13-02T04:04:05", None),
        ("9999-12-31T23:59:59-23:59", None),
        (float("inf"), None),
        (True, None),
        (-1, None),
        ([], None),
    ],
)
def test_moments(value, expected):
    assert moment(value) == expected


KEYS = ["exception", "values", "type", "value", "module", "stacktrace", "frames", "abs_path", "lineno", "function", "vars", "mechanism", "exception_id", "parent_id", "source", "request", "url", "method", "headers", "data", "query_string", "contexts", "trace", "op", "status", "timestamp", "start_timestamp", "transaction", "_meta", "rem", "len", "", "extra", "sys.argv", "modules", "flask", "discarded_events", "event_id", "content-type"]  # fmt: skip
STRINGS = ["shop/cart.py", "price", "KeyError", "builtins", "http.server", "http://x/y", "POST", "__cause__", "exceptions[0]", "application/json", "[Filtered]", "[[[[", "python"]  # fmt: skip
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 12) | st.floats(allow_nan=False) | st.text(max_size=8) | st.sampled_from(STRINGS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=6),
    max_leaves=25,
)  # fmt: skip


@st.composite
def mutated(draw):
    """An event in which some values were replaced by anything."""
    found = event(
        transaction="/a", start_timestamp=1.0, timestamp=2.0, contexts={"trace": {"op": "http.server", "status": "ok"}},
        request={"url": "http://x/y", "method": "POST", "headers": {"content-type": "application/json"}, "data": {"a": 1}},
    )  # fmt: skip
    values = found["exception"]["values"]
    values[0]["stacktrace"]["frames"][0]["vars"] = {"row": {}}
    values += [
        {"type": "E", "mechanism": {"exception_id": n, "parent_id": draw(st.integers(-1, 4)), "source": draw(st.sampled_from(["__cause__", "exceptions[0]", None]))}}
        for n in range(draw(st.integers(0, 4)))
    ]  # fmt: skip
    for _ in range(draw(st.integers(0, 3))):
        at = found
        while isinstance(at, (dict, list)) and at:
            key = draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at))))
            if draw(st.booleans()) or not isinstance(at[key], (dict, list)) or not at[key]:
                at[key] = draw(json_values)
                break
            at = at[key]
    return found


@given(
    found=mutated() | st.dictionaries(st.sampled_from(KEYS), json_values, max_size=6),
    kind=st.sampled_from(["event", "transaction", "client_report"]),
)
@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_any_event(place, handling, found, kind):
    """Whatever stands where, the item is read or counted, and an event that is made of it can be stored."""
    taken = handling.envelope(Call("POST", "/", body=envelope((kind, found))))
    assert set(taken.lost) <= {NO_EXCEPTION, NOT_PYTHON} or kind == "client_report"
    sink = MemorySink()
    EventMaker(place, CollectSentrySettings(recapture=0), "sentry").put(taken.crashes, sink)
    for put in taken.others:
        put(sink)
    assert UNREADABLE not in dict(sink.losses)
    for traffic in taken.traffic:
        sink.traffic(
            traffic.service,
            traffic.route,
            traffic.requests,
            traffic.errors,
            traffic.at,
            traffic.seconds,
            traffic.buckets,
        )


@given(
    data=st.lists(
        st.sampled_from(
            [
                b"{}",
                b"\n",
                b'{"type":"event"}',
                b'{"type":"event","length":3}',
                b'{"type":7}',
                b'{"length":-1,"type":"x"}',
                b"[",
                b"\xff",
            ]
        )
        | st.binary(max_size=9),
        max_size=20,
    )
)
@settings(max_examples=300, deadline=None)
def test_any_envelope(data):
    """Items are parts of the body, and their number is bounded."""
    body = b"".join(data)
    try:
        found = Envelope(body)
    except Refused:
        return
    assert all(item.payload in body for item in found.items())


def test_deep_json_is_read_or_refused_in_bounded_time(handling):
    deep = b'{"exception":{"values":[{"type":"E","stacktrace":{"frames":[{"abs_path":"shop/cart.py","lineno":1,"function":"f","vars":{"a":' + b"[" * 900 + b"]" * 900 + b"}}]}}]}}"  # fmt: skip
    taken = handling.envelope(Call("POST", "/", body=envelope(("event", deep))))
    assert isinstance(taken, Taken)
    for crash in taken.crashes:
        crash.complete(crash)
    reader = Reader(Redactor(), 1000)
    data = current = {}
    for _ in range(900):
        current["a"] = current = {}
    found = event(**request(data=data, headers={"content-type": "application/json"}))
    crash = reader.crash(found, json.dumps(found).encode(), None)
    crash.complete(crash)
