"""How many events a second the Sentry endpoint takes on one core, and in how much memory.

    python benchmarks/collect_http.py [--events 20000] [--memory-events 1000000] [--connections 32] [--json]

The collector writes into a real ledger through the orchestrator's sink, in a process of its own on one core; nothing
is healed meanwhile. The sender is on another core. Sent are events of a Flask app with 200 different crashes, as
sentry-sdk wrote them, compressed with gzip; only their ids are made new. A call is one event, and counts when it is
acknowledged, which is when it is in the ledger. The figure of memory is that after `--memory-events` more.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import socket
import tempfile
import threading
import time
import uuid
import zlib
from pathlib import Path
from typing import Any

CRASHES = 200
WARM_UP_SECONDS = 3.0
ID = slice(13, 45)
"""Where the header of an envelope has the event's id."""
HEAD = "PRICES = {'tea': 3}\n\n\ndef price(name):\n    return PRICES[name]\n\n\n"
VIEW = """\
def view_{0}(rows, currency='EUR', discount=None):
    total_{0} = sum(price(row) for row in rows)
    return total_{0}


"""
PROJECT = """\
[tool.homeostasis]
service = "shop"
mode = "observe"
plugins = ["collect-sentry"]

[tool.homeostasis.collect-sentry]
port = {port}
"""


def envelopes(root: Path) -> list[bytes]:
    """What the SDK sends for each crash, decompressed."""
    import flask
    import sentry_sdk
    from sentry_sdk.transport import Transport

    sent: list[bytes] = []

    class Keep(Transport):  # type: ignore[misc]
        def capture_envelope(self, envelope: Any) -> None:
            sent.append(envelope.serialize())

    code = HEAD + "".join(VIEW.format(number) for number in range(CRASHES))
    (root / "shop.py").write_text(code, encoding="utf-8")
    shop: dict[str, Any] = {"__name__": "shop"}
    exec(compile(code, str(root / "shop.py"), "exec"), shop)
    sentry_sdk.init("http://key@127.0.0.1/1", transport=Keep, release="shop@1.2.3", auto_session_tracking=False)
    app = flask.Flask("bench")
    app.logger.disabled = True

    @app.post("/orders/<int:number>")
    def order(number: int) -> str:
        return str(shop[f"view_{number}"](["tea", "milk"]))

    client = app.test_client()
    for number in range(CRASHES):
        client.post(f"/orders/{number}", json={"items": ["tea", "milk"], "customer": 7})
    sentry_sdk.get_client().close()
    assert len(sent) == CRASHES
    assert all(body.startswith(b'{"event_id":"') for body in sent)
    return sent


def serve(root: str, core: int, stop: Any) -> None:
    """The collector over the orchestrator's sink, in a process of its own."""
    from homeostasis.engine import Engine
    from homeostasis.ledger import Ledger
    from homeostasis.plugins import load_plugins
    from homeostasis.project import Project
    from homeostasis.stages.collect import LedgerSink

    os.sched_setaffinity(0, {core})
    project = Project.load(Path(root))
    ended = threading.Event()
    threading.Thread(target=lambda: (stop.wait(), ended.set()), daemon=True).start()
    with Ledger.open(project) as ledger:
        plugins = load_plugins(project)
        context = Engine(project, plugins, ledger, lambda _: None).context
        ((name, collector),) = plugins.collectors()
        collector.run(LedgerSink(context, lambda _: None, lambda *_: None, name), ended)


class Sender:
    """Sends events over some connections and counts the answers."""

    def __init__(self, port: int, bodies: list[bytes], *, compress: bool) -> None:
        self._port = port
        self._bodies = bodies
        self._compress = compress
        self._number = 0
        self.acknowledged = self.refused = 0

    def call(self) -> bytes:
        """One request; every id is another one."""
        body = self._bodies[self._number % len(self._bodies)]
        self._number += 1
        body = body.replace(body[ID], uuid.uuid4().hex.encode(), 2)
        encoding = b""
        if self._compress:
            packer = zlib.compressobj(1, zlib.DEFLATED, 31)
            body, encoding = packer.compress(body) + packer.flush(), b"content-encoding: gzip\r\n"
        return (
            b"POST /api/1/envelope/ HTTP/1.1\r\nhost: 127.0.0.1\r\nuser-agent: sentry.python/2\r\n"
            b"x-sentry-auth: Sentry sentry_key=key, sentry_version=7, sentry_client=sentry.python/2\r\n"
            b"content-type: application/x-sentry-envelope\r\n%scontent-length: %d\r\n\r\n" % (encoding, len(body))
        ) + body

    async def run(self, calls: list[bytes] | None, connections: int, count: int) -> float:
        """Send `count` calls, made before or now. Returns the seconds it took."""
        left = iter(range(count))

        async def talk() -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            for number in left:
                writer.write(calls[number % len(calls)] if calls else self.call())
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
                await reader.readexactly(length)
                if head.startswith(b"HTTP/1.1 200 "):
                    self.acknowledged += 1
                else:
                    self.refused += 1
            writer.close()

        begin = time.perf_counter()
        await asyncio.gather(*(talk() for _ in range(connections)))
        return time.perf_counter() - begin


def memory(pid: int) -> float:
    """Resident memory in MB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def processor(pid: int) -> float:
    """Seconds of processor time."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def counted(root: Path) -> int:
    """Occurrences in the ledger."""
    from homeostasis.ledger import Ledger
    from homeostasis.project import Project

    with Ledger.open(Project.load(root)) as ledger:
        return sum(incident.count for incident in ledger.incidents())


def measure(arguments: argparse.Namespace, root: Path) -> dict[str, float]:
    cores = sorted(os.sched_getaffinity(0))
    bodies = envelopes(root)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (root / "pyproject.toml").write_text(PROJECT.format(port=port), encoding="utf-8")
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    server = context.Process(target=serve, args=(str(root), cores[0], stop))
    server.start()
    try:
        os.sched_setaffinity(0, set(cores[1:]) or {cores[0]})
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if not server.is_alive():
                raise SystemExit("the collector ended before it listened")
            time.sleep(0.05)
        warm = Sender(port, bodies, compress=True)
        asyncio.run(warm.run(None, 4, CRASHES))
        time.sleep(WARM_UP_SECONDS)
        ready = [warm.call() for _ in range(arguments.events)]
        pid = server.pid or 0
        fast = Sender(port, bodies, compress=True)
        used = processor(pid)
        seconds = asyncio.run(fast.run(ready, arguments.connections, len(ready)))
        used = processor(pid) - used
        before, slow = memory(pid), Sender(port, bodies, compress=False)
        asyncio.run(slow.run(None, arguments.connections, arguments.memory_events))
        after = memory(pid)
    finally:
        stop.set()
        server.join(20)
    acknowledged = warm.acknowledged + fast.acknowledged + slow.acknowledged
    return {
        "bytes": sum(map(len, bodies)) / len(bodies),
        "bytes_compressed": sum(map(len, ready)) / len(ready),
        "events_per_second": fast.acknowledged / seconds,
        "microseconds_of_processor": used / max(fast.acknowledged, 1) * 1e6,
        "refused": fast.refused + slow.refused,
        "megabytes_before": before,
        "megabytes_after": after,
        "acknowledged": acknowledged,
        "in_the_ledger": counted(root),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--memory-events", type=int, default=1_000_000)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(arguments, Path(folder))
    if arguments.json:
        print(json.dumps(found, indent=2))
        return
    for name, value in found.items():
        print(f"{name:30} {value:12.1f}")


if __name__ == "__main__":
    main()
