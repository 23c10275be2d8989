"""A project with a package, and a receiver that the Sentry SDK in a process of its own reports to."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading

import pytest

from homeostasis.testing.fakes import MemorySink
from homeostasis_collect_sentry.receiver import SentryReceiver
from homeostasis_collect_sentry.settings import CollectSentrySettings

CART = '''\
class CartError(Exception):
    """Ours."""


class Cart:
    def total(self, rows):
        return sum(self.price(row) for row in rows)

    def price(self, row):
        return row["price"]


def plain():
    Cart().total([{"name": "tea"}])


def cause():
    try:
        Cart().total([{}])
    except KeyError as error:
        raise CartError("no total") from error


def context():
    try:
        Cart().total([{}])
    except KeyError:
        raise CartError("two\\nlines")
'''


@pytest.fixture
def place(project_factory):
    """A project with the package `shop`, as the app and the healer see it."""
    return project_factory({"shop/__init__.py": "", "shop/cart.py": CART}, {"plugins": ["collect-sentry"]})


@contextlib.contextmanager
def running(collector, sink):
    """A collector in a thread of its own, as the engine runs it."""
    stop = threading.Event()
    thread = threading.Thread(target=collector.run, args=(sink, stop))
    thread.start()
    assert collector.http.ready.wait(20)
    try:
        yield collector
    finally:
        stop.set()
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture
def sink():
    return MemorySink()


@pytest.fixture
def listen(place, sink):
    """Starts a receiver and gives its DSN."""
    with contextlib.ExitStack() as stack:

        def start(**settings):
            table = CollectSentrySettings(**{"port": 0, "recapture": 0, **settings})
            collector = stack.enter_context(running(SentryReceiver(place, table), sink))
            return "http://key@{}:{}/42".format(*collector.http.address)

        yield start


@pytest.fixture
def run_app(place):
    """Runs Python in the project with a DSN in `SENTRY_DSN`."""

    def run(code, dsn, *words):
        (place.root / "main.py").write_text(code, encoding="utf-8")
        env = {**os.environ, "PYTHONPATH": "", "SENTRY_DSN": dsn, "PYTHONIOENCODING": "utf-8"}
        return subprocess.run(
            [sys.executable, "main.py", *words], cwd=place.root, env=env, capture_output=True, text=True, check=False
        )

    return run
