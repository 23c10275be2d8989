"""The orchestrator with OpenTelemetry alone: no monitoring in the app."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from homeostasis.models import State

from .engines import free_ports, serve, wait_for

pytestmark = pytest.mark.slow  # the orchestrator itself, with real runs of the app in a sandbox

ENDS = (State.AWAITING_APPROVAL, State.UNFIXABLE, State.FAILED)
SHOP = """\
from flask import Flask, request

app = Flask(__name__)
ORDERS = [("tea", 2), ("milk", 1), ("tea", 3)]


@app.route("/totals/<name>")
def totals(name):
    found = {}
    for each, amount in ORDERS:
        found[each] += amount
    return {name: found[name], "unit": request.args["unit"]}
"""
WATCHED = """\
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

import shop

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
FlaskInstrumentor().instrument_app(shop.app, tracer_provider=provider)
assert shop.app.test_client().get("/totals/tea?unit=cups").status_code == 500
provider.shutdown()
"""


def test_the_orchestrator_heals_from_opentelemetry_alone(project_factory):
    """A crash of a request is diagnosed, patched, and validated by sending that request again."""
    port, grpc_port = free_ports(2)
    place = project_factory(
        {"shop.py": SHOP, "watched.py": WATCHED},
        {
            "mode": "propose",
            "app": "shop:app",
            "source": ["shop.py"],
            "plugins": ["collect-otlp", "rules-python", "sandbox-venv", "compile", "reproduction", "git-branch"],
            "collect-otlp": {"port": port, "grpc_port": grpc_port},
        },
    )
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("HOMEOSTASIS", "OTEL"))}
    environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{port}"

    def crash():
        wait_for(port)
        subprocess.run([sys.executable, "watched.py"], cwd=place.root, env=environment, check=True)

    (incident,) = serve(place, crash, lambda ledger: ledger.incidents() and ledger.incidents()[0].state in ENDS)
    assert incident.event.source == "otlp:span"
    assert incident.event.request.path == "/totals/tea"
    assert incident.state is State.AWAITING_APPROVAL
