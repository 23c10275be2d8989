"""Crash to validated patch, beside the floor: start an interpreter, import the app, replay the request once.

    python benchmarks/validation.py -n 4

Takes each crash of both example services N times from the recorded event to the verdict: analyze, patch, sandbox,
validate, without the app's own tests. First in fresh processes, as the first incident of an orchestrator may be; then
with a zygote, as in an orchestrator that serves; then also with the generated regression test, which is proven in fresh
processes. The floor is the replay of the same request in a fresh interpreter, outside any sandbox. Prints medians, 90th
percentiles and ratios, and how many candidates a second are replayed through the zygote by two workers.
"""

from __future__ import annotations

import argparse
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
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple

from homeostasis import injection
from homeostasis.cli.demo.service import EXAMPLES, find_examples
from homeostasis.cli.demo.traffic import Call, load_traffic
from homeostasis.ledger import Ledger
from homeostasis.models import Effect, Event, FileEdit, Patch, Request, State
from homeostasis.pipeline import heal
from homeostasis.plugins import load_plugins
from homeostasis.project import Project
from homeostasis.replay import replay_requests
from homeostasis.stages.context import Context, Notice
from homeostasis.stages.sandbox import prepare

FRAMEWORKS = {"flask": ("flask", "wsgi"), "fastapi": ("fastapi", "asgi")}
LIMIT = 2.5
"""Times the floor that crash to validated may take."""
LEAST = 20.0
"""Candidates a second that are to be replayed at least."""
CANDIDATES = 40
WARMING = 120.0
"""Seconds that a zygote may take to be ready."""


def project_of(name: str, directory: Path, *, regression_test: bool) -> Project:
    """A copy of an example, validated without its own tests."""
    root = directory / name
    if not root.exists():
        shutil.copytree(find_examples() / EXAMPLES[name].name, root)
    project = Project.load(root)
    validation = project.config.validation.model_copy(update={"test_command": None, "regression_test": regression_test})
    return replace(
        project, config=project.config.model_copy(update={"validation": validation, "python": sys.executable})
    )


def request_of(name: str, call: Call) -> Request:
    """A call as the monitoring would have recorded it."""
    path, _, query = call.path.partition("?")
    framework, interface = FRAMEWORKS[name]
    headers = (("Content-Type", "application/json"),) if call.body else ()
    known: Dict[str, Any] = {"method": call.method, "path": path, "query": query, "headers": headers}
    return Request(**known, body=call.body or b"", framework=framework, interface=interface)


def replay_once(project: Project, request: Request, injected: Path) -> Tuple[float, Dict[str, Any]]:
    """The floor, and the answer: seconds from starting the interpreter to its end."""
    question = {"app": project.config.app, "requests": [json.loads(request.model_dump_json())]}
    asked = {**question, "service": project.config.service, "project_root": str(project.root)}
    env = injection.environment(injected, dict(os.environ), paths=[str(project.root)])
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "homeostasis.monitoring.replay"],
        input=json.dumps(asked),
        env=env,
        cwd=project.root,
        capture_output=True,
        text=True,
        check=True,
    )
    return time.perf_counter() - began, json.loads(done.stdout.rsplit("\n", 1)[-1])


def context_of(project: Project, observe: Callable[[Notice], None] = lambda _: None) -> Context:
    """A context with a ledger of its own."""
    return Context(project, load_plugins(project), Ledger.open(project), observe)


def warm_up(project: Project) -> None:
    """Wait until the zygote of a project is ready."""
    context = context_of(project)
    prepare(context)
    with context.plugins.sandbox(None) as trial:
        deadline = time.monotonic() + WARMING
        while not trial.warmth().ready:
            if time.monotonic() > deadline:
                sys.exit(f"no zygote: {trial.warmth().reason}")
            time.sleep(0.05)


def candidates_per_second(project: Project, event: Event, count: int) -> float:
    """How many candidates get a trial, are replayed and taken away in a second, two at a time."""
    context = context_of(project)
    incident, _ = context.ledger.record(event)
    path = str(Path(event.raised.frames[-1].path).relative_to(project.root))
    before = (project.root / path).read_bytes()

    def one(number: int) -> str:
        edit = FileEdit(path=path, before=before, after=before + f"# candidate {number}\n".encode())
        patch = Patch(id=str(number), rule_id="bench", edits=(edit,), effect=Effect.CORRECT, summary="candidate")
        with context.plugins.sandbox(patch) as trial:
            answered = replay_requests(trial, incident, project).crash is not None
            return trial.warmth().reason if answered else "it gave no answer"

    began = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        reasons = set(pool.map(one, range(count))) - {""}
    spent = time.perf_counter() - began
    if reasons:
        sys.exit(f"a candidate was not replayed through the zygote: {reasons}")
    return count / spent


