"""Run one case: prepare it, crash it, have it healed, and judge what came of it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence

from homeostasis import injection
from repairbench.cases import SEALED, Case
from repairbench.environments import NotRun, Prepared, cache, copy_project, prepare
from repairbench.judging import Judgement, agrees, is_crash, judge
from repairbench.mutation import mutate

HERE = Path(__file__).resolve().parent
HEAL_TIMEOUT = 120.0
"""Seconds for healing one case, capture included."""
PROBE_TIMEOUT = 120.0
"""Seconds for all probes of a case; each alone has ten."""

_SETTINGS = """\
[project]
name = "case"
version = "0"

[tool.homeostasis]
service = "case"
source = {source}
mode = "auto"
{app}
[tool.homeostasis.validate]
regression_test = false

[tool.homeostasis.deploy]
chain = ["working-tree"]
"""


@dataclass(frozen=True)
class Result:
    """What became of a case. `not_run` says why nothing is known; the rest is then meaningless."""

    id: str
    kind: str
    crash_class: str
    half: str
    not_run: str | None = None
    diagnosed: bool = False
    patched: bool = False
    plausible: bool = False
    correct: bool = False
    deployed: bool = False
    """Whether the default policy lets the patch go live without asking."""
    effect: str | None = None
    rule: str | None = None
    exception: str | None = None
    reason: str | None = None
    candidates: int = 0
    tried: int = 0
    seconds: float | None = None
    """From the recorded event to the verdict; the start of the healer is not in it."""
    diff: str | None = None
    spoilt: str | None = None
    """The first probe that speaks against the patch."""

    def as_dict(self) -> dict[str, Any]:
        """Values for JSON; of the sealed half, none that show code."""
        values = asdict(self)
        if self.half == SEALED:
            values.update(diff=None, spoilt=None, reason=None)
        return values


Repairer = Callable[[Case, Path, Prepared], Mapping[str, Any]]
"""Repairs a project in place; returns what the fields of a result are made from."""


def run_case(case: Case, repairer: Repairer) -> Result:
    """The result of one case; a case that cannot be run here is not run, and never counts as failed."""
    try:
        return _run(case, repairer)
    except NotRun as reason:
        return Result(case.id, case.kind, case.crash_class, case.half, not_run=str(reason))


def _run(case: Case, repairer: Repairer) -> Result:
    prepared = prepare(case.code)
    expected = reference(case, prepared)
    root = make_project(case, prepared)
    try:
        crash = probe(case, root, prepared.python, [case.trigger])[case.trigger]
        if not is_crash(crash):
            raise NotRun(f"the trigger does not crash here: {str(crash)[:150]}")
        found = repairer(case, root, prepared)
        after = {case.trigger: crash}
        if found.get("patched"):
            after = probe(case, root, prepared.python, case.probes, wrapper=found.get("wrapper", ()))
            _check_healthy(case, prepared, expected, after)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    verdict = judge(case, expected, after, crash) if found.get("patched") else Judgement(False, False, None)
    patched = bool(found.get("patched"))
    return Result(
        case.id,
        case.kind,
        case.crash_class,
        case.half,
        diagnosed=bool(found.get("diagnosed")),
        patched=patched,
        plausible=verdict.plausible,
        correct=verdict.correct,
        deployed=bool(found.get("deployed")),
        effect=found.get("effect"),
        rule=found.get("rule"),
        exception=found.get("exception") or crash.get("raises"),
        reason=found.get("reason"),
        candidates=found.get("candidates", 0),
        tried=found.get("tried", 0),
        seconds=found.get("seconds"),
        diff=found.get("diff"),
        spoilt=verdict.spoilt,
    )


def _check_healthy(case: Case, prepared: Prepared, expected: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Healthy probes that fail after the repair must hold without it, on this machine too.

    Raises:
        NotRun: one does not.
    """
    failing = [one for one in case.healthy if not agrees(expected[one], after[one])]
    if not failing:
        return
    root = make_project(case, prepared)
    try:
        before = probe(case, root, prepared.python, failing)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    unlike = [one for one in failing if not agrees(expected[one], before[one])]
    if unlike:
        raise NotRun(f"a healthy probe fails before any repair: {unlike[0][:150]}")


