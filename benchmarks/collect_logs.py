"""How fast `collect-logs` reads: MB/s of a log without errors, crashes a second of one that has nothing else, and those
that come over a socket.

    python benchmarks/collect_logs.py [--megabytes 400] [--crashes 20000] [--events 100000] [--json]

Files are read in one process, without a ledger: what that costs is measured by `ledger_scale.py`. Figures are medians
of five. What is listened to goes into a real ledger: the listener runs alone on one core, the sender on another, and
all crashes are of 200 fingerprints. Its figures are crashes for each second of the clock and for each second of its own
processor time, and its largest resident set. Everything stays on loopback.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Iterator

import msgpack

from homeostasis.ledger import Ledger
from homeostasis.models import Event
from homeostasis.plugins import load_plugins
from homeostasis.project import Project
from homeostasis.stages.collect import LedgerSink
from homeostasis.stages.context import Context
from homeostasis.testing.fakes import MemorySink
from homeostasis_collect_logs.collector import LogCollector
from homeostasis_collect_logs.listening.listener import LogListener
from homeostasis_collect_logs.settings import CollectLogsSettings

RUNS = 5
MESSAGE = "GET /orders/{} 200 in {} ms for customer {} with 3 items"
FORMATS: dict[str, Callable[[int], str]] = {
    "text": lambda n: f"2026-01-02 03:04:05,{n % 1000:03d} INFO shop.views " + MESSAGE.format(n, n % 90, n % 7919),
    "json": lambda n: json.dumps(
        {"asctime": "2026-01-02 03:04:05", "levelname": "INFO", "message": MESSAGE.format(n, n % 90, n % 7919)}
    ),
    "cri": lambda n: f"2026-01-02T03:04:05.{n % 10**9:09d}Z stdout F INFO " + MESSAGE.format(n, n % 90, n % 7919),
}  # fmt: skip
SHOP = "def price(row):\n    return row['price']\n"
CRASH = """Traceback (most recent call last):
  File "/srv/shop/views.py", line {line}, in show
    return render(cart.total(rows))
  File "/srv/shop/shop.py", line 2, in price
    return row['price']
           ~~~^^^^^^^^^
KeyError: 'price'"""
CRASHES: dict[str, Callable[[int], str]] = {
    "text": lambda n: f"2026-01-02 03:04:05,{n % 1000:03d} ERROR shop.views failed\n" + CRASH.format(line=n % 200 + 1),
    "json": lambda n: json.dumps({"message": "failed", "exc_info": CRASH.format(line=n % 200 + 1)}),
}


def read(log: Path, *, size: int) -> tuple[float, MemorySink]:
    """Seconds until the collector has read the log, and what it put."""
    sink, stop = MemorySink(), threading.Event()
    collector = LogCollector(Project.load(log.parent), CollectLogsSettings(files=(log.name,), settle=0))
    begin = time.perf_counter()
    thread = threading.Thread(target=collector.run, args=(sink, stop))
    thread.start()
    while size not in sink.positions.values():
        time.sleep(0.002)
    seconds = time.perf_counter() - begin
    stop.set()
    thread.join()
    return seconds, sink


def measure(make: Callable[[int], str], count: int) -> dict[str, float]:
    """Medians over `RUNS` of a log of `count` records."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "shop.py").write_text(SHOP, encoding="utf-8")
        log = Path(folder) / "app.log"
        with log.open("w", encoding="utf-8") as stream:
            stream.writelines(f"{make(number)}\n" for number in range(count))
        size = log.stat().st_size
        runs = [read(log, size=size) for _ in range(RUNS)]
    seconds = statistics.median(taken for taken, _ in runs)
    sink = runs[0][1]
    crashes = len(sink.events) + sum(again for _, again, _ in sink.recurrences)
    return {"megabytes_per_second": size / 1e6 / seconds, "crashes": crashes, "crashes_per_second": crashes / seconds}


SHOPS = 200
CHUNK = 100


def shop_crash(number: int) -> str:
    """A traceback of one of `SHOPS` functions, each with a fingerprint of its own."""
    name = f"price{number % SHOPS}"
    frames = f'  File "/srv/shop/shop.py", line {2 * (number % SHOPS) + 2}, in {name}\n    return row["price"]'
    return f"Traceback (most recent call last):\n{frames}\nKeyError: 'price'"


def _octet_counted(number: int) -> bytes:
    message = f"<11>Jan  2 03:04:05 host shop[7]: failed\n{shop_crash(number)}".encode()
    return b"%d %s" % (len(message), message)


def _gelf(number: int) -> bytes:
    record = {"version": "1.1", "host": "h", "short_message": "failed", "full_message": shop_crash(number)}
    return json.dumps(record).encode() + b"\0"


def _fluent(number: int) -> bytes:
    """A chunk of `CHUNK` records for every `CHUNK`th number, as Fluent Bit packs them."""
    if number % CHUNK:
        return b""
    entries = [msgpack.packb([time.time(), {"log": shop_crash(each)}]) for each in range(number, number + CHUNK)]
    return bytes(msgpack.packb(["shop", b"".join(entries), {"chunk": str(number)}]))


