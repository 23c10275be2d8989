"""A receiver that runs, over a sink in memory."""

from __future__ import annotations

import contextlib
import threading

import pytest

from homeostasis.collecting.crash import Crash
from homeostasis.testing.fakes import MemorySink
from homeostasis.traceback_text import TextException, TextFrame
from homeostasis_collect_http.endpoint import HttpReceiver, Route, Taken, load_json
from homeostasis_collect_http.settings import EndpointTable

SHOP = "def price(row):\n    return row['price']\n"


@pytest.fixture
def place(project_factory):
    """A project with one module."""
    return project_factory({"shop.py": SHOP}, {"plugins": ["collect-http"]})


def crash(**fields):
    """What a record of a crash in the project says."""
    frame = TextFrame("/app/shop.py", 2, "price")
    return Crash([TextException(name="KeyError", message="'price'", frames=[frame])], **fields)


def read(call):
    """A handler: the body says how many crashes there are."""
    told = load_json(call.body)
    return Taken(crashes=[crash() for _ in range(told["crashes"])], records=told["crashes"])


@contextlib.contextmanager
def running(receiver, sink):
    """The receiver in a thread of its own, as the engine runs it."""
    stop, raised = threading.Event(), []

    def run():
        try:
            receiver.run(sink, stop)
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert receiver.ready.wait(20)
    try:
        yield raised
    finally:
        stop.set()
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture
def serve(place):
    """Starts a receiver of `POST /crashes` and gives its address; `sink` and other routes may be given."""
    with contextlib.ExitStack() as stack:

        def start(sink=None, routes=(Route("POST", "/crashes", read),), **settings):
            table = EndpointTable(**{"port": 0, "read_seconds": 5, **settings})
            receiver = HttpReceiver(place, table, routes, "test")
            stack.enter_context(running(receiver, MemorySink() if sink is None else sink))
            return receiver.address

        yield start
