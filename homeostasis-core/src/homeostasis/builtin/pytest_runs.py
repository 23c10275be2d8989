"""Running `test_command` in a trial, and what pytest says about single tests."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
from contextlib import suppress
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Iterable, Mapping, NamedTuple
from xml.etree import ElementTree as ET

from homeostasis.models import Completed, Trial
from homeostasis.project import Project

REPORTS = ".homeostasis"
"""The directory in the trial's tree where pytest leaves its reports: a place that no app uses."""

_READ = "import sys; sys.stdout.buffer.write(open(sys.argv[1], 'rb').read())"
_MARK = "homeostasis-report:"
_REPORTING = f'report=$1; shift; "$@"; status=$?; printf "\\n{_MARK}\\n" >&2; cat "$report" >&2; exit $status'
"""The shell's part: run the command, then say what is in its report, without starting an interpreter for it."""
_HAS_XDIST = "import importlib.util, sys; sys.exit(importlib.util.find_spec('xdist') is None)"
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_CHOOSES_WORKERS = re.compile(
    r"(?:^|[\s\"'=\[])(?:-n[\s\"',=]*(?:\d|auto|logical)|--numprocesses|--dist\b|-p[\s\"',]*no:xdist)"
)
_SETTINGS = ("pyproject.toml", "pytest.ini", "tox.ini", "setup.cfg")


class Command(NamedTuple):
    """`test_command`, taken apart."""

    argv: tuple[str, ...]
    env: dict[str, str]
    is_pytest: bool

    def plus(self, *words: str) -> Command:
        """The same with further options."""
        return self._replace(argv=(*self.argv, *words))


class Run(NamedTuple):
    """One run of the tests; `tests` maps each test to whether it passed, and is None if that is not known."""

    completed: Completed
    tests: dict[str, bool] | None
    skipped: frozenset[str] = frozenset()
    """Tests that were skipped, or failed as expected: without the patch they may have run."""
    seconds: Mapping[str, float] = MappingProxyType({})
    """How long each test took, as far as pytest says."""

    @property
    def all_pass(self) -> bool:
        """Whether the run ended well and, as far as single tests are known, ran some and failed none."""
        ended_well = self.completed.returncode == 0 and not self.completed.timed_out
        return ended_well and (self.tests is None or (bool(self.tests) and all(self.tests.values())))

    @property
    def found(self) -> frozenset[str]:
        """All tests that were there."""
        return self.skipped.union(self.tests or ())


class Collected(NamedTuple):
    """The tests that pytest would run, as `tests/test_a.py::TestB::test_c[1]`, and what finding them took."""

    tests: frozenset[str]
    seconds: float
    skipped: frozenset[str] = frozenset()
    """Those that are known to be skipped."""
    remembered: bool = False
    """Whether it was found at an earlier crash."""


def parse(text: str) -> Command:
    """Take `MODE=ci pytest -q` apart."""
    words = shlex.split(text)
    env: dict[str, str] = {}
    while words and _ASSIGNMENT.match(words[0]):
        name, _, value = words.pop(0).partition("=")
        env[name] = value
    is_pytest = any(PurePosixPath(word).name in ("pytest", "py.test") for word in words)
    return Command(tuple(words), env, is_pytest)


def run(trial: Trial, command: Command, timeout: float, attempt: int = 0) -> Run:
    """Run the tests; another `attempt` runs them anew, where the trial would answer from memory."""
    env = {**command.env, "HOMEOSTASIS_ATTEMPT": str(attempt)}
    argv = list(command.argv)
    # Each run has a report of its own: parts may run at the same time on the base, and one may leave no report.
    digest = hashlib.sha256(repr((argv, attempt)).encode()).hexdigest()[:16]
    report_name = f"{REPORTS}/own-tests-{digest}.xml"
    if not command.is_pytest:
        return Run(trial.run(argv, env=env, timeout=timeout), None)
    argv += ["-o", "junit_family=xunit1", f"--junitxml={report_name}"]
    completed = trial.run(["sh", "-c", _REPORTING, "sh", report_name, *argv], env=env, timeout=timeout)
    if completed.timed_out:
        return Run(completed, None)
    said, mark, report = completed.stderr.rpartition(f"\n{_MARK}\n")
    if mark:
        completed = completed.model_copy(update={"stderr": said})
    cases = _read_report(report) if mark else None
    if cases is None:  # what the tests said has left no room for it
        report = trial.run(["{python}", "-c", _READ, report_name], env=env).stdout
        cases = _read_report(report)
    if cases is None:
        return Run(completed, None)
    outcomes, skipped = _outcomes(cases)
    return Run(completed, outcomes, skipped, _seconds(cases))


def collect(trial: Trial, command: Command, timeout: float) -> Collected | None:
    """Ask pytest which tests it would run; None if it does not say."""
    done = trial.run([*command.argv, "--collect-only", "--verbosity=-1"], env=command.env, timeout=timeout)
    if done.returncode != 0 or done.timed_out:
        return None
    tests = frozenset(line for line in done.stdout.splitlines() if re.match(r"[^\s:]+\.py::\S", line))
    return Collected(tests, done.seconds) if tests else None


def workers_for(base: Trial, command: Command, project: Project) -> int:
    """How many processes of pytest-xdist this trial may use; 1 where it is not installed or the app chooses itself."""
    cores = os.cpu_count() or 1
    workers = cores // (project.config.validation.parallel or max(1, cores // 2))
    if workers < 2 or _chooses_workers(command, project.root):
        return 1
    return workers if base.run(["{python}", "-c", _HAS_XDIST]).returncode == 0 else 1


def _chooses_workers(command: Command, root: Path) -> bool:
    texts = [" ".join(command.argv), command.env.get("PYTEST_ADDOPTS", "")]
    for name in _SETTINGS:
        try:
            texts.append((root / name).read_text(encoding="utf-8", errors="replace"))
        except OSError:
            continue
    return any(_CHOOSES_WORKERS.search(text) for text in texts)


def _read_report(text: str) -> list[ET.Element] | None:
    """The tests of a JUnit report."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        return None  # pytest writes neither, so it is not pytest's
    try:
        return list(ET.fromstring(text.encode()).iter("testcase"))  # noqa: S314 - without entities, see above
    except ET.ParseError:
        return None


def _outcomes(cases: Iterable[ET.Element]) -> tuple[dict[str, bool], frozenset[str]]:
    """Each test that ran and whether it passed, and those that were skipped."""
    found: dict[str, bool] = {}
    skipped = set()
    for case in cases:
        outcomes, name = {child.tag for child in case}, _test_id(case)
        if "skipped" in outcomes:
            skipped.add(name)
        else:
            found[name] = found.get(name, True) and not outcomes & {"failure", "error"}
    return found, frozenset(skipped)


def _seconds(cases: Iterable[ET.Element]) -> dict[str, float]:
    found: dict[str, float] = {}
    for case in cases:
        with suppress(ValueError):
            found[_test_id(case)] = float(case.get("time") or "")
    return found


def _test_id(case: ET.Element) -> str:
    """The name that pytest gives to a test: `classname` holds the module, dotted, and the classes."""
    file, owner, name = case.get("file") or "", case.get("classname") or "", case.get("name") or ""
    module = PurePosixPath(file).with_suffix("").as_posix().replace("/", ".") if file else ""
    if module and (owner == module or owner.startswith(module + ".")):
        return "::".join((file, *filter(None, owner[len(module) + 1 :].split(".")), name))
    return f"{file or owner}::{name}"
