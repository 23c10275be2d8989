"""Nothing that is sent breaks the receiver: it is read, or it is no message."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homeostasis.collecting.events import EventMaker
from homeostasis.testing.fakes import MemorySink
from homeostasis_collect_otlp.intake import MAX_RECORDS, Intake
from homeostasis_collect_otlp.messages import LOGS, METRICS, SIGNALS, TRACES, Unreadable
from homeostasis_collect_otlp.settings import CollectOtlpSettings

from .messages import HTTP, INNER, OUTER, PYTHON, child, histogram, log, logs, server, spans, stack, told

SEEDS = {
    "logs": logs(log(attributes=told(stack(OUTER, INNER))), log(trace_id=b"", span_id=b"", body=stack(INNER))),
    "traces": spans(child(events=[told()]), server(events=[told(stack(OUTER, INNER))])),
    "metrics": histogram({"count": 2, "sum": 1.0, "bucket_counts": [1, 1], "explicit_bounds": [0.5]}),
}
QUICK = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
NAMES = [
    *("resourceLogs", "scopeLogs", "logRecords", "resourceSpans", "scopeSpans", "spans", "resourceMetrics"),
    *("scopeMetrics", "metrics", "resource", "attributes", "key", "value", "stringValue", "intValue", "arrayValue"),
    *(
        "values",
        "events",
        "name",
        "traceId",
        "spanId",
        "parentSpanId",
        "timeUnixNano",
        "kind",
        "histogram",
        "dataPoints",
    ),
    *("bucketCounts", "explicitBounds", "exponentialHistogram", "positive", "exemplars", "body", "links", "flags"),
]
PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(-(1 << 70), 1 << 70), st.floats(), st.text(max_size=20),
    st.sampled_from(["exception.type", "exception.stacktrace", "exception", "http.route", "0" * 32, "0" * 16, stack(INNER)]),
)  # fmt: skip
DOCUMENTS = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=25,
)


@pytest.fixture
def read(place):
    """Reads a message and makes events of what it holds."""
    table = CollectOtlpSettings(settle=0, traffic="metrics")
    intake, maker, sink = Intake(place, table), EventMaker(place, table, "otlp"), MemorySink()

    def take(signal, decode):
        try:
            taken, _ = intake.take(signal, decode)
        except Unreadable:
            return None
        maker.put(taken.crashes, sink)
        for put in taken.others:
            put(sink)
        for each in taken.traffic:
            sink.traffic(each.service, each.route, each.requests, each.errors, each.at, each.seconds, each.buckets)
        assert not any("could not be made" in reason for reason, _ in sink.losses)
        return taken

    return take


@QUICK
@given(signal=st.sampled_from(SIGNALS), data=st.data())
def test_broken_protobuf(read, signal, data):
    """Bytes of a message that were changed, cut off or doubled."""
    body = bytearray(SEEDS[signal.name].SerializeToString())
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(body) - 1)) if body else 0
        change = data.draw(st.sampled_from(["set", "cut", "insert", "drop"]))
        if change == "set" and body:
            body[place] = data.draw(st.integers(0, 255))
        elif change == "cut":
            del body[place:]
        elif change == "insert":
            body[place:place] = data.draw(st.binary(max_size=8))
        else:
            del body[place : place + 3]
    read(signal, lambda: signal.from_protobuf(bytes(body)))


@QUICK
@given(signal=st.sampled_from(SIGNALS), document=DOCUMENTS)
def test_any_json(read, signal, document):
    """JSON of any shape with names that mean something."""
    top = {"logs": "resourceLogs", "traces": "resourceSpans", "metrics": "resourceMetrics"}[signal.name]
    read(signal, lambda: signal.from_json({top: document} if not isinstance(document, dict) else document))


@QUICK
@given(
    text=st.text(max_size=60),
    values=st.dictionaries(st.sampled_from(sorted(HTTP)), st.text(max_size=20) | st.integers(0, 600)),
)
def test_any_value_of_an_attribute(read, text, values):
    """Texts and numbers where others are expected."""
    wanted = {"exception.type": text, "exception.message": text, "exception.stacktrace": stack(INNER) + text}
    resource = {**PYTHON, "service.name": text, "process.command_args": [text], "service.version": text}
    message = spans(server(events=[wanted], attributes={**HTTP, **values}), resource=resource)
    assert read(TRACES, lambda: message) is not None


def test_more_records_than_are_read(read):
    """The rest of a message is refused and counted."""
    message = LOGS.request()
    for _ in range(MAX_RECORDS + 5):
        message.resource_logs.add().scope_logs.add().log_records.add()
    taken = read(LOGS, lambda: message)
    assert taken.records == MAX_RECORDS
    assert list(taken.lost.values()) == [5]


def test_a_traceback_without_its_end(read):
    """Its last frames are missing, so that it would blame the wrong one: dropped, with what to set."""
    whole = stack(OUTER, INNER)
    cut = [whole[:length] for length in (60, 100, len(whole) - 15)]
    for message in (
        logs(*(log(attributes=told(text)) for text in cut)),
        spans(child(events=[told(text) for text in cut])),
    ):
        signal = LOGS if isinstance(message, LOGS.request) else TRACES
        taken = read(signal, lambda message=message: message)
        assert taken.crashes == []
        ((reason, count),) = taken.lost.items()
        assert (count, "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT" in reason) == (3, True)


def test_other_languages_are_left_alone(read):
    """Their stack traces are no tracebacks; they are counted."""
    message = logs(log(), log(attributes={}), resource={"telemetry.sdk.language": "java"})
    taken = read(LOGS, lambda: message)
    assert taken.crashes == []
    assert list(taken.lost.values()) == [1]


def test_the_site_of_the_log_call_is_not_the_raise_site(read):
    """`code.*` says where it was logged."""
    where = {"code.file.path": "/app/shop/views.py", "code.line.number": 99, "code.function.name": "handler"}
    (crash,) = read(LOGS, lambda: logs(log(attributes={**told(), **where}))).crashes
    assert [(frame.path, frame.line) for frame in crash.chain[-1].frames] == [("/app/shop/cart.py", 10)]


def test_one_trace_does_not_take_all_the_time(place, monkeypatch):
    """Of one trace a few crashes wait; the others are put without their request."""
    monkeypatch.setattr("homeostasis_collect_otlp.correlation.MAX_WAITING_IN_TRACE", 3)
    intake = Intake(place, CollectOtlpSettings())
    crashes = intake.take(LOGS, lambda: logs(*(log() for _ in range(5)), log(trace_id=b"o" * 16))).taken.crashes
    assert (len(crashes), len(intake._correlation._waiting)) == (2, 4)


def test_texts_are_bounded(place, monkeypatch):
    """What is remembered of long texts is short, or soon forgotten."""
    monkeypatch.setattr("homeostasis_collect_otlp.traces.MAX_CHARACTERS", 100_000)
    monkeypatch.setattr("homeostasis_collect_otlp.correlation.MAX_TELLERS", 5)
    intake = Intake(place, CollectOtlpSettings(traffic="metrics"))
    resource = dict.fromkeys(
        ("service.name", "service.instance.id", "host.name", "telemetry.sdk.version"), "x" * 50_000
    )
    for number in range(1, 21):
        ids = {"trace_id": bytes([number]) * 16, "attributes": {**HTTP, "url.path": "/" * 50_000}}
        intake.take(TRACES, lambda: spans(server(**ids), server(**ids), resource=resource))  # noqa: B023
        told_again = child(span_id=bytes([number]) * 8, events=[told()])
        intake.take(TRACES, lambda: spans(told_again))  # noqa: B023
    correlation = intake._correlation
    traces = correlation.traces
    kept = [span.characters for trace in traces._traces.values() for span in trace.servers.values()]
    assert 50_000 < sum(kept) == traces._characters <= 100_000
    assert [len(tellers) for tellers in correlation._told.values()] == [5]
    assert not any(len(key) > 20_000 for key in intake._origins._known)
    assert all(len(str(peers)) < 1_000 for peers, _ in traces._traces)


def test_memory_is_bounded(place, monkeypatch):
    """Traces, waiting crashes, streams and resources are bounded, however many come."""
    monkeypatch.setattr("homeostasis_collect_otlp.traces.MAX_SPANS", 100)
    monkeypatch.setattr("homeostasis_collect_otlp.correlation.MAX_WAITING", 50)
    monkeypatch.setattr("homeostasis_collect_otlp.correlation.MAX_REMEMBERED", 70)
    monkeypatch.setattr("homeostasis_collect_otlp.traffic.MAX_STREAMS", 30)
    monkeypatch.setattr("homeostasis_collect_otlp.origin.MAX_ORIGINS", 5)
    intake = Intake(place, CollectOtlpSettings(traffic="metrics"))
    put = 0
    for number in range(200):
        resource = {**PYTHON, "service.instance.id": str(number // 10)}
        trace = (number + 1).to_bytes(16, "big")
        point = {"count": 1, "time_unix_nano": number + 1, "attributes": {"http.route": f"/{number}"}}
        put += len(intake.take(LOGS, lambda: logs(log(trace_id=trace), resource=resource)).taken.crashes)  # noqa: B023
        intake.take(TRACES, lambda: spans(server(trace_id=b"x" + trace[1:]), resource=resource))  # noqa: B023
        intake.take(METRICS, lambda: histogram(point, resource=resource))  # noqa: B023
    correlation, meter = intake._correlation, intake._meter
    assert (len(correlation._waiting), put) == (50, 150)
    assert correlation.traces._spans == len(correlation.traces._traces) == 100
    assert (len(correlation._told), len(correlation._held)) == (70, 50)
    assert len(meter._streams) == 30
    assert len(intake._origins._known) <= 5
