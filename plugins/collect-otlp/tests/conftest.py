"""A small shop that OpenTelemetry watches, and the receivers on free ports."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time

import pytest

from homeostasis.testing.fakes import MemorySink
from homeostasis_collect_http.endpoint import HttpReceiver
from homeostasis_collect_otlp.grpc_receiver import GrpcReceiver
from homeostasis_collect_otlp.receivers import receivers
from homeostasis_collect_otlp.settings import CollectOtlpSettings

CART = '''\
class CartError(Exception):
    """Ours."""


class Cart:
    def total(self, rows):
        return sum(self.price(row) for row in rows)

    def price(self, row):
        return row["price"]


def cause():
    try:
        Cart().total([{}])
    except KeyError as error:
        raise CartError("no total") from error


def plain():
    Cart().total([{}])
'''
PATIENCE = 20.0


@pytest.fixture
def place(project_factory):
    """A project with the package `shop`, as the app and the healer see it."""
    return project_factory({"shop/__init__.py": "", "shop/cart.py": CART}, {"plugins": ["collect-otlp"]})


class Slow(MemorySink):
    """A ledger that somebody else is writing to."""

    def __init__(self):
        super().__init__()
        self.asked, self.free = threading.Event(), threading.Event()

    def event(self, event):
        self.asked.set()
        assert self.free.wait(PATIENCE)
        super().event(event)


class Listening:
    """The receivers of a project, each in its thread as the engine has them."""

    def __init__(self, place, sink=None, **settings):
        self.sink = sink or MemorySink()
        self.settings = CollectOtlpSettings(**{"port": 0, "grpc_port": 0, "settle": 0.3, "recapture": 0, **settings})
        self.collectors = receivers(place, self.settings)
        self.stop = threading.Event()
        self.failures = []
        self.threads = [threading.Thread(target=self._run, args=(each,), daemon=True) for each in self.collectors]

    def _run(self, collector):
        try:
            collector.run(self.sink, self.stop)
        except Exception as error:
            self.failures.append(error)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        for each in self.collectors[1:]:
            assert each.ready.wait(PATIENCE), self.failures
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()

    @property
    def http(self):
        return next("{}:{}".format(*each.address) for each in self.collectors if isinstance(each, HttpReceiver))

    @property
    def grpc(self):
        return next("{}:{}".format(*each.address) for each in self.collectors if isinstance(each, GrpcReceiver))

    def until(self, done):
        end = time.monotonic() + PATIENCE
        while not done(self.sink):
            assert time.monotonic() < end, (self.sink, self.failures)
            time.sleep(0.01)
        return self.sink

    def events(self, count=1):
        return self.until(lambda sink: len(sink.events) >= count).events


@pytest.fixture
def listen(place):
    """Makes receivers with settings; they are stopped at the end."""
    with contextlib.ExitStack() as stack:
        yield lambda **settings: stack.enter_context(Listening(place, **settings))


@pytest.fixture
def run_app(place):
    """Runs Python in the project, with the variables given."""

    def run(code, **variables):
        (place.root / "main.py").write_text(code, encoding="utf-8")
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("HOMEOSTASIS", "OTEL"))}
        environment.update(variables, PYTHONPATH="", OTEL_METRIC_EXPORT_INTERVAL="200000")
        done = subprocess.run(
            [sys.executable, "main.py"], cwd=place.root, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done

    return run
