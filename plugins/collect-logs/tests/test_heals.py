"""The orchestrator with the log alone: no monitoring in the app."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from dataclasses import replace

import pytest

from homeostasis.engine import Engine
from homeostasis.ledger import Ledger
from homeostasis.models import State
from homeostasis.plugins import load_plugins

pytestmark = pytest.mark.slow  # the orchestrator itself, with real runs of the app in a sandbox

ENDS = (State.AWAITING_APPROVAL, State.UNFIXABLE, State.FAILED)
REPORT = """\
import logging

ORDERS = [("tea", 2), ("milk", 1), ("tea", 3)]


def totals(orders):
    found = {}
    for name, amount in orders:
        found[name] += amount
    return found


logging.basicConfig(filename="app.log", format="%(asctime)s %(levelname)s %(name)s %(message)s")
try:
    print(sorted(totals(ORDERS).items()))
except Exception:
    logging.getLogger("report").exception("no totals")
    raise
"""


def serve(place, until):
    """Run the orchestrator until something is true of its ledger."""
    stop = threading.Event()
    with Ledger.open(place) as ledger:
        engine = Engine(place, load_plugins(place), ledger, lambda notice: None)
        thread = threading.Thread(target=engine.serve, args=(stop,))
        thread.start()
        try:
            for _ in range(6000):
                if until(ledger):
                    break
                stop.wait(0.02)
        finally:
            stop.set()
            thread.join()
        return ledger.incidents()


def test_the_orchestrator_heals_from_the_log_alone(project_factory):
    """A script that logs its crash is diagnosed, patched and validated; nothing in the app knows of it."""
    place = project_factory(
        {"report.py": REPORT},
        {
            "mode": "propose",
            "plugins": ["collect-logs", "rules-python", "sandbox-venv", "compile", "reproduction", "git-branch"],
            "collect-logs": {"files": ["*.log"], "settle": 0.2, "interval": 0.1},
        },
    )
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HOMEOSTASIS")}
    done = subprocess.run(
        [sys.executable, "report.py"], cwd=place.root, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    (incident,) = serve(
        place,
        lambda ledger: ledger.incidents()
        and ledger.incidents()[0].state is not State.OPEN
        and ledger.incidents()[0].state in ENDS,
    )
    assert incident.event.source == "log:text"
    assert incident.state is State.AWAITING_APPROVAL


def test_one_crash_by_two_ways_is_one_incident(project_factory):
    """The monitoring in the app and the log tell of the same crash: it is counted twice, and healed once."""
    place = project_factory(
        {"report.py": f"from homeostasis.monitoring import setup_monitoring\nsetup_monitoring()\n{REPORT}"},
        {"mode": "observe", "plugins": ["spool", "collect-logs"], "collect-logs": {"files": ["*.log"], "settle": 0.2}},
    )
    environment = {**os.environ, "HOMEOSTASIS_PROJECT": str(place.root)}
    subprocess.run([sys.executable, "report.py"], cwd=place.root, env=environment, capture_output=True, check=False)
    spool = place.config.model_copy(update={"plugins": ("spool",), "plugin_tables": {}})
    (heard,) = serve(
        replace(place, config=spool), lambda ledger: ledger.incidents() and not list(place.spool.glob("*.jsonl"))
    )
    logs = replace(place, config=place.config.model_copy(update={"plugins": ("collect-logs",)}))
    (both,) = serve(logs, lambda ledger: ledger.incidents()[0].count > heard.count)
    assert (both.id, both.count, both.event.raised.dotted) == (heard.id, heard.count + 1, "KeyError")


APP = """\
from flask import Flask, request

app = Flask("shop")
ORDERS = {"ann": [("tea", 2), ("milk", 1), ("tea", 3)]}


@app.get("/totals/<user>")
def totals(user):
    found = {}
    for name, amount in ORDERS[user]:
        found[name] += amount
    return found


@app.post("/totals")
def posted():
    found = {}
    for name, amount in request.json:
        found[name] += amount
    return found
"""
CALLS = {
    "the path": "app.test_client().get('/totals/ann')",
    "the body": "app.test_client().post('/totals', json=[['tea', 2]])",
}


@pytest.mark.parametrize(("what", "reproduced"), [("the path", True), ("the body", False)])
def test_a_request_that_the_log_names(what, reproduced, project_factory):
    """Flask's line has method and path: a crash that depends on no more is reproduced and healed, and another one is
    not taken for reproduced.
    """
    place = project_factory(
        {"shop.py": APP},
        {
            "mode": "propose",
            "app": "shop:app",
            "plugins": ["collect-logs", "rules-python", "sandbox-venv", "compile", "reproduction", "git-branch"],
            "collect-logs": {"files": ["*.log"], "settle": 0.2, "interval": 0.1},
        },
    )
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HOMEOSTASIS")}
    with (place.root / "app.log").open("wb") as log:
        command = [sys.executable, "-c", f"from shop import app; {CALLS[what]}"]
        subprocess.run(command, cwd=place.root, env=environment, stderr=log, check=True)
    (incident,) = serve(
        place,
        lambda ledger: ledger.incidents()
        and ledger.incidents()[0].state is not State.OPEN
        and ledger.incidents()[0].state in ENDS,
    )
    assert incident.event.request.method == ("GET" if reproduced else "POST")
    assert incident.state is (State.AWAITING_APPROVAL if reproduced else State.UNFIXABLE)
    assert reproduced or "could not be reproduced" in incident.timeline[-1].detail, incident.timeline
