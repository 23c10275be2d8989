"""Requests per second of a Flask app under gunicorn, with and without monitoring.

    python benchmarks/monitoring_throughput.py [--pairs 120] [--seconds 1] [--json]

Two gunicorn servers run, one of each kind, and are loaded in turn, for a short time each; which is first is drawn by
lot. What else the machine does disturbs neighbours alike, so their ratio is what counts: printed are its median, and
the interval in which that lies with 95 % (percentile bootstrap over the pairs). A second figure hardly depends on what
else runs: the processor time of the workers per request, as the kernel accounts it. Where there are two cores, the
servers have one to themselves and the load is made on the others.

The load is made by `wrk`, or by threads of a Python process where that is not installed; those take more of the machine
than the server, and the rate is then that of the client.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

from monitoring.machine import environment, heading, machine

CONNECTIONS = 4
RESAMPLES = 4000
STUCK_SECONDS = 30.0
"""After this long a server or client is not waited for any more."""
KINDS = ("bare", "monitored")
APP = """
from flask import Flask

app = Flask(__name__)


@app.get("/orders/<int:number>")
def order(number):
    return {"number": number, "total": 12.5}
"""
MONITORED = """
from homeostasis.monitoring import setup_monitoring

setup_monitoring(app)
"""


class Load(NamedTuple):
    """What one turn of load came to."""

    rate: float
    """Requests per second."""
    processor: Optional[float]
    """Microseconds of processor time of the server per request; None where the kernel does not tell."""


class Server:
    """gunicorn with one worker, in a directory of its own.

    Args:
        directory: is made.
        source: the module with the app.
        cores: those it may run on; none means all.
    """

    def __init__(self, directory: Path, source: str, cores: Set[int]) -> None:
        directory.mkdir()
        (directory / "pyproject.toml").write_text("[tool.homeostasis]\n", "utf-8")
        (directory / "shop.py").write_text(source, "utf-8")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        options = ["--bind", f"127.0.0.1:{self.port}", "--workers", "1", "--threads", "1", "--log-level", "error"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", *options, "shop:app"], cwd=str(directory), env=environment()
        )
        if cores:
            os.sched_setaffinity(self._process.pid, cores)  # before it starts its worker, which inherits it
        try:
            self._wait()
        except RuntimeError:
            self.close()
            raise

    def _wait(self) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                    return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError("gunicorn did not start: see above")

    def spent(self) -> Optional[int]:
        """Nanoseconds that all threads of the worker have run so far."""
        try:
            children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text("ascii").split()
            times = [
                path.read_text("ascii") for pid in children for path in Path(f"/proc/{pid}/task").glob("*/schedstat")
            ]
            return sum(int(line.split()[0]) for line in times) if times else None
        except OSError:
            return None

    def load(self, seconds: float) -> Load:
        """Have it answer requests."""
        before = self.spent()
        rate, count = load(self.port, seconds)
        after = self.spent()
        return Load(rate, None if before is None or after is None else (after - before) / 1e3 / count)

    def close(self) -> None:
        """End it, if need be by force."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STUCK_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def load(port: int, seconds: float) -> Tuple[float, int]:
    """Requests per second that the server answers, and how many those were."""
    wrk = shutil.which("wrk")
    if wrk is None:
        return _load_by_threads(port, seconds)
    command = [wrk, "-t", "1", "-c", str(CONNECTIONS), "-d", f"{seconds:g}s", f"http://127.0.0.1:{port}/orders/7"]
    limit = seconds + STUCK_SECONDS
    told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=limit).stdout
    found, count = re.search(r"Requests/sec:\s*([\d.]+)", told), re.search(r"(\d+) requests in", told)
    if found is None or count is None or "Non-2xx" in told:
        raise RuntimeError(f"wrk says: {told}")
    return float(found.group(1)), int(count.group(1))


