"""Our own records by HTTP: what an app on another machine wrote into its spool."""

from __future__ import annotations

import contextlib
import json

import pytest

from homeostasis.models import Request
from homeostasis.testing.builders import crash as crash_of
from homeostasis.testing.fakes import MemorySink
from homeostasis_collect_http.records import MAX_REASONS, PATH, receiver
from homeostasis_collect_http.settings import CollectHttpSettings

from .conftest import running
from .test_endpoint import post


@pytest.fixture
def sink():
    return MemorySink()


@pytest.fixture
def send(place, sink):
    """Posts records to a receiver and gives status and answer."""
    with contextlib.ExitStack() as stack:

        def start(*records, **settings):
            found = receiver(place, CollectHttpSettings(port=0, **settings))
            stack.enter_context(running(found, sink))
            body = b"".join(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in records)
            status, _, said = post(found.address, body, PATH)
            return status, said if status != 200 else json.loads(said)

        yield start


@pytest.fixture
def event(place):
    return crash_of(place, "import shop; shop.price({})")


def record_of(event):
    return {"record": "event", **event.model_dump(mode="json")}


def test_an_event_arrives_as_it_was_captured(send, sink, event):
    again = {"record": "recurrence", "fingerprint": event.fingerprint, "count": 3, "last_seen": event.timestamp}
    assert send(record_of(event), again) == (200, {"accepted": 2, "dropped": 0})
    assert sink.events == [event]
    assert sink.recurrences == [(event.fingerprint, 3, event.timestamp)]
    assert [(name, count) for name, count, _ in sink.heard_of] == [("http", 2)]


def test_paths_of_a_container_and_names_are_mapped(send, sink, event, place):
    text = json.dumps(record_of(event)).replace(str(place.root), "/app").encode() + b"\n"
    assert send(text, path_map={"/app": "."}, service="shop")[0] == 200
    assert sink.events[0].crash_frame.path == str(place.root / "shop.py")
    assert sink.events[0].service == "shop"
    assert sink.events[0].fingerprint == event.fingerprint


def test_secrets_that_the_app_did_not_take_out_do_not_stay(send, sink, event):
    secret = "AKIA" + "ABCDEFGHIJKLMNOP"
    raised = event.raised.model_copy(update={"message": f"password={secret}"})
    request = Request(query=f"token={secret}", body=f'{{"password": "{secret}"}}'.encode())
    leaky = event.model_copy(update={"exceptions": (raised, *event.exceptions[1:]), "request": request})
    sample = {"record": "sample", "service": "shop", "request": request.model_dump(mode="json")}
    assert send(record_of(leaky), sample)[0] == 200
    assert secret not in sink.events[0].model_dump_json()
    assert secret not in sink.samples[0][1].model_dump_json()
    assert secret not in json.dumps(sink.samples[0][1].body.decode())


def test_traffic_and_losses(send, sink):
    traffic = {
        "record": "traffic", "name": "http.server.request.duration", "unit": "s", "count": 4, "errors": 1, "at": 5.0, "sum": 2.0,
        "attributes": {"service.name": "shop", "http.route": "/a"}, "bucket_counts": [4] + [0] * 14,
    }  # fmt: skip
    assert send(traffic, {**traffic, "at": 5.9}, {"record": "lost", "reason": "spool full", "count": 7})[0] == 200
    assert sink.requests == [("shop", "/a", 8, 2, 5.0)]
    assert sink.durations[0] == (4.0, (8, *[0] * 14))
    assert sink.losses == [("spool full", 7)]


@pytest.mark.parametrize(
    "record",
    [
        {"record": "recurrence", "fingerprint": "\udc00", "count": 1, "last_seen": 1.0},
        {"record": "lost", "reason": "\udc00", "count": 1},
        {"record": "traffic", "name": "http.server.request.duration", "unit": "s", "count": 1, "errors": 0, "at": 5.0, "attributes": {"service.name": "\udc00", "http.route": "/"}},
        {"record": "traffic", "name": "http.server.request.duration", "unit": "s", "count": 1, "errors": 0, "at": 5.0, "attributes": {"service.name": "shop", "http.route": "/"}, "bucket_counts": [1]},
    ],
)  # fmt: skip
def test_what_the_ledger_cannot_hold_does_not_get_there(send, sink, event, record):
    """Else it would cost the batch, with what others sent."""
    assert send(record, record_of(event)) == (200, {"accepted": 1, "dropped": 1})
    assert len(sink.events) == 1
    assert sink.losses == [("unreadable record", 1)]


def test_a_bad_line_costs_itself_only(send, sink, event):
    assert send(b"{\n", b'{"record": "x"}\n', b"\xff\n", record_of(event)) == (200, {"accepted": 1, "dropped": 3})
    assert len(sink.events) == 1
    assert sink.losses == [("unreadable record", 3)]


@pytest.mark.parametrize("body", [b"", b"\n\n", b"{}\n", b"x" * 50 + b"\n"])
def test_what_holds_no_record_is_refused(send, body):
    assert send(body)[0] == 400


def test_senders_cannot_fill_the_ledger_with_reasons(send, sink):
    assert send(*[{"record": "lost", "reason": f"r{n}", "count": 1} for n in range(3 * MAX_REASONS)])[0] == 200
    assert len(sink.losses) == MAX_REASONS + 1
