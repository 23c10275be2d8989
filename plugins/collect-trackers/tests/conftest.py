"""A project that crashes under the real SDKs, and the endpoint that hears them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading

import pytest

from homeostasis.testing.fakes import MemorySink
from homeostasis_collect_trackers.receiver import receiver
from homeostasis_collect_trackers.settings import CollectTrackersSettings

CART = '''\
class CartError(Exception):
    """Ours."""


class Cart:
    def total(self, rows):
        return sum(self.price(row) for row in rows)

    def price(self, row):
        api_token = "s3cr3t-t0ken-value"
        return row["price"]


def checkout(rows):
    try:
        return Cart().total(rows)
    except KeyError as error:
        raise CartError("no total") from error
'''
APP = """\
import sys

from flask import Flask, request

from shop import cart

app = Flask(__name__)


@app.post("/carts/<int:number>")
def show(number):
    return str(cart.checkout(request.get_json()["rows"]))


SETUP

app.testing = False
client = app.test_client()
answer = client.post("/carts/3?page=1", json={"rows": [{"sku": 1}]}, headers={"Authorization": "Bearer s3cr3t-t0ken"})
assert answer.status_code == 500, answer.status
answer.close()
FLUSH
"""


@pytest.fixture
def place(project_factory):
    """A project with the package `shop`."""
    return project_factory({"shop/__init__.py": "", "shop/cart.py": CART}, {"plugins": ["collect-trackers"]})


class Heard:
    """The endpoint, and what it has put."""

    def __init__(self, address, sink):
        self.url = f"http://{address[0]}:{address[1]}"
        self.sink = sink


@pytest.fixture
def heard(place):
    """The running endpoint."""
    with contextlib.ExitStack() as stack:

        def start(**settings):
            collector = receiver(place, CollectTrackersSettings(**{"port": 0, **settings}))
            sink, stop = MemorySink(), threading.Event()
            thread = threading.Thread(target=collector.run, args=(sink, stop))
            thread.start()
            stack.callback(thread.join)
            stack.callback(stop.set)
            assert collector.ready.wait(20)
            return Heard(collector.address, sink)

        yield start


@pytest.fixture
def run_app(place):
    """Runs the app with an SDK set up by `setup`; it ends when what it sent was answered."""

    def run(setup, flush=""):
        (place.root / "main.py").write_text(APP.replace("SETUP", setup).replace("FLUSH", flush), encoding="utf-8")
        env = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        command = [sys.executable, "-W", "ignore", "main.py"]
        done = subprocess.run(command, cwd=place.root, env=env, capture_output=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr.decode()

    return run