WIRES: dict[str, Callable[[int], bytes]] = {
    "syslog+tcp": _octet_counted,
    "gelf+tcp": _gelf,
    "json+tcp": lambda n: json.dumps({"message": "failed", "exc_info": shop_crash(n)}).encode() + b"\n",
    "fluent+tcp": _fluent,
}


class Counting(LedgerSink):
    """A sink into the ledger that counts crashes once they are durable."""

    count = _open = 0

    @contextmanager
    def batch(self) -> Iterator[None]:
        """A batch; what it held counts at its end."""
        with super().batch():
            yield
        self.count, self._open = self.count + self._open, 0

    def event(self, event: Event) -> None:
        """One crash."""
        super().event(event)
        self._open += 1

    def recurrence(self, fingerprint: str, count: int, last_seen: float) -> None:
        """Some crashes."""
        super().recurrence(fingerprint, count, last_seen)
        self._open += count


def _nothing(*_: object) -> None:
    """Nothing is healed here."""


def serve(address: str, folder: str) -> None:
    """Listen on core 0 until standard input ends; tells the port first, and then what it took."""
    os.sched_setaffinity(0, {0})
    project, stop = Project.load(Path(folder)), threading.Event()
    listener = LogListener(project, CollectLogsSettings(listen=(address,), recapture=60))
    with Ledger.open(project) as ledger:
        sink = Counting(Context(project, load_plugins(project), ledger, _nothing), _nothing, _nothing, "collect-logs")
        thread = threading.Thread(target=listener.run, args=(sink, stop))
        thread.start()
        while not listener.ports:
            time.sleep(0.01)
        before = time.process_time()
        print(listener.ports[address], flush=True)
        for line in sys.stdin:  # a number of crashes to wait for
            while sink.count < int(line):
                time.sleep(0.01)
            used = resource.getrusage(resource.RUSAGE_SELF)
            print(used.ru_maxrss // 1024, used.ru_utime + used.ru_stime - before, flush=True)
        stop.set()
        thread.join()


def pieces(wire: Callable[[int], bytes], count: int) -> Iterator[bytes]:
    """All crashes, in pieces of a thousand."""
    for start in range(0, count, 1000):
        yield b"".join(wire(number) for number in range(start, min(start + 1000, count)))


def listen(protocol: str, count: int) -> dict[str, float]:
    """Crashes a second from the first byte to the ledger, and megabytes of the listener."""
    with tempfile.TemporaryDirectory() as folder:
        shop = "".join(f'def price{number}(row):\n    return row["price"]\n' for number in range(SHOPS))
        (Path(folder) / "shop.py").write_text(shop, encoding="utf-8")
        (Path(folder) / "pyproject.toml").write_text('[tool.homeostasis]\nmode = "observe"\n', encoding="utf-8")
        command = [sys.executable, __file__, "--serve", f"{protocol}://127.0.0.1:0", folder]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdin is not None
            assert server.stdout is not None
            port = int(server.stdout.readline())
            made = list(pieces(WIRES[protocol], count)) if count <= 200_000 else pieces(WIRES[protocol], count)
            begin = time.perf_counter()
            with socket.create_connection(("127.0.0.1", port)) as connection:
                threading.Thread(target=_drain, args=(connection,), daemon=True).start()
                for piece in made:
                    connection.sendall(piece)
                print(count, file=server.stdin, flush=True)
                megabytes, used = map(float, server.stdout.readline().split())
                seconds = time.perf_counter() - begin
            server.stdin.close()
        return {"crashes_per_second": count / seconds, "per_processor_second": count / used, "megabytes": megabytes}


def _drain(connection: socket.socket) -> None:
    """Read the acknowledgements, so that the listener can go on."""
    try:
        while connection.recv(65_536):
            pass
    except OSError:
        return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=400)
    parser.add_argument("--crashes", type=int, default=20_000)
    parser.add_argument("--events", type=int, default=100_000, help="crashes that are sent over each protocol")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", nargs=2, metavar=("ADDRESS", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(*arguments.serve)
        return
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    found: dict[str, Any] = {}
    for name, make in FORMATS.items():
        found[f"{name}, no errors"] = measure(make, arguments.megabytes * 1_000_000 // (len(make(1000)) + 1))
    for name, make in CRASHES.items():
        found[f"{name}, crashes at 200 places"] = measure(make, arguments.crashes)
    listened = {protocol: listen(protocol, arguments.events) for protocol in WIRES}
    if arguments.json:
        print(json.dumps({"files": found, "listening": listened}, indent=2))
        return
    for name, figures in found.items():
        print(f"{name:40} {figures['megabytes_per_second']:8.0f} MB/s {figures['crashes_per_second']:10.0f} crashes/s")
    for name, figures in listened.items():
        rates = f"{figures['crashes_per_second']:10.0f} crashes/s {figures['per_processor_second']:8.0f} per CPU second"
        print(f"{name:40} {figures['megabytes']:8.0f} MB   {rates}")


if __name__ == "__main__":
    main()
