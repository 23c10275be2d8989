"""What monitoring costs the app, beside sentry-sdk and the OpenTelemetry instrumentation, in one run.

    python benchmarks/monitoring_cost.py [--framework flask] [--json]

Processor time per request, through Flask's test client and FastAPI's ASGI interface in process:

- `healthy`: a request that is answered;
- `first`: a crash that is captured whole, with locals: each in a function of its own;
- `repeated`: a crash that was captured before.

Each kind of monitoring has its own process, taken afresh several times. Blocks of requests alternate between them, and
what is printed is the median over all blocks of the difference to the app without monitoring. The others are measured
in their favour: what they send is thrown away, ours is written to a spool. Then the import: processor time and resident
memory of fresh interpreters.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List

from monitoring.machine import environment, heading, machine, medians, run

MONITORING = ("bare", "homeostasis", "sentry-sdk", "opentelemetry")
SUBJECT = Path(__file__).resolve().parent / "monitoring" / "subject.py"
BLOCK = {"healthy": 200, "first": 10, "repeated": 30}
CRASHES = 1000
PER_MODULE = 10

SHOP = '''"""A shop with a customer, a cart, and a price that is missing."""


class Customer:
    def __init__(self, name):
        self.name = name
        self.country = "DE"


def checkout(number):
    customer = Customer("Ada")
    cart = [{"sku": "pear", "amount": 2}, {"sku": "plum", "amount": 1, "gift": True}]
    settings = {"currency": "EUR", "tax": 0.19, "password": "hunter2", "retries": 3}
    return CHECKOUTS[number](customer, cart, settings)

'''
CRASH = """
def checkout_{0}(customer, cart, settings):
    prices = {{"pear": 1.2, "apple": 0.8}}
    total, note = 0.0, "order {0}"
    for item in cart:
        total += prices[item["sku"]] * item["amount"] + {0}
    return total, note
"""


class Subject:
    """A process that answers requests under one kind of monitoring."""

    def __init__(self, framework: str, monitoring: str, directory: Path) -> None:
        self.monitoring = monitoring
        self._process = subprocess.Popen(
            [sys.executable, str(SUBJECT), framework, monitoring],
            cwd=str(directory),
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._line()

    def spend(self, apps: str, kind: str, first: int, count: int) -> List[float]:
        """Microseconds per request of each app."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{apps} {kind} {first} {count}\n")
        self._process.stdin.flush()
        return [float(word) / 1e3 for word in self._line().split()]

    @property
    def has_twin(self) -> bool:
        """Whether an app without monitoring is in the same process, and stays without."""
        return self.monitoring in ("homeostasis", "opentelemetry")

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process with {self.monitoring} ended: run {SUBJECT.name} by hand to see why")
        return line.strip()


def make_project(directory: Path) -> None:
    """An app to crash: each of its many functions fails at the same expression."""
    (directory / "pyproject.toml").write_text("[tool.homeostasis]\n", "utf-8")
    imports = ""
    for first in range(0, CRASHES, PER_MODULE):
        numbers = range(first, first + PER_MODULE)
        _write(directory / f"part_{first}.py", "".join(CRASH.format(number) for number in numbers))
        imports += f"import part_{first}\nCHECKOUTS += [{', '.join(f'part_{first}.checkout_{n}' for n in numbers)}]\n"
    _write(directory / "shop.py", f"{SHOP}\nCHECKOUTS = []\n{imports}")


def _write(path: Path, source: str) -> None:
    """A module of an app that was installed a while ago: source newer than its process is compiled, to compare."""
    path.write_text(source, "utf-8")
    before = time.time() - 3600
    os.utime(path, (before, before))


def measure_requests(framework: str, launches: int, rounds: int) -> Dict[str, Any]:
    """Microseconds per request without monitoring, and what each kind of monitoring adds."""
    base: List[Dict[str, float]] = []
    added: Dict[str, List[Dict[str, float]]] = {name: [] for name in MONITORING[1:]}
    for launch in range(launches):
        with tempfile.TemporaryDirectory(prefix="homeostasis-bench-") as name:
            directory = Path(name).resolve()
            make_project(directory)
            subjects = [Subject(framework, monitoring, directory) for monitoring in MONITORING]
            try:
                _warm_up(subjects)
                for number in range(rounds):
                    _round(subjects, number, base, added)
            finally:
                for subject in subjects:
                    subject.close()
        sys.stderr.write(f"{framework}: launch {launch + 1} of {launches}\n")
    return {"bare": medians(base), "added": {name: medians(rows) for name, rows in added.items()}}


