"""A ledger with 10,000 incidents and 1,000,000 occurrences: start of the orchestrator, listing, memory.

    python benchmarks/ledger_scale.py [--incidents 10000] [--json]

The incidents are what a real crash leaves: an event of some 4 kB, a patch and a verdict, a timeline of six entries. A
tenth of them waits for approval, the rest has ended. Times are medians of five.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import Any, Callable, Dict, List

from homeostasis import hookimpl
from homeostasis.engine import Engine
from homeostasis.ledger import Ledger
from homeostasis.models import Event, Frame, Raised, Span, State, Value
from homeostasis.plugins import Plugins
from homeostasis.project import Project

OCCURRENCES = 100
ROUNDS = 5
AIMS = {"start": 1.0, "incidents": 0.2, "memory": 200.0}


def event_of(project: Project, number: int) -> Event:
    """One crash, ten frames deep, with locals."""
    local = {f"name{n}": Value(type="str", repr="'" + "x" * 40 + "'", literal=True, length=40) for n in range(6)}
    frames = tuple(
        Frame(
            path=str(project.root / f"shop/module{n}.py"),
            module=f"shop.module{n}",
            function="handle",
            span=Span(line=number % 500 + 1, column=4, end_column=20),
            in_app=True,
            locals=local,
        )
        for n in range(10)
    )
    raised = Raised(type="KeyError", message=f"'sku-{number}'", bases=("LookupError",), frames=frames)
    return Event(
        id=f"e{number}", timestamp=time.time(), service="shop", fingerprint=f"{number:016x}", exceptions=(raised,)
    )


def fill(project: Project, count: int) -> float:
    """Record the incidents and their occurrences; returns the seconds that it took."""
    began = time.perf_counter()
    ways = (State.DIAGNOSED, State.PATCHED, State.VALIDATED, State.AWAITING_APPROVAL)
    with Ledger.open(project) as ledger:
        for number in range(count):
            incident, _ = ledger.record(event_of(project, number))
            for state in ways:
                ledger.transition(incident.id, state, "as it goes")
            if number % 10:
                ledger.transition(incident.id, State.HEALED, "no recurrence")
            ledger.recur({incident.fingerprint: (OCCURRENCES - 1, time.time())})
            if number % 1000 == 999:
                print(f"  {number + 1} incidents", file=sys.stderr, flush=True)
    return time.perf_counter() - began


def start(project: Project) -> float:
    """Seconds until an orchestrator on this ledger has reconciled and asks its plugins for collectors."""
    stop, ready = threading.Event(), []
    probe = ModuleType("probe")

    @hookimpl
    def homeostasis_collect() -> List[Any]:
        ready.append(time.perf_counter())
        stop.set()
        return []

    probe.homeostasis_collect = homeostasis_collect  # type: ignore[attr-defined]
    plugins = Plugins(project)
    plugins.add("probe", probe)
    began = time.perf_counter()
    with Ledger.open(project) as ledger:
        Engine(project, plugins, ledger, observer=_ignore).serve(stop)
    return ready[0] - began


def _ignore(_: Any) -> None:
    """Nobody watches."""


def listing(project: Project) -> float:
    """Seconds for what `homeostasis incidents` asks the ledger for, opening it included."""
    began = time.perf_counter()
    with Ledger.open(project) as ledger:
        ledger.incidents(None, 50)
        ledger.count()
    return time.perf_counter() - began


def command(project: Project) -> float:
    """Seconds for the whole command, start of the interpreter included."""
    began = time.perf_counter()
    argv = [sys.executable, "-m", "homeostasis.cli", "incidents", "--project", str(project.root)]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began


def median(measure: Callable[[Project], float], project: Project) -> float:
    """The median of some rounds."""
    return statistics.median(measure(project) for _ in range(ROUNDS))


def resident() -> float:
    """Resident memory of this process, in MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--incidents", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        (root / "pyproject.toml").write_text("[tool.homeostasis]\nplugins = []\n", encoding="utf-8")
        project = Project.load(root)
        filled = fill(project, options.incidents)
        found: Dict[str, float] = {
            "fill": filled,
            "start": median(start, project),
            "incidents": median(listing, project),
            "command": median(command, project),
            "memory": resident(),
            "ledger": (project.state / "ledger.db").stat().st_size / 1e6,
        }
    if options.json:
        print(json.dumps({"incidents": options.incidents, **found}))
        return
    print(f"{options.incidents} incidents with {options.incidents * OCCURRENCES} occurrences, {found['ledger']:.0f} MB")
    print(f"recorded in                    {found['fill']:8.1f} s")
    print(f"start until it listens         {found['start']:8.3f} s   (aim {AIMS['start']:g})")
    print(f"list of the newest 50          {found['incidents']:8.3f} s   (aim {AIMS['incidents']:g})")
    print(f"the command as a whole         {found['command']:8.3f} s")
    print(f"resident memory                {found['memory']:8.1f} MB  (aim {AIMS['memory']:g})")


if __name__ == "__main__":
    main()
