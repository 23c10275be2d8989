"""Messages of OTLP by hand, where no SDK sends what is to be tested."""

from __future__ import annotations

import time

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

TRACE, SERVER, CHILD = b"t" * 16, b"s" * 8, b"c" * 8
OUTER = '  File "/app/shop/views.py", line 3, in show\n    return price({})\n'
INNER = '  File "/app/shop/cart.py", line 10, in price\n    return row["price"]\n'
PYTHON = {"service.name": "shop", "telemetry.sdk.language": "python"}
HTTP = {
    "http.request.method": "GET",
    "url.path": "/orders/7",
    "url.query": "full=yes",
    "url.scheme": "http",
    "http.route": "/orders/<int:number>",
    "http.response.status_code": 500,
}


def stack(*frames, message="'price'"):
    """The text of a traceback."""
    return "".join(["Traceback (most recent call last):\n", *frames, f"KeyError: {message}\n"])


def attributes(found):
    items = []
    for key, value in found.items():
        item = KeyValue(key=key)
        if isinstance(value, bool):
            item.value.bool_value = value
        elif isinstance(value, int):
            item.value.int_value = value
        elif isinstance(value, list):
            for each in value:
                item.value.array_value.values.add().string_value = each
        else:
            item.value.string_value = value
        items.append(item)
    return items


def told(text=None, kind="KeyError", message="'price'"):
    """The attributes that tell of an exception."""
    text = stack(INNER) if text is None else text
    return {"exception.type": kind, "exception.message": message, "exception.stacktrace": text}


def logs(*records, resource=PYTHON):
    """A message with log records, each a dict of fields; `attributes` is one too."""
    message = ExportLogsServiceRequest()
    held = message.resource_logs.add()
    held.resource.attributes.extend(attributes(resource))
    scope = held.scope_logs.add()
    for record in records:
        fields = {"time_unix_nano": time.time_ns(), **record}
        fields["attributes"] = attributes(fields.pop("attributes", told()))
        body = fields.pop("body", None)
        made = scope.log_records.add(**fields)
        if body is not None:
            made.body.string_value = body
    return message


def log(**fields):
    """A record of an exception in a trace whose spans are exported."""
    return {"trace_id": TRACE, "span_id": SERVER, "flags": 1, **fields}


def spans(*all_spans, resource=PYTHON, scope="opentelemetry.instrumentation.flask"):
    """A message with spans, each a dict of fields; `events` are dicts of attributes."""
    message = ExportTraceServiceRequest()
    held = message.resource_spans.add()
    held.resource.attributes.extend(attributes(resource))
    scope_spans = held.scope_spans.add()
    scope_spans.scope.name = scope
    for span in all_spans:
        fields = {"end_time_unix_nano": time.time_ns(), **span}
        fields.setdefault("start_time_unix_nano", fields["end_time_unix_nano"] - 20_000_000)
        events = fields.pop("events", ())
        fields["attributes"] = attributes(fields.pop("attributes", {}))
        made = scope_spans.spans.add(**fields)
        for event in events:
            made.events.add(name="exception", time_unix_nano=time.time_ns(), attributes=attributes(event))
    return message


def server(**fields):
    """The span of a request."""
    return {"trace_id": TRACE, "span_id": SERVER, "kind": 2, "attributes": HTTP, **fields}


def child(**fields):
    """The span of a part of it."""
    return {"trace_id": TRACE, "span_id": CHILD, "parent_span_id": SERVER, "kind": 1, **fields}


def histogram(*points, name="http.server.request.duration", unit="s", temporality=2, resource=PYTHON, kind="histogram"):
    """A message with one metric; each point is a dict of fields."""
    message = ExportMetricsServiceRequest()
    held = message.resource_metrics.add()
    held.resource.attributes.extend(attributes(resource))
    metric = held.scope_metrics.add().metrics.add(name=name, unit=unit)
    data = getattr(metric, kind)
    data.aggregation_temporality = temporality
    for point in points:
        fields = dict(point)
        fields["attributes"] = attributes(
            fields.get("attributes", {"http.route": "/", "http.response.status_code": 200})
        )
        positive = fields.pop("positive", None)
        made = data.data_points.add(**fields)
        if positive is not None:
            made.positive.offset = positive[0]
            made.positive.bucket_counts.extend(positive[1])
    return message