def _warm_up(subjects: List[Subject]) -> None:
    for subject in subjects:
        apps = "bare" if subject.monitoring == "bare" else "monitored+bare" if subject.has_twin else "monitored"
        subject.spend(apps, "healthy", 1, 300)
        subject.spend(apps.partition("+")[0], "repeated", 0, 30)


def _round(
    subjects: List[Subject], number: int, base: List[Dict[str, float]], added: Dict[str, List[Dict[str, float]]]
) -> None:
    """One block of each kind of request in each process, the order turned by one each time.

    Only healthy requests are compared with the twin: a crash of the twin is logged, and so is captured too.
    """
    turned = subjects[number % len(subjects) :] + subjects[: number % len(subjects)]
    for kind, size in BLOCK.items():
        first = 1 + (number * size) % (CRASHES - size)
        spent: Dict[str, List[float]] = {}
        for subject in turned:
            paired = kind == "healthy" and subject.has_twin
            apps = "bare" if subject.monitoring == "bare" else "monitored+bare" if paired else "monitored"
            spent[subject.monitoring] = subject.spend(apps, kind, first, size)
        bare = spent["bare"][0]
        base.append({kind: bare})
        for name, rows in added.items():
            rows.append({kind: spent[name][0] - (spent[name][1:] or [bare])[0]})


def measure_import(runs: int) -> Dict[str, float]:
    """Milliseconds and megabytes that the import, and a monitored Flask app, have over the same without."""
    app = "import flask; app = flask.Flask('shop'); "
    monitored = f"from homeostasis.monitoring import setup_monitoring; {app} setup_monitoring(app); "
    scripts = {
        "bare": "pass",
        "import": "from homeostasis.monitoring import HomeostasisMiddleware, setup_monitoring",
        "app": app,
        "monitored app": monitored,
    }
    rows: List[Dict[str, float]] = []
    with tempfile.TemporaryDirectory(prefix="homeostasis-bench-") as name:
        directory = Path(name).resolve()
        make_project(directory)
        for number in range(runs + 1):
            spent = {key: run(script, directory) for key, script in scripts.items()}
            if number == 0:
                continue  # it may have written the bytecode
            rows.append(
                {
                    "import ms": spent["import"].milliseconds - spent["bare"].milliseconds,
                    "import MB": spent["import"].megabytes - spent["bare"].megabytes,
                    "app ms": spent["monitored app"].milliseconds - spent["app"].milliseconds,
                    "app MB": spent["monitored app"].megabytes - spent["app"].megabytes,
                }
            )
    return medians(rows)


def show(framework: str, found: Dict[str, Any]) -> None:
    """One table: microseconds, and the others as multiples of ours."""
    print(f"\n{framework}: processor time per request, µs")
    print(f"{'':10} {'bare':>8} {'homeostasis':>13} {'sentry-sdk':>20} {'opentelemetry':>20}")
    for kind in BLOCK:
        ours = found["added"]["homeostasis"][kind]
        cells = [f"{found['bare'][kind]:8.1f}", f"{ours:+13.2f}"]
        for name in MONITORING[2:]:
            other = found["added"][name][kind]
            cells.append(f"{other:+12.1f} ({other / max(ours, 0.01):5.1f}x)".rjust(20))
        print(f"{kind:10} {' '.join(cells)}")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0] if __doc__ else None)
    parser.add_argument("--framework", choices=("flask", "fastapi"), help="only this one")
    parser.add_argument("--launches", type=int, default=3, help="fresh processes of each kind (default 3)")
    parser.add_argument("--rounds", type=int, default=40, help="blocks per launch (default 40)")
    parser.add_argument("--imports", type=int, default=40, help="fresh interpreters of each kind (default 40)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    frameworks = [options.framework] if options.framework else ["flask", "fastapi"]
    where = machine()
    requests = {name: measure_requests(name, options.launches, options.rounds) for name in frameworks}
    imports = measure_import(options.imports) if options.imports else {}
    if options.json:
        print(json.dumps({"machine": where, "microseconds": requests, "import": imports}, indent=2))
        return 0
    print(heading(where))
    for name, found in requests.items():
        show(name, found)
    if imports:
        print("\nfresh interpreters, over the same without monitoring")
        print(f"import homeostasis.monitoring   {imports['import ms']:+6.1f} ms  {imports['import MB']:+5.2f} MB")
        print(f"Flask app with monitoring       {imports['app ms']:+6.1f} ms  {imports['app MB']:+5.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
