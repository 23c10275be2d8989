"""How long until a sandbox is ready, beside other ways to make an environment, and what its walls cost a pytest run.

    python benchmarks/sandbox_ready.py [-n 20] [--pairs 9] [--files 50000] [--json]

The app has the 100 distributions that `sandbox_ready.txt` pins; they are downloaded once, into the temporary directory.
Its environment is made by `python -m venv` and pip, once, and by uv, from its cache; both are measured, offline. Then:

- a trial of that app in fresh processes, split into tree and environment, with its first command;
- the same with a zygote, which makes neither before a fresh process is needed, with its first run;
- a trial of an app of 50,000 files, 300 of them in `source`, split in the same way;
- a pytest run of about two seconds, outside and inside a trial in turns: the overhead is the median of the pairs', by
  the clock and, which other programs on the machine disturb less, in processor time.

Prints median and 90th percentile in milliseconds as they are measured. Takes less than four minutes on two cores.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import math
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional, Sequence
from unittest import mock

from homeostasis.models import Trial
from homeostasis.project import Project
from homeostasis_sandbox_venv import fresh, isolation, zygotes
from homeostasis_sandbox_venv.runner import make_trial
from homeostasis_sandbox_venv.settings import Settings

PINS = Path(__file__).with_suffix(".txt")
AIMS = {
    "100 dependencies: trial ready": 100.0,
    "100 dependencies, zygote: trial ready": 100.0,
    "50,000 files: tree": 50.0,
    "pytest run: overhead in percent": 5.0,
}
UV_RUNS = 5
WARMING = 120.0
"""Seconds that a zygote may take to be ready."""
SUITE = """
import json, sqlite3
import pytest

@pytest.mark.parametrize("number", range(400))
def test_order(number, tmp_path):
    lines = [{"sku": str(line), "price": line * number} for line in range(1500)]
    assert json.loads(json.dumps(lines)) == lines
    (tmp_path / "order.json").write_text(json.dumps(lines[:100]))
    with sqlite3.connect(":memory:") as database:
        database.execute("create table lines (sku, price)")
        database.executemany("insert into lines values (:sku, :price)", lines)
        assert database.execute("select sum(price) from lines").fetchone()[0] == number * 1499 * 750
"""


class Rows:
    """What was measured, by name; each row is printed when it is complete."""

    def __init__(self, quiet: bool) -> None:
        self.values: Dict[str, List[float]] = {}
        self._quiet = quiet

    def add(self, name: str, values: Sequence[float]) -> None:
        """Keep and print a row."""
        self.values[name] = list(values)
        found = self.summary(name)
        if not self._quiet:
            aim = f"  (aim {AIMS[name]:.0f})" if name in AIMS else ""
            print(f"{name:50} {len(values):3} {found['median']:9.1f} {found['p90']:9.1f}{aim}", flush=True)

    def summary(self, name: str) -> Dict[str, float]:
        """Number of measurements, median and 90th percentile."""
        values = sorted(self.values[name])
        p90 = values[math.ceil(0.9 * len(values)) - 1]
        return {"n": len(values), "median": statistics.median(values), "p90": p90}


@contextlib.contextmanager
def timed(into: List[float]) -> Iterator[None]:
    """Append the milliseconds of a block."""
    began = time.perf_counter()
    yield
    into.append((time.perf_counter() - began) * 1000)


@contextlib.contextmanager
def busy(into: List[float]) -> Iterator[None]:
    """Append the milliseconds of processor time that child processes used in a block."""
    before = os.times()
    yield
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    into.append(spent * 1000)


def run(words: Sequence[object], **environment: str) -> None:
    """Run a command that must succeed; what it says is shown only if it does not."""
    done = subprocess.run(
        [str(word) for word in words], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))}: {done.stderr.strip()[-800:]}")


# --- other ways to an environment


def fill_cache(python: Path) -> Path:
    """The directory with all wheels: downloaded if this has not been done before for these pins and this Python."""
    key = hashlib.sha256(PINS.read_bytes() + platform.python_version().encode()).hexdigest()[:12]
    cache = Path(tempfile.gettempdir(), f"homeostasis-wheels-{os.getuid()}-{key}")
    if not cache.is_dir():
        partial = Path(tempfile.mkdtemp(prefix=f"{cache.name}-"))
        words = [
            python,
            "-m",
            "pip",
            "download",
            "-q",
            "--no-deps",
            "--only-binary",
            ":all:",
            "-r",
            PINS,
            "-d",
            partial,
        ]
        run(words)
        partial.rename(cache)
    return cache


def by_pip(rows: Rows, directory: Path, wheels: Callable[[Path], Path]) -> Path:
    """Make the app's environment with `python -m venv` and pip, and return its interpreter."""
    made: List[float] = []
    installed: List[float] = []
    python = directory / "environment" / "bin" / "python"
    with timed(made):
        run([sys.executable, "-m", "venv", directory / "environment"])
    cache = wheels(python)
    offline = ["--no-deps", "--no-index", "--find-links", cache, "-r", PINS]
    with timed(installed):
        run([python, "-m", "pip", "install", "-q", *offline])
    rows.add("python -m venv + pip install, from wheels", [made[0] + installed[0]])
    return python


