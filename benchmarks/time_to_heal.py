"""Time to heal: from the first crash response to the first good live answer, split by stage.

    python benchmarks/time_to_heal.py -n 10

Runs the crashes of the demo N times, each time on fresh copies and freshly started servers, both services at the same
time as in the demo. `collect` is the time from the crash response until the analysis begins, `live` from the end of
the deployment until the good answer; the rest are the stages of the same names. Prints median and 90th percentile.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any, Dict, List

from homeostasis.cli.demo.running import run_examples
from homeostasis.cli.demo.session import Healing

ORDER = ("collect", "analyze", "patch", "sandbox", "validate", "deploy", "live", "total")


class Quiet:
    """A screen that shows nothing: printing would be measured too."""

    def say(self, app: str, text: str) -> None:
        """Nothing."""

    def progress(self, app: str, notice: object) -> None:
        """Nothing."""

    def healing(self, *_: object) -> None:
        """Nothing."""


def measure(runs: int, names: List[str]) -> List[Healing]:
    """All crashes of all runs."""
    found: List[Healing] = []
    for number in range(runs):
        with tempfile.TemporaryDirectory(prefix="homeostasis-bench-") as directory:
            outcomes = run_examples(names, Path(directory).resolve(), Quiet())
        found += [healing for outcome in outcomes for healing in outcome.healings]
        sys.stderr.write(f"run {number + 1} of {runs}: {sum(h.healed for o in outcomes for h in o.healings)} healed\n")
    return found


def summarise(found: List[Healing]) -> Dict[str, Dict[str, float]]:
    """Median and 90th percentile (nearest rank) of each stage over the healed crashes, in seconds."""
    values: Dict[str, List[float]] = defaultdict(list)
    for healing in found:
        if healing.healed:
            values["total"].append(healing.seconds)
            for name, seconds in healing.stages.items():
                values[name].append(seconds)
    return {
        name: {"median": statistics.median(values[name]), "p90": _percentile(values[name], 0.9)}
        for name in ORDER
        if values[name]
    }


def _percentile(values: List[float], share: float) -> float:
    return sorted(values)[math.ceil(share * len(values)) - 1]


def machine() -> Dict[str, Any]:
    """What it was measured on."""
    return {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()}


def main() -> int:
    """Measure and print; ends with 1 if a crash was not healed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0] if __doc__ else None)
    parser.add_argument("-n", "--runs", type=int, default=10, help="how often (default 10)")
    parser.add_argument("--app", choices=("flask", "fastapi"), help="only this example")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    if options.runs < 1:
        parser.error("-n must be 1 or more")
    found = measure(options.runs, [options.app] if options.app else ["flask", "fastapi"])
    healed = sum(healing.healed for healing in found)
    stages = summarise(found)
    if options.json:
        document = {"machine": machine(), "runs": options.runs, "crashes": len(found), "healed": healed}
        print(json.dumps({**document, "seconds": stages}, indent=2))
    else:
        where = machine()
        print(f"{where['cores']} cores, Python {where['python']}, {where['system']}")
        print(f"{options.runs} runs, {len(found)} crashes, {healed} healed; seconds:")
        print(f"{'stage':10} {'median':>8} {'p90':>8}")
        for name, row in stages.items():
            print(f"{name:10} {row['median']:8.3f} {row['p90']:8.3f}")
    return 0 if healed == len(found) else 1


if __name__ == "__main__":
    sys.exit(main())
