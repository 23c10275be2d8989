"""One exception is one crash with its request, whoever tells of it and whenever."""

from __future__ import annotations

import json
import os

import pytest

from homeostasis.collecting.events import EventMaker
from homeostasis_collect_otlp.intake import Intake
from homeostasis_collect_otlp.messages import LOGS, TRACES
from homeostasis_collect_otlp.settings import CollectOtlpSettings

from .messages import CHILD, HTTP, INNER, OUTER, SERVER, TRACE, child, log, logs, server, spans, stack, told

FULL = told(stack(OUTER, INNER))


class Receiver:
    """An intake whose time the test moves: `settle` is either over at once or never."""

    def __init__(self, place, **settings):
        self.place = place
        self.settings = CollectOtlpSettings(**{"settle": 60, "recapture": 0, **settings})
        self.maker = EventMaker(place, self.settings, "otlp")
        self.intake = Intake(place, self.settings)
        self.intake.restore()

    def take(self, message):
        """What is put at once: the events."""
        signal = next(each for each in (LOGS, TRACES) if isinstance(message, each.request))
        self.read = self.intake.take(signal, lambda: message)
        return [self.maker.event(crash) for crash in self.read.taken.crashes]

    def settled(self):
        """What has waited and is due."""
        due = self.intake.due()
        events = [self.maker.event(waiting.crash()) for waiting in due]
        self.intake.done(due)
        return events


@pytest.fixture
def receiver(place):
    return Receiver(place)


def test_the_span_of_the_server_has_the_request(receiver):
    """In one message: the exception of a part of the work, and the request that it belongs to."""
    (event,) = receiver.take(spans(child(events=[told()]), server()))
    request = event.request
    assert (request.method, request.path, request.query) == ("GET", "/orders/7", "full=yes")
    assert (request.route, request.status, request.framework) == ("/orders/<int:number>", 500, "flask")
    assert any("no body and no headers" in loss for loss in event.losses)
    assert (event.trace_id, event.span_id) == (TRACE.hex(), CHILD.hex())


def test_the_span_that_the_exception_left_last_tells_most(receiver):
    """Each span that an exception leaves records it with one more frame: it is one, and the longest counts."""
    (event,) = receiver.take(spans(child(events=[told()]), server(events=[FULL])))
    assert [frame.function for frame in event.raised.frames] == ["show", "price"]
    assert event.span_id == SERVER.hex()


def test_a_log_record_waits_for_the_request(receiver):
    """The record comes first; the span of the server ends its waiting."""
    assert receiver.take(logs(log())) == []
    assert receiver.settled() == []
    assert receiver.take(spans(server())) == []
    (event,) = receiver.settled()
    assert event.request.path == "/orders/7"
    assert event.source == "otlp:log"
    assert receiver.settled() == []


def test_a_log_record_and_a_span_are_one_occurrence(receiver):
    """In either order, and when the span is told with more frames."""
    assert receiver.take(logs(log())) == []
    assert receiver.take(spans(server(events=[FULL]))) == []
    (event,) = receiver.settled()
    assert len(event.raised.frames) == 2
    other = {"trace_id": b"u" * 16}
    (event,) = receiver.take(spans(server(events=[FULL], **other)))
    assert receiver.take(logs(log(**other))) == []
    assert receiver.settled() == []


def test_what_happens_twice_in_a_trace_is_counted_twice(receiver):
    """Two log records are two occurrences, although both have the same traceback."""
    receiver.take(logs(log(), log()))
    receiver.take(spans(server(events=[told(), told()])))
    assert len(receiver.settled()) == 2


def test_a_part_that_is_told_before_its_server(receiver):
    """The parent comes in a later message."""
    assert receiver.take(spans(child(events=[told()]))) == []
    receiver.take(spans(server()))
    assert [event.request.path for event in receiver.settled()] == ["/orders/7"]


@pytest.mark.parametrize("first", [{}, {"parent_span_id": b"r" * 8, "flags": 0x301, "kind": 5}])
def test_work_that_answers_no_request(first, receiver):
    """A script or the consumer of a queue: once its first span has come, no request is waited for."""
    job = {"trace_id": TRACE, "span_id": SERVER, "kind": 1, **first}
    assert receiver.take(logs(log(span_id=CHILD))) == []
    assert receiver.take(spans(child())) == []
    assert receiver.settled() == []
    receiver.take(spans(job))
    assert [event.request for event in receiver.settled()] == [None]
    assert len(receiver.take(logs(log(span_id=CHILD)))) == 1


def test_nearest_server_of_several_in_one_trace(receiver):
    """A service that calls itself has two requests in one trace: the parents tell which one it was."""
    inner = server(span_id=b"i" * 8, parent_span_id=CHILD, attributes={**HTTP, "url.path": "/inner"})
    (event,) = receiver.take(
        spans(child(span_id=b"d" * 8, parent_span_id=b"i" * 8, events=[told()]), inner, child(), server())
    )
    assert event.request.path == "/inner"


def test_another_process_of_the_trace_is_another_request(receiver):
    """The request of a service that was called is not that of the caller."""
    receiver.take(spans(server(), resource={"service.name": "front"}))
    assert receiver.take(logs(log())) == []
    assert receiver.settled() == []


@pytest.mark.parametrize("fields", [{"trace_id": b"", "span_id": b""}, {"flags": 0}])
def test_nothing_waits_without_a_trace_that_is_exported(fields, receiver):
    """There is no span to wait for."""
    (event,) = receiver.take(logs(log(**fields)))
    assert event.request is None
    assert any("no request" in loss for loss in event.losses)


