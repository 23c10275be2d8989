"""The orchestrator with the Sentry SDK alone: no monitoring in the app."""

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
from homeostasis.models import State
from homeostasis.plugins import load_plugins

pytestmark = pytest.mark.slow  # the orchestrator itself, with real runs of the app in a sandbox

APP = """\
import flask
import sentry_sdk

sentry_sdk.init()  # the DSN is in SENTRY_DSN
app = flask.Flask(__name__)
PRICES = {"tea": 3, "milk": 2}


@app.post("/quote")
def quote():
    body = flask.request.get_json()
    return {"price": PRICES[body["item"]] * body["amount"]}
"""


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def serve(place, port, run, until):
    """Run the orchestrator, do something, and wait until something is true of its ledger."""
    stop = threading.Event()
    with Ledger.open(place) as ledger:
        engine = Engine(place, load_plugins(place), ledger, lambda notice: None)
        thread = threading.Thread(target=engine.serve, args=(stop,))
        thread.start()
        try:
            for _ in range(1000):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                stop.wait(0.02)
            run()
            for _ in range(6000):
                if until(ledger):
                    break
                stop.wait(0.02)
        finally:
            stop.set()
            thread.join()
        return ledger.incidents(), ledger.sources.all(time.time())


def test_a_crash_that_only_sentry_reported_is_healed(project_factory):
    """A Flask app whose DSN is changed: diagnosed, patched, and proven by the request that Sentry's SDK told of."""
    port = free_port()
    place = project_factory(
        {"shop.py": APP},
        {
            "mode": "propose",
            "app": "shop:app",
            "plugins": ["collect-sentry", "rules-python", "sandbox-venv", "compile", "reproduction", "git-branch"],
            "collect-sentry": {"port": port},
            "validate": {"regression_test": False},
        },
    )
    call = 'import shop; shop.app.test_client().post("/quote", json={"item": "tea"})'
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HOMEOSTASIS")}
    environment["SENTRY_DSN"] = f"http://key@127.0.0.1:{port}/1"

    def run():
        done = subprocess.run(
            [sys.executable, "-c", call], cwd=place.root, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    ends = (State.AWAITING_APPROVAL, State.UNFIXABLE, State.FAILED)
    (incident,), sources = serve(
        place, port, run, lambda ledger: any(each.state in ends for each in ledger.incidents())
    )
    assert incident.event.source == "sentry:event"
    assert incident.event.request.path == "/quote"
    assert incident.state is State.AWAITING_APPROVAL
    assert incident.count == 1
    assert [(each["collector"], each["source"]) for each in sources] == [("collect-sentry", "sentry")]
