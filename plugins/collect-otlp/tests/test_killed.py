"""`kill -9` loses nothing that was acknowledged, neither what is in the ledger nor what waits for its request."""

from __future__ import annotations

import itertools
import threading
import time

import pytest

from .calls import export, post
from .engines import free_ports, serve, start, wait_for
from .messages import log, logs

pytestmark = pytest.mark.slow  # two runs of the orchestrator, one of them killed

FEWEST, PATIENCE = 100, 30.0


def test_nothing_acknowledged_is_lost(place, project_factory):
    """Both protocols, with records that wait and others that do not, until the process is killed."""
    port, grpc_port = free_ports(2)
    place = project_factory(
        {"shop/__init__.py": "", "shop/cart.py": (place.root / "shop/cart.py").read_text()},
        {"mode": "observe", "plugins": ["collect-otlp"], "collect-otlp": {"port": port, "grpc_port": grpc_port, "settle": 60}},
    )  # fmt: skip
    number, sent, acknowledged, over = itertools.count(1), [], [], threading.Event()

    def call(kind):
        while not over.is_set():
            own = next(number)
            waits = {"trace_id": own.to_bytes(16, "big")} if own % 2 else {"trace_id": b"", "span_id": b""}
            body = logs(log(**waits)).SerializeToString()
            sent.append(own)
            try:
                if kind == "http":
                    assert post(f"127.0.0.1:{port}", "/v1/logs", body)[0] == 200
                else:
                    export(f"127.0.0.1:{grpc_port}", body)
            except Exception:
                return
            acknowledged.append(own)

    process = start(place)
    try:
        wait_for(port)
        wait_for(grpc_port)
        callers = [threading.Thread(target=call, args=(kind,)) for kind in ("http", "grpc")]
        for caller in callers:
            caller.start()
        end = time.monotonic() + PATIENCE
        while len(acknowledged) < FEWEST and time.monotonic() < end:
            time.sleep(0.01)
        process.kill()
    finally:
        over.set()
        process.kill()
        process.wait()
    for caller in callers:
        caller.join()
    assert len(acknowledged) >= FEWEST
    (incident,) = serve(
        place, lambda: None, lambda ledger: ledger.incidents() and ledger.incidents()[0].count >= len(acknowledged)
    )
    assert len(acknowledged) <= incident.count <= len(sent)
