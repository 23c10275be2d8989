"""The orchestrator with the receivers, in this process or in one that can be killed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time

from homeostasis.engine import Engine
from homeostasis.ledger import Ledger
from homeostasis.plugins import load_plugins

SERVE = """
import sys, threading
from pathlib import Path
from homeostasis.engine import Engine
from homeostasis.ledger import Ledger
from homeostasis.plugins import load_plugins
from homeostasis.project import Project
place = Project.load(Path.cwd())
with Ledger.open(place) as ledger:
    Engine(place, load_plugins(place), ledger, lambda notice: None).serve(threading.Event())
"""


def free_ports(count):
    """Ports that nobody listens on."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


def wait_for(port):
    """Until somebody listens on a port of this machine."""
    end = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert time.monotonic() < end, "nobody listens"
            time.sleep(0.05)


def start(place):
    """The orchestrator as a process."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HOMEOSTASIS")}
    return subprocess.Popen([sys.executable, "-c", SERVE], cwd=place.root, env=environment)


def serve(place, act, until):
    """Run the orchestrator, do something meanwhile, and wait until something is true of its ledger."""
    stop = threading.Event()
    with Ledger.open(place) as ledger:
        engine = Engine(place, load_plugins(place), ledger, lambda notice: None)
        thread = threading.Thread(target=engine.serve, args=(stop,))
        thread.start()
        try:
            act()
            for _ in range(3000):
                if until(ledger):
                    break
                stop.wait(0.02)
        finally:
            stop.set()
            thread.join()
        return ledger.incidents()