def find_uv() -> Optional[str]:
    """The uv on PATH or beside this interpreter."""
    return shutil.which("uv") or shutil.which(str(Path(sys.executable).with_name("uv")))


def by_uv(rows: Rows, directory: Path, cache: Path) -> None:
    """Make the same environment with uv, whose cache has been filled by a first time that is not counted."""
    uv = find_uv()
    if uv is None:
        return
    offline = ["--offline", "--no-deps", "--no-index", "--find-links", cache, "-r", PINS]
    spent: List[float] = []
    for number in range(UV_RUNS + 1):
        made = directory / f"by-uv-{number}"
        with timed(spent):
            run([uv, "venv", "-q", "--offline", "--python", sys.executable, made], UV_PYTHON_DOWNLOADS="never")
            where = {"VIRTUAL_ENV": str(made), "UV_CACHE_DIR": str(directory / "uv-cache")}
            run([uv, "pip", "install", "-q", *offline], **where)
        shutil.rmtree(made)
    rows.add("uv venv + uv pip install, from its cache", spent[1:])


# --- ours


def make_app(root: Path, python: Path, files: int, python_files: int) -> Project:
    """A project of that many files that runs on an interpreter."""
    for number in range(files - python_files):
        file = root / "assets" / str(number // 100) / f"{number}.txt"
        if number % 100 == 0:
            file.parent.mkdir(parents=True)
        file.write_text("x" * 200)
    for number in range(python_files):
        file = root / "shop" / str(number // 30) / f"module{number}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"VALUE = {number}\n" * 100)
    (root / "pyproject.toml").write_text(f'[tool.homeostasis]\npython = "{python}"\nsource = ["shop"]\n')
    (root / "warm.py").write_text("import anyio, marshmallow, markdown_it, prompt_toolkit\n")
    return Project.load(root)


def fresh_trials(rows: Rows, name: str, project: Project, runs: int) -> None:
    """Trials in fresh processes: the first of each project is not counted, because it probes and searches."""
    whole: List[float] = []
    environment: List[float] = []
    first: List[float] = []
    ended: List[float] = []
    make_environment = fresh.make_environment

    def make(*given: object, **options: object) -> Path:
        with timed(environment):
            return make_environment(*given, **options)  # type: ignore[arg-type]

    for _ in range(runs + 1):
        with mock.patch.object(fresh, "make_environment", make), timed(whole):
            trial = make_trial(None, project, Settings())
        with timed(first):
            must_run(trial, ["{python}", "-c", "import anyio"])
        with timed(ended):
            trial.close()
    tree = [both - one for both, one in zip(whole, environment)]
    rows.add(f"{name}: trial ready", whole[1:])
    rows.add(f"{name}: tree", tree[1:])
    rows.add(f"{name}: environment", environment[1:])
    rows.add(f"{name}: first command", first[1:])
    rows.add(f"{name}: end of trial", ended[1:])


def forked_trials(rows: Rows, name: str, project: Project, runs: int) -> None:
    """Trials whose processes are forked from a zygote; none if it cannot be made here."""
    settings = Settings()
    with contextlib.closing(make_trial(None, project, settings)) as trial:
        trial.warm_up(["{python}", "-m", "warm"])
        deadline = time.monotonic() + WARMING
        while trial.warmth().reason == zygotes.MAKING and time.monotonic() < deadline:
            time.sleep(0.05)
        if not trial.warmth().ready:
            print(f"no zygote: {trial.warmth().reason}", file=sys.stderr)
            return
    ready: List[float] = []
    first: List[float] = []
    for _ in range(runs):
        with timed(ready):
            trial = make_trial(None, project, settings)
        with timed(first):
            must_run(trial, ["{python}", "-m", "warm"], warm=True)
        trial.close()
    zygotes.end_all()
    rows.add(f"{name}, zygote: trial ready", ready)
    rows.add(f"{name}, zygote: first run, imports its libraries", first)
    alone: List[float] = []
    with contextlib.closing(make_trial(None, project, settings)) as trial:
        for _ in range(runs):
            with timed(alone):
                must_run(trial, ["{python}", "-m", "warm"])
    rows.add(f"{name}: the same run in a fresh process", alone)


def must_run(trial: Trial, words: List[str], *, warm: bool = False) -> None:
    """Run a command in a trial; ends the benchmark if it fails."""
    done = trial.run(words, timeout=300, warm=warm)
    if done.returncode or done.warm != warm:
        sys.exit(f"{words} in a trial: {done.stderr[-800:] or trial.warmth().reason}")


def pytest_runs(rows: Rows, directory: Path, pairs: int) -> None:
    """The same pytest run outside and inside a trial, in turns; each pair gives one overhead."""
    root = directory / "suite"
    root.mkdir()
    (root / "test_orders.py").write_text(SUITE)
    (root / "pyproject.toml").write_text(f'[tool.homeostasis]\npython = "{sys.executable}"\n')
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "test_orders.py"]
    outside: List[float] = []
    inside: List[float] = []
    busy_outside: List[float] = []
    busy_inside: List[float] = []

    def plain() -> None:
        with timed(outside), busy(busy_outside):
            subprocess.run([sys.executable, *words], cwd=root, check=True, capture_output=True)

    with contextlib.closing(make_trial(None, Project.load(root), Settings())) as trial:

        def walled() -> None:
            with timed(inside), busy(busy_inside):
                must_run(trial, ["{python}", *words])

        for number in range(pairs + 1):
            for one in (plain, walled) if number % 2 else (walled, plain):
                one()
    rows.add("pytest run: outside", outside[1:])
    rows.add("pytest run: in a trial", inside[1:])
    for name, before, after in (
        ("pytest run: overhead in percent", outside, inside),
        ("pytest run: overhead in percent, processor time", busy_outside, busy_inside),
    ):
        rows.add(name, [(b / a - 1) * 100 for a, b in zip(before[1:], after[1:])])


def main() -> int:
    """Measure and print; ends with 1 if a median misses its aim."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0] if __doc__ else None)
    parser.add_argument("-n", "--runs", type=int, default=20, help="trials of each kind (default 20)")
    parser.add_argument("--pairs", type=int, default=9, help="pairs of pytest runs (default 9)")
    parser.add_argument("--files", type=int, default=50_000, help="files of the large tree (default 50,000)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    if options.runs < 1 or options.pairs < 1 or options.files < 300:
        parser.error("-n and --pairs must be 1 or more, and --files 300")
    level, reason = isolation.probe()
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.platform()}"
    rows, load = Rows(quiet=options.json), os.getloadavg()[0]
    if not options.json:
        print(f"{machine}, load {load:.2f}, isolation {level} {reason}")
        print(f"{'milliseconds':50} {'n':>3} {'median':>9} {'p90':>9}", flush=True)
    with tempfile.TemporaryDirectory(prefix="homeostasis-bench-") as temporary:
        directory = Path(temporary).resolve()
        python = by_pip(rows, directory, fill_cache)
        by_uv(rows, directory, fill_cache(python))
        small = make_app(directory / "small", python, 300, 50)
        fresh_trials(rows, "100 dependencies", small, options.runs)
        forked_trials(rows, "100 dependencies", small, options.runs)
        large = make_app(directory / "large", python, options.files, 300)
        fresh_trials(rows, f"{options.files:,} files", large, options.runs)
        pytest_runs(rows, directory, options.pairs)
    found = {name: rows.summary(name) for name in rows.values}
    missed = [name for name, aim in AIMS.items() if name in found and found[name]["median"] > aim]
    if options.json:
        print(json.dumps({"machine": machine, "load": load, "isolation": level, "rows": found, "missed": missed}))
    elif missed:
        print(f"missed: {', '.join(missed)}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