def test_the_wait_is_bounded(place):
    """Without a span the crash is put when its time is over; and at once if nothing is to wait."""
    receiver = Receiver(place, settle=0.001)
    receiver.take(logs(log()))
    for _ in range(1000):
        events = receiver.settled()
        if events:
            break
    assert [event.request for event in events] == [None]
    assert len(Receiver(place, settle=0).take(logs(log()))) == 1


def test_what_was_sent_again_is_counted_as_that(receiver):
    """A message that the sender repeats is not a second occurrence, neither while it waits nor later."""
    message = logs(log())
    receiver.take(message)
    receiver.take(message)
    assert receiver.read.taken.lost == {"record that was sent again": 1}
    receiver.take(spans(server()))
    assert len(receiver.settled()) == 1
    receiver.take(message)
    assert receiver.read.taken.lost == {"record that was sent again": 1}


def test_what_waits_outlives_the_process(place, receiver):
    """It was acknowledged: the next process finds it, with all but the request, once."""
    receiver.take(logs(log(attributes={**FULL, "thread.name": "worker"}), log(trace_id=b"v" * 16)))
    receiver.take(spans(server(trace_id=b"v" * 16)))
    assert len(receiver.settled()) == 1
    second = Receiver(place)
    (event,) = second.settled()
    assert [frame.function for frame in event.raised.frames] == ["show", "price"]
    assert (event.trace_id, event.runtime.thread, event.service) == (TRACE.hex(), "worker", "shop")
    assert Receiver(place).settled() == []


def test_a_torn_journal_costs_its_torn_lines_only(place, receiver):
    """A process that is killed while it writes leaves half a line."""
    receiver.take(logs(log()))
    journal = place.state / "otlp-waiting.jsonl"
    whole = journal.read_text()
    journal.write_text('{"hold": 1, "of": 0\n{"done": 7}\n[]\n{"chain": 9}\nnull\n' + whole + '{"hold": 9, "of"')
    assert len(Receiver(place).settled()) == 1


def test_no_secret_waits_on_disk(place, receiver):
    """Messages, lines of source and arguments are searched before they are written."""
    secret = "hunter2hunter2"
    line = f'    connect(password="{secret}")\n'
    text = stack(INNER.splitlines(True)[0] + line, message=f"password={secret}")
    receiver.take(
        logs(
            log(attributes={**told(text, message=f"password={secret}"), "thread.name": f"token={secret}"}),
            resource={"process.command_args": ["serve", f"--password={secret}"]},
        )
    )
    journal = (place.state / "otlp-waiting.jsonl").read_text()
    assert "KeyError" in journal
    assert secret not in journal
    assert [json.loads(text) for text in journal.splitlines()]


def test_nothing_waits_on_a_full_disk(place, receiver, monkeypatch):
    """What cannot be kept is put at once, without its request."""

    def full(descriptor, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("homeostasis_collect_otlp.journal.os.write", full)
    assert len(receiver.take(logs(log()))) == 1
    assert receiver.settled() == []


def test_what_could_neither_wait_nor_be_written_may_be_sent_again(place, receiver, monkeypatch):
    """The sender was refused, so that the same message is no repetition."""

    def full(descriptor, data):
        raise OSError(28, "No space left on device")

    message = logs(log())
    with monkeypatch.context() as patch:
        patch.setattr("homeostasis_collect_otlp.journal.os.write", full)
        assert len(receiver.take(message)) == 1
    assert receiver.take(message) == []
    assert receiver.read.taken.lost == {}
    receiver.take(spans(server()))
    assert len(receiver.settled()) == 1


def test_a_clock_that_was_set_back(place, receiver, monkeypatch):
    """What waited has a later number than the next process begins with, and is found all the same."""
    receiver.take(logs(log()))
    monkeypatch.setattr("homeostasis_collect_otlp.correlation.time.time_ns", lambda: 1)
    assert len(Receiver(place).settled()) == 1


def test_zeros_are_no_ids(receiver):
    """A log record with them is in no trace; a span with them is refused."""
    zeros = {"trace_id": bytes(16), "span_id": bytes(8)}
    assert receiver.take(spans(server(**zeros), server(trace_id=bytes(16)), server(span_id=bytes(8)))) == []
    assert receiver.read.rejected == 3
    (event,) = receiver.take(logs(log(**zeros)))
    assert (event.request, event.trace_id) == (None, None)
    assert receiver.read.rejected == 0


def test_the_disk_has_room_again(place, receiver, monkeypatch):
    """What is written after a failure does not rely on what was not written."""
    write, left = os.write, [10]

    def little(descriptor, data):
        part = data[: left.pop()] if left else data
        return write(descriptor, part)

    monkeypatch.setattr("homeostasis_collect_otlp.journal.os.write", little)
    assert len(receiver.take(logs(log()))) == 1
    assert receiver.take(logs(log(trace_id=b"w" * 16))) == []
    assert [event.trace_id for event in Receiver(place).settled()] == [(b"w" * 16).hex()]


def test_providers_of_one_process_may_differ(receiver):
    """The log's resource has another instance than that of the spans: the service and the ids of spans tell."""
    receiver.take(logs(log(span_id=CHILD), resource={"service.name": "shop", "service.instance.id": "1"}))
    receiver.take(spans(child(), server(), resource={"service.name": "shop", "service.instance.id": "2"}))
    assert [event.request.path for event in receiver.settled()] == ["/orders/7"]


def test_one_crash_has_one_fingerprint_and_shares_nothing(receiver):
    """The same traceback is read once, and each event of it is the same."""
    first, second = receiver.take(logs(*({"attributes": told()} for _ in range(2))))
    assert first.fingerprint == second.fingerprint
    assert first.raised == second.raised
    assert first.raised.frames[0].path.startswith(str(receiver.place.root))