def make_project(case: Case, prepared: Prepared, *, mutated: bool = True) -> Path:
    """A project directory with the case's code, settings and, for a call, `trigger.py`."""
    root = copy_project(prepared.tree, case.code.modules)
    if case.mutation is not None and mutated:
        path = root / case.mutation.path
        path.write_bytes(mutate(path.read_bytes().decode("utf-8"), case.mutation).encode("utf-8"))
    app = f"app = {json.dumps(case.app)}\n" if case.app else ""
    settings = _SETTINGS.format(source=json.dumps(list(case.code.modules)), app=app)
    (root / "pyproject.toml").write_text(settings, "utf-8")
    for name, content in case.files.items():
        (root / name).write_text(content, "utf-8")
    if not case.app:
        (root / "trigger.py").write_text(f"{case.setup.rstrip()}\n\n{case.trigger.rstrip()}\n", "utf-8")
    return root


_references: dict[Any, dict[str, Any]] = {}


def reference(case: Case, prepared: Prepared) -> Mapping[str, Any]:
    """The expected outcome of each probe: stored in the case, or shown by the unmutated code."""
    if case.mutation is None:
        return case.expected
    known = _references.setdefault(case.source["subject"], {})
    missing = [one for one in case.probes if one not in known]
    if missing:
        root = make_project(case, prepared, mutated=False)
        try:
            known.update(probe(case, root, prepared.python, missing))
        finally:
            shutil.rmtree(root, ignore_errors=True)
    return known


def probe(
    case: Case,
    root: Path,
    python: Path,
    probes: Sequence[str],
    *,
    propagate: bool = False,
    wrapper: Sequence[str] = (),
) -> dict[str, Any]:
    """The outcome of each probe on the code in `root`.

    Args:
        case: names the app and the setup.
        root: the project.
        python: interpreter of its environment.
        probes: what is run.
        propagate: show an exception instead of the answer 500 that the app makes of it.
        wrapper: words after the interpreter that run the script given after them, for tools that repair at run time.

    Raises:
        NotRun: no outcome can be had.
    """
    question = {"app": case.app, "setup": case.setup, "probes": list(probes), "timeout": 10, "propagate": propagate}
    command = [str(python), *wrapper, str(HERE / "probing.py")]
    done = limited(command, json.dumps(question), root, PROBE_TIMEOUT, _plain_environment())
    outcomes = _last_list(done.stdout)
    if outcomes is None:
        raise NotRun(f"the probes gave no outcome: {done.stderr.strip()[-200:]}")
    return dict(zip(probes, outcomes))


def _last_list(output: str) -> list[Any] | None:
    """The last line that is a JSON list; a wrapper may print after it."""
    for line in reversed(output.splitlines()):
        if line.startswith("["):
            with contextlib.suppress(ValueError):
                found = json.loads(line)
                return found if isinstance(found, list) else None
    return None


def _plain_environment() -> dict[str, str]:
    """The environment for code that is judged: the sender of requests can be imported, nothing is monitored."""
    directory = injection.inject(cache() / "sender")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HOMEOSTASIS_", "PYTHON"))}
    return {**injection.environment(directory, kept), "PYTHONHASHSEED": "0"}


def homeostasis(case: Case, root: Path, prepared: Prepared) -> Mapping[str, Any]:
    """Heal the project with the rules that are installed."""
    question = {
        "python": str(prepared.python),
        "trigger": case.trigger,
        "traffic": list(case.traffic) if case.app else None,
        "probing": {"app": case.app, "setup": case.setup},
        "timeout": 30,
    }
    env = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    done = limited(
        [sys.executable, "-m", "repairbench.healing", str(root)], json.dumps(question), root, HEAL_TIMEOUT, env
    )
    try:
        answer: dict[str, Any] = json.loads(done.stdout.strip().rsplit("\n", 1)[-1])
    except ValueError:
        why = "took too long" if done.returncode == -signal.SIGKILL else done.stderr.strip()[-300:]
        return {"reason": f"the healer gave no answer: {why}", "seconds": None}
    if not answer["event"]:
        return {"reason": f"no event was captured: {done.stderr.strip()[-300:]}"}
    return answer


def limited(
    command: Sequence[str], question: str, root: Path, timeout: float, env: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a command in a session of its own; past the time limit it is killed with its children."""
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        cwd=root,
        env=dict(env),
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(question, timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            return subprocess.CompletedProcess(command, -signal.SIGKILL, out, err)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        return subprocess.CompletedProcess(command, process.returncode, out, err)
