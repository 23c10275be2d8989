"""The three signals of OTLP, and their messages out of protobuf or JSON."""

from __future__ import annotations

import base64
from typing import Any, Dict, Iterator, List, NamedTuple, Tuple, Type

from google.protobuf.json_format import MessageToJson, ParseDict, ParseError
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

TRACE_ID, SPAN_ID = 16, 8
"""Bytes of the identifiers."""
MAX_DEPTH = 60
"""Deepest message within messages that is read from JSON; protobuf's own limit for binary messages is 100."""


class Unreadable(Exception):
    """Not a message of this signal."""


class Signal(NamedTuple):
    """One of the three kinds of what is exported."""

    name: str
    service: str
    """The service's name in gRPC; its only method is `Export`."""
    request: Type[Message]
    response: Type[Message]
    rejected: str
    """The field of a partial success that counts what was not taken."""

    def from_protobuf(self, body: bytes) -> Any:
        """The message of a body.

        Raises:
            Unreadable: it is none.
        """
        message = self.request()
        try:
            message.ParseFromString(body)
        except (DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Unreadable(f"the body is no protobuf message of OTLP {self.name}") from error
        return message

    def from_json(self, document: Any) -> Any:
        """The message of a JSON document, which is changed meanwhile.

        Raises:
            Unreadable: it is none.
        """
        if not isinstance(document, dict):
            raise Unreadable("the body is no JSON object")
        _prepare(self.name, document)
        try:
            return ParseDict(document, self.request(), ignore_unknown_fields=True, max_recursion_depth=MAX_DEPTH)
        except (ParseError, ValueError, TypeError, AttributeError, RecursionError, OverflowError) as error:
            raise Unreadable(f"the body is no OTLP {self.name} in JSON: {str(error)[:200]}") from error

    def answer(self, rejected: int, why: str) -> Message:
        """What is answered: nothing, if everything was taken."""
        response: Any = self.response()
        if rejected:
            setattr(response.partial_success, self.rejected, rejected)
            response.partial_success.error_message = why
        return response


_COLLECTOR = "opentelemetry.proto.collector"
LOGS = Signal(
    "logs",
    f"{_COLLECTOR}.logs.v1.LogsService",
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
    "rejected_log_records",
)
TRACES = Signal(
    "traces",
    f"{_COLLECTOR}.trace.v1.TraceService",
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
    "rejected_spans",
)
METRICS = Signal(
    "metrics",
    f"{_COLLECTOR}.metrics.v1.MetricsService",
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
    "rejected_data_points",
)
SIGNALS = (LOGS, TRACES, METRICS)


def to_json(message: Message) -> bytes:
    """A message in OTLP's JSON; those that are answered have no identifiers, which need more."""
    text: str = MessageToJson(message, indent=None)
    return text.encode()


# --- what OTLP's JSON has otherwise than protobuf's: identifiers are hexadecimal

_RECORDS: Dict[str, Tuple[str, str, str]] = {
    "logs": ("resourceLogs", "scopeLogs", "logRecords"),
    "traces": ("resourceSpans", "scopeSpans", "spans"),
    "metrics": ("resourceMetrics", "scopeMetrics", "metrics"),
}
_KINDS = ("gauge", "sum", "histogram", "exponentialHistogram", "summary")
_INVALID = "AA=="
"""One zero byte: no identifier has it, so the record is rejected and its neighbours are not."""


def _prepare(name: str, document: Dict[str, Any]) -> None:
    resources, scopes, records = _RECORDS[name]
    for resource in _objects(document, resources):
        for scope in _objects(resource, scopes):
            for record in _objects(scope, records):
                if name == "metrics":
                    _without_exemplars(record)
                else:
                    record.pop("links", None)
                    _decode(record, "traceId", TRACE_ID)
                    _decode(record, "spanId", SPAN_ID)
                    _decode(record, "parentSpanId", SPAN_ID)


def _decode(record: Dict[str, Any], key: str, size: int) -> None:
    value = record.get(key)
    if value in (None, ""):
        return
    try:
        found = bytes.fromhex(value) if isinstance(value, str) and len(value) == 2 * size else b""
    except ValueError:
        found = b""
    record[key] = base64.b64encode(found).decode() if found else _INVALID


def _without_exemplars(metric: Dict[str, Any]) -> None:
    for kind in _KINDS:
        points = metric.get(kind)
        if isinstance(points, dict):
            for point in _objects(points, "dataPoints"):
                point.pop("exemplars", None)


def _objects(holder: Dict[str, Any], key: str) -> Iterator[Dict[str, Any]]:
    items: List[Any] = holder[key] if isinstance(holder.get(key), list) else []
    return (item for item in items if isinstance(item, dict))
