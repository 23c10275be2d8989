"""Measure two other rule-based repairers on the small cases, with the same judge.

    python benchmarks/repair/baselines.py --json baselines.json

codesuture 1.1.0 patches bytecode in memory while a program runs, and keeps the patches for the next start: the trigger
is run under it once, then the probes are run under it. autofixai 0.4.1 rewrites a file: it gets the file of the crash
and the trigger as the test that must pass. Both run in a throwaway copy of the project with a home directory of its
own. The small cases are the mutants of the subjects without a web app.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Mapping

sys.path.insert(0, str(Path(__file__).resolve().parent))

from repairbench.cases import Case, load_cases
from repairbench.environments import NotRun, Prepared, install
from repairbench.running import Repairer, Result, homeostasis, limited, run_case

HERE = Path(__file__).resolve().parent
LAUNCHER = HERE / "repairbench" / "launcher.py"
SUBJECTS = ("depotconfig", "feeds", "planner")
TIMEOUT = 90
TOOLS = {"codesuture": "codesuture==1.1.0", "autofixai": "autofixai==0.4.1"}


def codesuture(folder: Path) -> Repairer:
    """A repairer that runs the trigger under codesuture; the probes are then run under it too."""

    def repair(_: Case, root: Path, prepared: Prepared) -> Mapping[str, Any]:
        wrapper = [str(LAUNCHER), str(folder), "codesuture.cli", "run"]
        seconds = _run([str(prepared.python), *wrapper, str(root / "trigger.py")], root)
        stored = any((root / ".codesuture_store").glob("*.code")) if (root / ".codesuture_store").is_dir() else False
        return {"diagnosed": stored, "patched": stored, "deployed": stored, "seconds": seconds, "wrapper": wrapper}

    return repair


def autofixai(folder: Path) -> Repairer:
    """A repairer that lets autofixai rewrite the file that crashed."""

    def repair(_: Case, root: Path, prepared: Prepared) -> Mapping[str, Any]:
        file = _crash_file(root, prepared.python)
        if file is None:
            return {"reason": "no file of the project is in the traceback"}
        before = file.read_bytes()
        test = f"{prepared.python} {root / 'trigger.py'}"
        words = [str(file), "--write", "--no-diff", "--test-cmd", test, "--search-time", "30"]
        seconds = _run([str(prepared.python), str(LAUNCHER), str(folder), "autofixai.cli", *words], root)
        changed = file.read_bytes() != before
        return {"diagnosed": changed, "patched": changed, "deployed": changed, "seconds": seconds}

    return repair


def _crash_file(root: Path, python: Path) -> Path | None:
    done = limited([str(python), "trigger.py"], "", root, TIMEOUT, os.environ)
    files = [Path(name) for name in re.findall(r'File "([^"]+)", line', done.stderr)]
    inside = [file for file in files if root in file.parents and file.name != "trigger.py"]
    return inside[-1] if inside else None


def _run(command: list[str], root: Path) -> float:
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as home:
        env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        limited(command, "", root, TIMEOUT, {**env, "HOME": home})
    return time.perf_counter() - started


def row(name: str, results: list[Result]) -> list[str]:
    """A line of the table."""
    run = [one for one in results if one.not_run is None]
    seconds = [one.seconds for one in run if one.seconds is not None]
    counts = [sum(getattr(one, field) for one in run) for field in ("patched", "plausible", "correct")]
    shares = [f"{count} ({100 * count / len(run):.0f}%)" if run else "-" for count in counts]
    return [name, str(len(run)), *shares, f"{statistics.median(seconds):.2f}" if seconds else "-"]


def main() -> int:
    """Install, run, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--subject", action="append", choices=SUBJECTS, help="only mutants of this one; repeatable")
    options = parser.parse_args()
    subjects = options.subject or SUBJECTS
    cases = [case for case in load_cases() if case.source.get("subject") in subjects]
    repairers: dict[str, Repairer] = {"homeostasis": homeostasis}
    unavailable = {}
    for name, make in (("codesuture", codesuture), ("autofixai", autofixai)):
        try:
            repairers[name] = make(install(TOOLS[name]))
        except NotRun as reason:
            unavailable[name] = str(reason)
    rows = []
    for name, repairer in repairers.items():
        with ThreadPoolExecutor(options.jobs) as pool:
            results = list(pool.map(lambda case, repairer=repairer: run_case(case, repairer), cases))  # type: ignore[misc]
        rows.append(row(TOOLS.get(name, name).replace("==", " "), results))
        print("  ".join(rows[-1]), flush=True)
    text = f"On the {len(cases)} mutants of {', '.join(subjects)}, both halves, with the same judge:"
    document = {"rows": rows, "text": text, "unavailable": unavailable}
    if options.json:
        options.json.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    for name, said in unavailable.items():
        print(f"{name} could not be installed: {said}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
