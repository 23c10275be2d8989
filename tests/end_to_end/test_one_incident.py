"""One crash that many monitors report is one incident: all collectors listen to one app that has every emitter in it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from homeostasis.engine import Engine
from homeostasis.ledger import Ledger
from homeostasis.plugins import load_plugins

PATIENCE = 40.0
CART = '''\
class CartError(Exception):
    """Ours."""


class Cart:
    def total(self, rows):
        return sum(self.price(row) for row in rows)

    def price(self, row):
        return row["price"]


def checkout(rows):
    try:
        return Cart().total(rows)
    except KeyError as error:
        raise CartError("no total") from error
'''
APP = """\
import logging

import rollbar
import rollbar.contrib.flask
import sentry_sdk
from elasticapm.contrib.flask import ElasticAPM
from flask import Flask, got_request_exception
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from homeostasis.monitoring import setup_monitoring
from shop import cart

logging.basicConfig(filename="app.log", format="%(asctime)s %(levelname)s %(name)s: %(message)s")
sentry_sdk.init("http://key@127.0.0.1:{sentry}/1")
app = Flask(__name__)


@app.get("/carts/<int:number>")
def show(number):
    return str(cart.checkout([{{"sku": number}}]))


setup_monitoring(app, config={{}})
rollbar.init("key", endpoint="http://127.0.0.1:{trackers}/api/1/", handler="blocking", allow_logging_basic_config=False)
got_request_exception.connect(rollbar.contrib.flask.report_exception, app)
app.config["ELASTIC_APM"] = {{
    "SERVICE_NAME": "shop", "SERVER_URL": "http://127.0.0.1:{trackers}", "METRICS_INTERVAL": "0s",
    "CLOUD_PROVIDER": "none", "CENTRAL_CONFIG": "false",
}}
apm = ElasticAPM(app)
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter("http://127.0.0.1:{otlp}/v1/traces")))
trace.set_tracer_provider(provider)
FlaskInstrumentor().instrument_app(app)

client = app.test_client()
answer = client.get("/carts/3")
assert answer.status_code == 500
answer.close()
sentry_sdk.flush(20)
provider.shutdown()
apm.client.close()
apm.client._transport._thread.join(20)
"""
COLLECTORS = ("spool", "collect-logs", "collect-sentry", "collect-trackers", "collect-otlp")
HEARD = {"monitoring", "sentry", "rollbar", "elastic-apm", "otlp", "log"}


def free_ports(count):
    """Different free ports of this machine."""
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


@pytest.fixture
def place(project_factory):
    """A project whose orchestrator hears everything and heals nothing."""
    sentry, trackers, otlp = free_ports(3)
    tables = {
        "plugins": list(COLLECTORS),
        "source": ["shop"],
        "service": "shop",
        "mode": "observe",
        "collect-logs": {"files": ["app.log"], "settle": 0.2, "interval": 0.1},
        "collect-sentry": {"port": sentry, "service": "shop"},
        "collect-trackers": {"port": trackers, "service": "shop"},
        "collect-otlp": {"port": otlp, "protocols": ["http"], "service": "shop"},
    }
    main = APP.format(sentry=sentry, trackers=trackers, otlp=otlp)
    return project_factory({"shop/__init__.py": "", "shop/cart.py": CART, "main.py": main}, tables)


def test_a_crash_that_comes_by_six_ways_is_one_incident(place):
    stop = threading.Event()
    with Ledger.open(place) as ledger:
        thread = threading.Thread(
            target=Engine(place, load_plugins(place), ledger, lambda _notice: None).serve, args=(stop,)
        )
        thread.start()
        try:
            env = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
            command = [sys.executable, "-W", "ignore", "main.py"]
            done = subprocess.run(command, cwd=place.root, env=env, capture_output=True, check=False, timeout=90)
            assert done.returncode == 0, done.stderr.decode()
            deadline = time.monotonic() + PATIENCE
            while time.monotonic() < deadline and sum(item.count for item in ledger.incidents()) < len(HEARD):
                time.sleep(0.1)
        finally:
            stop.set()
            thread.join()
        found = ledger.incidents()
        told = {row["source"]: row["records"] for row in ledger.sources.all(time.time())}
    assert [(item.event.raised.type, item.event.service) for item in found] == [("CartError", "shop")], [
        (item.event.source, item.event.fingerprint, [f.qualname for f in item.event.raised.frames if f.in_app])
        for item in found
    ]
    assert found[0].count == len(HEARD), told
