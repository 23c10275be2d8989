"""OTLP over HTTP: what is answered to what."""

from __future__ import annotations

import gzip
import http.client
import json
import threading

import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from .calls import post
from .conftest import Listening, Slow
from .messages import child, log, logs, server, spans, told

TRACE_HEX, SPAN_HEX = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def as_json(message):
    """The message as OTLP has it in JSON: identifiers are hexadecimal, numbers of 64 bits are text."""
    document = MessageToDict(message)
    for resource in document.get("resourceSpans", []) + document.get("resourceLogs", []):
        for scope in resource.get("scopeSpans", []) + resource.get("scopeLogs", []):
            for record in scope.get("spans", []) + scope.get("logRecords", []):
                record.update({"traceId": TRACE_HEX, "spanId": SPAN_HEX})
    return document


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_everything_is_taken(encoding, listen):
    """The answer to a whole success is an empty message of the same media type."""
    running = listen()
    body = spans(child(events=[told()]), server()).SerializeToString()
    sent = gzip.compress(body) if encoding == "gzip" else body
    assert post(running.http, "/v1/traces", sent, **{"Content-Encoding": encoding}) == (
        200,
        "application/x-protobuf",
        b"",
    )
    (event,) = running.events()
    assert event.request.path == "/orders/7"
    assert running.sink.heard_of[0][:2] == ("otlp/traces", 2)


def test_json(listen):
    """The same in JSON, with fields that nobody knows."""
    running = listen(settle=0)
    document = as_json(logs(log()))
    document["new"] = {"field": [1]}
    document["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]["links"] = [{"traceId": "x"}]
    body = json.dumps(document).encode()
    assert post(running.http, "/v1/logs", body, "application/json; charset=utf-8") == (200, "application/json", b"{}")
    (event,) = running.events()
    assert (event.trace_id, event.span_id, event.raised.type) == (TRACE_HEX, SPAN_HEX, "KeyError")


def test_metrics_in_json(listen):
    """Exemplars have identifiers too, which are not needed."""
    running = listen(traffic="metrics")
    point = {
        "startTimeUnixNano": "99999999999999999",
        "timeUnixNano": "99999999999999999",
        "count": "2",
        "sum": 0.5,
        "bucketCounts": ["1", "1"],
        "explicitBounds": [0.1],
        "exemplars": [{"traceId": TRACE_HEX, "asDouble": 1.0}],
        "attributes": [
            {"key": "http.route", "value": {"stringValue": "/"}},
            {"key": "http.response.status_code", "value": {"intValue": "200"}},
        ],
    }
    metric = {"name": "http.server.request.duration", "unit": "s"}
    metric["histogram"] = {"aggregationTemporality": 1, "dataPoints": [point]}
    body = json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]})
    assert post(running.http, "/v1/metrics", body, "application/json")[0] == 200
    assert running.sink.requests[0][1:4] == ("/", 2, 0)


def test_a_partial_success(listen):
    """A record with a broken id is refused and counted; its neighbour is taken."""
    running = listen(settle=0)
    body = logs(log(trace_id=b"short"), log()).SerializeToString()
    status, _, answer = post(running.http, "/v1/logs", body)
    partial = ExportLogsServiceResponse.FromString(answer).partial_success
    assert (status, partial.rejected_log_records) == (200, 1)
    assert "broken" in partial.error_message
    assert len(running.events()) == 1
    assert running.sink.losses == [("record of OTLP with a broken id", 1)]
    document = as_json(logs(log(), log()))
    document["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]["traceId"] = "xyz"
    answer = json.loads(post(running.http, "/v1/logs", json.dumps(document), "application/json")[2])
    assert answer["partialSuccess"]["rejectedLogRecords"] == "1"
    assert len(running.events(2)) == 2


def test_too_much_at_once_is_sent_again(place):
    """While as many calls wait as may, others are told to come back, with the status at which every SDK does."""
    sink, body = Slow(), logs(log()).SerializeToString()
    with Listening(place, sink, settle=0, max_pending=1) as running:
        first = threading.Thread(target=post, args=(running.http, "/v1/logs", body))
        first.start()
        assert sink.asked.wait(20)
        connection = http.client.HTTPConnection(running.http, timeout=20)
        connection.request("POST", "/v1/logs", body, {"Content-Type": "application/x-protobuf"})
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("retry-after")) == (503, "1")
        connection.close()
        sink.free.set()
        first.join()
        assert len(sink.events) == 1


def test_large_messages_on_one_connection(listen):
    """What an exporter sends, one call after the other."""
    running = listen(settle=0, recapture=60)
    connection = http.client.HTTPConnection(running.http, timeout=20)
    for number in range(1, 6):
        body = logs(
            *(log(trace_id=(number * 1000 + each).to_bytes(16, "big")) for each in range(400))
        ).SerializeToString()
        assert len(body) > 100_000
        connection.request("POST", "/v1/logs", body, {"Content-Type": "application/x-protobuf"})
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"")
    connection.close()
    assert sum(records for _, records, _ in running.sink.heard_of) == 2000


@pytest.mark.parametrize(
    ("body", "media", "status"),
    [
        (b"\xff" * 40, "application/x-protobuf", 400),
        (b"[]", "application/json", 400),
        (b"{", "application/json", 400),
        (b'{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": "soon"}]}]}]}', "application/json", 400),
        (b'{"resourceLogs": ' + b"[" * 200_001, "application/json", 413),
        (b"text", "text/plain", 415),
        (b"", "", 415),
    ],
)
def test_what_is_refused(body, media, status, listen):
    """A clear answer, and the next call is taken."""
    running = listen(settle=0)
    assert post(running.http, "/v1/logs", body, media)[0] == status
    assert post(running.http, "/v1/logs", logs(log()).SerializeToString())[0] == 200
    assert len(running.events()) == 1


def test_deep_values_are_refused(listen):
    """Neither JSON nor protobuf exhausts the stack."""
    running = listen()
    value = '{"arrayValue": {"values": [' * 400 + "]}}" * 400
    record = f'{{"attributes": [{{"key": "exception.type", "value": {value}}}]}}'
    body = f'{{"resourceLogs": [{{"scopeLogs": [{{"logRecords": [{record}]}}]}}]}}'
    assert post(running.http, "/v1/logs", body, "application/json")[0] == 400
    message = logs(log())
    held = message.resource_logs[0].scope_logs[0].log_records[0].body
    for _ in range(400):
        held = held.array_value.values.add()
    assert post(running.http, "/v1/logs", message.SerializeToString())[0] == 400


def test_a_token(listen, monkeypatch):
    """With `token_env`, calls need it."""
    monkeypatch.setenv("OTLP_TOKENS", "first, second")
    running = listen(token_env="OTLP_TOKENS", settle=0)
    body = logs(log()).SerializeToString()
    assert post(running.http, "/v1/logs", body)[0] == 401
    assert post(running.http, "/v1/logs", body, Authorization="Bearer second")[0] == 200
    assert len(running.events()) == 1
