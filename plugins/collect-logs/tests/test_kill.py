"""What was acknowledged is in the ledger, whenever the orchestrator is killed."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time

import msgpack
import pytest

from homeostasis.ledger import Ledger

pytestmark = pytest.mark.slow  # the orchestrator itself, in a process that is killed

RECORD = {"log": 'Traceback (most recent call last):\n  File "shop/cart.py", line 10, in price\n    return row["price"]\nKeyError: 1'}  # fmt: skip
PATIENCE = 60.0


class Sender(threading.Thread):
    """Sends chunks over one connection after another, and counts the acknowledged ones."""

    def __init__(self, port):
        super().__init__()
        self.port = port
        self.acknowledged = self.sent = 0
        self.ended = threading.Event()

    def run(self):
        while not self.ended.is_set():
            with contextlib.suppress(OSError):
                self._send()
            time.sleep(0.02)

    def _send(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            while not self.ended.is_set():
                self.sent += 1
                connection.sendall(msgpack.packb(["shop", [[time.time(), RECORD]], {"chunk": f"c{self.sent}"}]))
                if not connection.recv(1000):
                    return
                self.acknowledged += 1


def test_what_was_acknowledged_is_there(project_factory, place):
    """Three kills at any moment; what was sent without an answer may be there too."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    table = {"listen": [f"fluent+tcp://127.0.0.1:{port}"], "settle": 0}
    files = {"shop/__init__.py": "", "shop/cart.py": (place.root / "shop/cart.py").read_text()}
    project = project_factory(files, {"mode": "observe", "plugins": ["collect-logs"], "collect-logs": table})
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HOMEOSTASIS")}
    command = [sys.executable, "-m", "homeostasis.cli", "run", "--project", str(project.root)]
    sender = Sender(port)
    sender.start()
    try:
        for _ in range(3):
            before = sender.acknowledged
            with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as run:
                deadline = time.monotonic() + PATIENCE
                while sender.acknowledged < before + 20:
                    assert run.poll() is None, run.stderr.read()
                    assert time.monotonic() < deadline
                    time.sleep(0.01)
                run.kill()
    finally:
        sender.ended.set()
        sender.join()
    with Ledger.open(project) as ledger:
        (incident,) = ledger.incidents()
    assert sender.acknowledged >= 60
    assert sender.acknowledged <= incident.count <= sender.sent
