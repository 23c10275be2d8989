"""A kill at any instant loses nothing that was acknowledged."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from homeostasis.ledger import Ledger

from .test_heals import free_port
from .test_protocol import envelope, event, send

pytestmark = pytest.mark.slow  # the orchestrator in a process of its own

SERVE = """
import sys, threading
from pathlib import Path
from homeostasis.engine import Engine
from homeostasis.ledger import Ledger
from homeostasis.plugins import load_plugins
from homeostasis.project import Project
project = Project.load(Path(sys.argv[1]))
with Ledger.open(project) as ledger:
    Engine(project, load_plugins(project), ledger, lambda notice: None).serve(threading.Event())
"""
CALLS, SENDERS = 150, 3


def test_every_acknowledged_event_is_in_the_ledger(project_factory):
    port = free_port()
    place = project_factory(
        {"shop/__init__.py": "", "shop/cart.py": "def price(row):\n    return row['price']\n"},
        {"mode": "observe", "plugins": ["collect-sentry"], "collect-sentry": {"port": port}},
    )
    server = subprocess.Popen([sys.executable, "-c", SERVE, str(place.root)])
    acknowledged, sent = [], []

    def report(number):
        for count in range(10_000):
            name = f"{number:016}{count:016}"
            sent.append(name)
            try:
                if send(f"http://key@127.0.0.1:{port}/1", envelope(("event", event(name))))[0] == 200:
                    acknowledged.append(name)
            except (OSError, ValueError):
                return  # the server is gone

    try:
        for _ in range(1000):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        senders = [threading.Thread(target=report, args=(number,)) for number in range(SENDERS)]
        for sender in senders:
            sender.start()
        for _ in range(3000):
            if len(acknowledged) >= CALLS:
                break
            time.sleep(0.01)
    finally:
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
    for sender in senders:
        sender.join()
    with Ledger.open(place) as ledger:
        counted = sum(incident.count for incident in ledger.incidents())
    assert len(acknowledged) >= CALLS
    assert len(acknowledged) <= counted <= len(sent)