def heal_once(project: Project, event: Event) -> Tuple[float, Dict[str, float], bool]:
    """Seconds from the event to the verdict, those of each stage, and whether a patch was validated."""
    stages: Dict[str, float] = {}

    def observe(notice: Notice) -> None:
        if notice.kind == "finished":
            stages[notice.stage] = notice.seconds

    shutil.rmtree(project.state, ignore_errors=True)
    context = context_of(project, observe)
    began = time.perf_counter()
    incident, _ = context.ledger.record(event)
    healed = heal(context, incident, apply=False)
    return time.perf_counter() - began, stages, healed.state is State.VALIDATED


def crashes_of(name: str, project: Project, injected: Path) -> Iterator[Tuple[Event, Callable[[], float]]]:
    """Each crash of an example as an event, and what measures its floor."""
    for call in load_traffic(find_examples() / EXAMPLES[name].name / "traffic.json").crashing:
        request = request_of(name, call)
        found = replay_once(project, request, injected)[1]["requests"][0]["events"][0]
        event = Event.model_validate({**found, "request": None}).model_copy(update={"request": request})
        yield event, lambda request=request: replay_once(project, request, injected)[0]  # type: ignore[misc]


def measure(runs: int, names: List[str]) -> Iterator[Tuple[str, float, bool]]:
    """Name of what was measured, seconds, and whether it went well."""
    with tempfile.TemporaryDirectory(prefix="homeostasis-bench-") as temporary:
        directory = Path(temporary).resolve()
        injected = injection.inject(directory / "injection")
        for name in names:
            plain = project_of(name, directory, regression_test=False)
            tested = project_of(name, directory, regression_test=True)
            crashes = list(crashes_of(name, plain, injected))
            for event, _ in crashes * runs:
                seconds, _, good = heal_once(plain, event)
                yield f"{name} validated in fresh processes", seconds, good
            for event, floor in crashes * runs:
                warm_up(plain)
                yield f"{name} floor", floor(), True
                seconds, stages, good = heal_once(plain, event)
                yield f"{name} validated", seconds, good
                for stage, spent in stages.items():
                    yield f"{name} - {stage}", spent, True
                seconds, _, good = heal_once(tested, event)
                yield f"{name} validated, with regression test", seconds, good
            for _ in range(runs):
                warm_up(plain)
                rate = candidates_per_second(plain, crashes[0][0], CANDIDATES)
                yield f"{name} candidates/s", rate, rate >= LEAST


def percentile(values: List[float], share: float) -> float:
    """Nearest rank."""
    return sorted(values)[math.ceil(share * len(values)) - 1]


def main() -> int:
    """Measure and print; ends with 1 if a crash got no validated patch."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0] if __doc__ else None)
    parser.add_argument("-n", "--runs", type=int, default=4, help="how often for each of the 12 crashes (default 4)")
    parser.add_argument("--app", choices=("flask", "fastapi"), help="only this example")
    options = parser.parse_args()
    if options.runs < 1:
        parser.error("-n must be 1 or more")
    names = [options.app] if options.app else ["flask", "fastapi"]
    values: Dict[str, List[float]] = defaultdict(list)
    failed = 0
    for name, seconds, good in measure(options.runs, names):
        values[name].append(seconds)
        failed += not good and not name.endswith("candidates/s")
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.platform()}; seconds:")
    print(f"{'':44} {'n':>4} {'median':>8} {'p90':>8} {'times the floor':>16}")
    for name, found in values.items():
        if name.endswith("candidates/s"):
            continue
        middle, floor = statistics.median(found), statistics.median(values[f"{name.split()[0]} floor"])
        print(f"{name:44} {len(found):4} {middle:8.3f} {percentile(found, 0.9):8.3f} {middle / floor:16.2f}")
    for name in names:
        ratio = statistics.median(values[f"{name} validated"]) / statistics.median(values[f"{name} floor"])
        print(f"{name}: {ratio:.1f} times the floor (the aim is {LIMIT})")
        rates = values[f"{name} candidates/s"]
        middle, least = statistics.median(rates), min(rates)
        print(f"{name}: {middle:.0f} candidates/s through the zygote, at worst {least:.0f} (the aim is {LEAST:.0f})")
    print(f"{failed} without a validated patch")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