def _load_by_threads(port: int, seconds: float) -> Tuple[float, int]:
    counts: List[int] = []
    end = time.monotonic() + seconds

    def send() -> None:
        count = 0
        while time.monotonic() < end:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", "/orders/7")
            connection.getresponse().read()
            connection.close()
            count += 1
        counts.append(count)

    threads = [threading.Thread(target=send, daemon=True) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(counts) < CONNECTIONS:
        raise RuntimeError("a client failed: see above")
    return sum(counts) / seconds, sum(counts)


def measure(pairs: int, seconds: float, lot: random.Random) -> List[Dict[str, Load]]:
    """What both did, pair by pair."""
    found: List[Dict[str, Load]] = []
    servers_on = set_apart()
    with tempfile.TemporaryDirectory(prefix="homeostasis-bench-") as name:
        root = Path(name).resolve()
        sources = {"bare": APP, "monitored": APP + MONITORED}
        servers: Dict[str, Server] = {}
        try:
            for kind, source in sources.items():
                servers[kind] = Server(root / kind, source, servers_on)
            for server in servers.values():
                server.load(2)
            for number in range(pairs):
                order = lot.sample(KINDS, len(KINDS))
                found.append({kind: servers[kind].load(seconds) for kind in order})
                if (number + 1) % 10 == 0:
                    sys.stderr.write(f"pair {number + 1} of {pairs}\n")
        finally:
            for server in servers.values():
                server.close()
    return found


def set_apart() -> Set[int]:
    """Keep this process, and the clients that it starts, off one core; return that core, for the servers."""
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    if len(cores) < 2:
        return set()
    for_servers = {min(cores)}
    os.sched_setaffinity(0, cores - for_servers)
    return for_servers


def interval(values: Sequence[float], lot: random.Random) -> Tuple[float, float, float]:
    """The median, and the limits between which it lies with 95 %: Efron's percentile bootstrap."""
    medians = sorted(statistics.median(lot.choices(values, k=len(values))) for _ in range(RESAMPLES))
    return statistics.median(values), medians[RESAMPLES // 40], medians[-RESAMPLES // 40]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0] if __doc__ else None)
    parser.add_argument("--pairs", type=int, default=120, help="how many (default 120)")
    parser.add_argument("--seconds", type=int, default=1, help="of load for each (default 1)")
    parser.add_argument("--seed", type=int, default=1, help="of the lot that decides who is first (default 1)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    where, lot = machine(), random.Random(options.seed)
    found = measure(options.pairs, options.seconds, lot)
    rates = {kind: statistics.median(pair[kind].rate for pair in found) for kind in KINDS}
    ratio = interval([pair["monitored"].rate / pair["bare"].rate for pair in found], lot)
    times = [(pair["bare"].processor, pair["monitored"].processor) for pair in found]
    told = [(bare, monitored) for bare, monitored in times if bare is not None and monitored is not None]
    bare_time = statistics.median(bare for bare, _ in told) if told else None
    added = interval([monitored - bare for bare, monitored in told], lot) if told else None
    if options.json:
        pairs = [{kind: pair[kind]._asdict() for kind in KINDS} for pair in found]
        processor = {"bare": bare_time, "added": added}
        results = {"pairs": pairs, "per second": rates, "ratio": ratio, "processor": processor}
        print(json.dumps({"machine": where, **results}, indent=2))
        return 0
    print(heading(where))
    print(f"load by {'wrk' if shutil.which('wrk') else 'threads of Python'}, {len(found)} pairs of {options.seconds} s")
    print(f"bare {rates['bare']:.0f}, monitored {rates['monitored']:.0f} requests/s")
    print(f"ratio {ratio[0]:.4f}, with 95 % between {ratio[1]:.4f} and {ratio[2]:.4f}")
    if bare_time is not None and added is not None:
        print(f"processor time per request: bare {bare_time:.1f} µs, monitored {added[0]:+.1f} µs", end="")
        print(f" ({added[0] / bare_time:+.2%}), with 95 % between {added[1]:+.1f} and {added[2]:+.1f} µs")
    print(f"\n{for_the_docs(len(found), options.seconds, ratio, bare_time, added)}")
    return 0


Interval = Tuple[float, float, float]


def for_the_docs(pairs: int, seconds: int, ratio: Interval, bare: Optional[float], added: Optional[Interval]) -> str:
    """What `docs/explanation/overhead.md` says of it."""
    lost, least, most = 1 - ratio[0], 1 - ratio[2], 1 - ratio[1]
    told = (
        f"- Under gunicorn, {pairs} pairs of {seconds} s in random order: {lost:.1%} fewer requests per second "
        f"(with 95 % between {least:.1%} and {most:.1%})"
    )
    if bare is None or added is None:
        return f"{told}."
    return (
        f"{told}, and {added[0]:.1f} µs of the worker's processor time per request on top of {bare:.0f} µs (with 95 % "
        f"between {added[1]:.1f} and {added[2]:.1f} µs)."
    )


if __name__ == "__main__":
    sys.exit(main())
