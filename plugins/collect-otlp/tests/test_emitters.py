"""What OpenTelemetry's own SDK sends of a crash becomes the event that the monitoring captures, less what is not there."""

from __future__ import annotations

import json

import pytest

from homeostasis.testing.builders import crash

EXPORTERS = {
    "http": "from opentelemetry.exporter.otlp.proto.http.{} import OTLP{}Exporter as {}\n",
    "grpc": "from opentelemetry.exporter.otlp.proto.grpc.{} import OTLP{}Exporter as {}\n",
}
SETUP = """
import logging, sys
from opentelemetry import metrics, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
{exporters}
resource = Resource.create({{"service.name": "shop", "service.version": "1.2.3", "host.name": "web-1", "process.pid": 77}})
spans = TracerProvider(resource=resource)
spans.add_span_processor(BatchSpanProcessor(SpanExporter()))
trace.set_tracer_provider(spans)
meters = MeterProvider(resource=resource, metric_readers=[PeriodicExportingMetricReader(MetricExporter())])
metrics.set_meter_provider(meters)
logs = LoggerProvider(resource=resource)
logs.add_log_record_processor(BatchLogRecordProcessor(LogExporter()))
logging.getLogger("shop").addHandler(LoggingHandler(logger_provider=logs))
tracer = trace.get_tracer("shop")
def finish():
    logs.shutdown(); spans.shutdown(); meters.shutdown()
"""


def setup(protocol):
    line = EXPORTERS[protocol]
    imports = [
        line.format("trace_exporter", "Span", "SpanExporter"),
        line.format("metric_exporter", "Metric", "MetricExporter"),
        line.format("_log_exporter", "Log", "LogExporter"),
    ]
    return SETUP.format(exporters="".join(imports))


FLASK = """
from flask import Flask
from opentelemetry.instrumentation.flask import FlaskInstrumentor
import shop.cart
app = Flask("shop")
@app.route("/orders/<int:number>")
def order(number):
    with tracer.start_as_current_span("pricing"):
        shop.cart.plain()
@app.route("/fine")
def fine():
    return "fine"
FlaskInstrumentor().instrument_app(app)
client = app.test_client()
assert client.get("/orders/7?full=yes", headers={"User-Agent": "check"}).status_code == 500
assert client.get("/fine").status_code == 200
finish()
"""
FASTAPI = """
import asyncio, logging
import httpx
from fastapi import FastAPI
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
import shop.cart
app = FastAPI()
@app.get("/orders/{number}")
async def order(number: int):
    try:
        shop.cart.cause()
    except Exception:
        logging.getLogger("shop").exception("no order")
        raise
FastAPIInstrumentor.instrument_app(app)
async def main():
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop.example") as client:
        assert (await client.get("/orders/7?full=yes", headers={"Accept": "text/plain"})).status_code == 500
asyncio.run(main())
finish()
"""
LOGGING = """
import logging
import shop.cart
logging.getLogger("shop").warning("before")
try:
    shop.cart.cause()
except Exception:
    logging.getLogger("shop").exception("it failed")
finish()
"""


SEMCONV = {
    "OTEL_SEMCONV_STABILITY_OPT_IN": "http",
    "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST": "accept",
}


def variables(server, protocol):
    address = server.http if protocol == "http" else server.grpc
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{address}",
        "OTEL_EXPORTER_OTLP_INSECURE": "true",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
    }


def ours(event):
    frames = [frame for frame in event.raised.frames if frame.path.endswith("cart.py")]
    return [(frame.qualname, frame.span.line, frame.in_app) for frame in frames]


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_flask(protocol, listen, run_app, place):
    """A log record, the span of a part and that of the server are one crash, with its request."""
    server = listen()
    run_app(setup(protocol) + FLASK, **variables(server, protocol))
    server.until(lambda sink: any(name == "otlp/metrics" for name, _, _ in sink.heard_of))
    (event,) = server.events()
    captured = crash(place, "import shop.cart\nshop.cart.plain()")
    assert (event.raised.dotted, event.raised.message) == ("KeyError", "'price'")
    assert ours(event) == ours(captured)
    request = event.request
    assert (request.method, request.path, request.query) == ("GET", "/orders/7", "full=yes")
    assert (request.route, request.status, request.framework) == ("/orders/<int:number>", 500, "flask")
    assert ("user-agent", "check") in request.headers
    assert (event.service, event.runtime.pid, event.runtime.host) == ("shop", 77, "web-1")
    assert (len(event.trace_id), len(event.span_id)) == (32, 16)
    assert not server.sink.recurrences
    counted = [(service, route, requests, errors) for service, route, requests, errors, _ in server.sink.requests]
    assert [(service, request.path, request.route) for service, request in server.sink.samples] == [
        ("shop", "/fine", "/fine")
    ]
    assert sorted(counted) == [("shop", "/fine", 1, 0), ("shop", "/orders/<int:number>", 1, 1)]
    assert server.sink.losses == []


def test_fastapi(listen, run_app):
    """The same of an ASGI app, in the present words of the semantic conventions; metrics only."""
    server = listen(traffic="metrics")
    run_app(setup("http") + FASTAPI, **variables(server, "http"), **SEMCONV)
    server.until(lambda sink: sink.requests)
    (event,) = server.events()
    assert [raised.dotted for raised in event.exceptions] == ["shop.cart.CartError", "KeyError"]
    request = event.request
    assert (request.path, request.query, request.route) == ("/orders/7", "full=yes", "/orders/{number}")
    assert (request.framework, request.interface, request.host) == ("fastapi", "asgi", "shop.example")
    assert ("accept", "text/plain") in request.headers
    assert [(route, requests, errors) for _, route, requests, errors, _ in server.sink.requests] == [
        ("/orders/{number}", 1, 1)
    ]
    assert sum(server.sink.durations[0][1]) == 1
    assert server.sink.losses == []


def test_logging_alone(listen, run_app, place):
    """Without tracing: the event is put at once, and has the fingerprint of the monitoring."""
    server = listen(settle=60)
    code = (
        "import json, sys\nfrom homeostasis.monitoring.capture import describe\nimport shop.cart\n"
        "try:\n    shop.cart.cause()\nexcept Exception as error:\n"
        f"    found = describe(error, project_root={str(place.root)!r}, service='shop')\n"
        "    open('event.json', 'w').write(json.dumps(found, default=str))\n"
    )
    run_app(setup("http") + code + LOGGING, **variables(server, "http"))
    (event,) = server.events()
    captured = json.loads((place.root / "event.json").read_text())
    assert event.fingerprint == captured["fingerprint"]
    assert event.source == "otlp:log"
    assert [raised.relation for raised in event.exceptions] == ["raised", "cause"]
    assert event.runtime.pid == 77
