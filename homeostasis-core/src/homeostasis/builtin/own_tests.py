"""Built-in validator `own-tests`: what passed before the patch passes with it.

The tests that reach the change run first, then the others, if those take longer than starting pytest once more. pytest
is asked on the base which tests there are, so that a test that vanishes with the patch is missed even if all others
pass: that costs the imports of the tests, once for as long as the tree and its environment stay the same (`listings`),
while running them all on the base would cost as much as the tests themselves.
"""

from __future__ import annotations

from typing import NamedTuple, Sequence

from homeostasis import hookimpl
from homeostasis.builtin import pytest_runs, reach
from homeostasis.builtin.listings import Listings
from homeostasis.builtin.pytest_runs import Collected, Command, Run
from homeostasis.models import Check, Completed, Outcome, Patch, Trial
from homeostasis.project import Project

NAME = "own-tests"
WORTH_SPREADING = 5.0
"""Seconds that the other tests take by estimate, from which on pytest-xdist pays for starting its workers."""
GUESS = 0.02
"""Seconds that a test takes that never ran."""

_LISTINGS = Listings()


class Part(NamedTuple):
    """Some of the tests."""

    command: Command
    tests: frozenset[str] | None
    """What pytest says that it runs without the patch; None if it does not."""
    skipped: frozenset[str] = frozenset()
    """Those that are known to be skipped without the patch."""
    remembered: bool = False
    """Whether all that is from an earlier crash: a test beyond these shows that there is more to be compared."""


class Tally(NamedTuple):
    """What speaks for the patch; `passed` is None where single tests are not known."""

    passed: int | None
    how: str
    failing: int = 0
    flaky: tuple[str, ...] = ()
    seconds: float = 0.0
    run: Run | None = None
    """The run with the patch, if in it no test failed, and none was missing or skipped that is not without it."""


@hookimpl
def homeostasis_validate(trial: Trial, base: Trial, patch: Patch, project: Project) -> Check:
    """Run `test_command` on the candidate, and on the base if something fails that may have failed before."""
    text = project.config.validation.test_command
    if not text:
        return _check(Outcome.INCONCLUSIVE, 'no tests: set test_command = "pytest -q" in [tool.homeostasis.validate]')
    command = pytest_runs.parse(text)
    collected = _LISTINGS.ask(base, command, project.config.validation.test_timeout) if command.is_pytest else None
    tallies: list[Tally] = []
    for part in _parts(command, collected, patch, project):
        found = _spread(trial, base, tallies, part, collected, project) or _judge(trial, base, part, project)
        if isinstance(found, Check):
            return found
        tallies.append(found)
    if collected is not None:
        _learn(trial, command, collected, [tally.run for tally in tallies])
    return _summary(tallies)


def prepare(base: Trial, project: Project) -> None:
    """List the tests of the unpatched app before anything crashes."""
    command = pytest_runs.parse(project.config.validation.test_command or "")
    if command.is_pytest:
        _LISTINGS.ask(base, command, project.config.validation.test_timeout)


def _learn(trial: Trial, command: Command, collected: Collected, runs: Sequence[Run | None]) -> None:
    """Remember the tests of the patched tree, which is the next crash's base if the patch is deployed."""
    clean = [run for run in runs if run is not None]
    if len(clean) == len(runs):
        found = frozenset(test for run in clean for test in run.found)
        skipped = frozenset(test for run in clean for test in run.skipped)
        _LISTINGS.confirm(trial, command, collected._replace(tests=found, skipped=skipped))


def _parts(command: Command, collected: Collected | None, patch: Patch, project: Project) -> list[Part]:
    """The tests that reach the change and the others; all in one part if that is not known, or if one has none.

    The others are left out by `--ignore`, so that what the command selects stays as it is. pytest does not ignore what
    the command names itself.
    """
    if collected is None:
        return [Part(command, None)]
    whole = Part(command, collected.tests, collected.skipped, collected.remembered)
    modules = {_module(test) for test in collected.tests}
    names_modules = any(".py" in word for word in command.argv if not word.startswith("-"))
    if names_modules or not all((project.root / module).is_file() for module in modules):
        return [whole]
    near = reach.reaching(project.root, modules, [edit.path for edit in patch.edits]) & modules
    if not near or near == modules or _estimate(collected, modules - near, project) < collected.seconds:
        return [whole]
    return [_part(command, collected, near, modules - near), _part(command, collected, modules - near, near)]


def _part(
    command: Command, collected: Collected, kept: frozenset[str] | set[str], ignored: frozenset[str] | set[str]
) -> Part:
    options = [f"--ignore={module}" for module in sorted(ignored)]
    tests = frozenset(test for test in collected.tests if _module(test) in kept)
    return Part(command.plus(*options), tests, collected.skipped & tests, collected.remembered)


def _estimate(collected: Collected, modules: set[str] | frozenset[str], project: Project) -> float:
    """Seconds that the tests of some modules will take, without starting pytest and importing them."""
    tests = [test for test in collected.tests if _module(test) in modules]
    known = [_LISTINGS.seconds_of(project.root, test) for test in tests]
    return sum(GUESS if seconds is None else seconds for seconds in known)


def _module(test: str) -> str:
    return test.partition("::")[0]


def _spread(
    trial: Trial, base: Trial, done: Sequence[Tally], part: Part, collected: Collected | None, project: Project
) -> Tally | None:
    """The tests of a part by pytest-xdist, if they are the others, it pays, and all of them pass.

    Otherwise None: tests that cannot run beside each other would fail with and without the patch, and hide its harm.
    """
    first = done[0] if done else None
    if first is None or not first.passed or part.tests is None or collected is None:
        return None
    estimate = max(0.0, first.seconds - collected.seconds) / first.passed * len(part.tests)
    workers = pytest_runs.workers_for(base, part.command, project) if estimate >= WORTH_SPREADING else 1
    if workers < 2:
        return None
    timeout = project.config.validation.test_timeout
    after = pytest_runs.run(trial, part.command.plus("-n", str(workers)), timeout)
    return _clean(after, part, project)


def _clean(after: Run, part: Part, project: Project) -> Tally | None:
    """The tally of a run in which all tests pass that pytest found without the patch, but those skipped there too."""
    if not after.all_pass:
        return None
    if not part.command.is_pytest:
        return Tally(None, "they pass", seconds=after.completed.seconds)
    if after.tests is None or part.tests is None or part.tests - after.found or after.skipped - part.skipped:
        return None
    if part.remembered and after.found - part.tests:
        return None
    _LISTINGS.took(project.root, after.seconds)
    return Tally(len(after.tests), "with the patch", seconds=after.completed.seconds, run=after)


def _judge(trial: Trial, base: Trial, part: Part, project: Project) -> Tally | Check:
    """Run a part on the candidate and, if not all is well, on the base. A `Check` ends the matter."""
    timeout = project.config.validation.test_timeout
    after = pytest_runs.run(trial, part.command, timeout)
    clean = _clean(after, part, project)
    if clean is not None:
        return clean
    before = pytest_runs.run(base, part.command, timeout)
    if before.completed.timed_out:
        return _check(Outcome.INCONCLUSIVE, f"the tests of the unpatched app are not done within {timeout:g} s")
    if after.completed.timed_out:
        return _check(Outcome.REJECTED, f"the tests are not done within {timeout:g} s; without the patch they are")
    if before.tests is None or after.tests is None:
        return _compare_status(before.completed, after.completed)
    if part.remembered and part.tests != before.found:
        _LISTINGS.forget(base, pytest_runs.parse(project.config.validation.test_command or ""))
    if before.all_pass:
        clean = _clean(after, part._replace(tests=before.found, skipped=before.skipped, remembered=False), project)
        if clean is not None:
            return clean._replace(how="as before")
    seconds = after.completed.seconds
    if not _broken(before.tests, after.tests):
        return _compare_tests(before.tests, after.tests, seconds)
    # What fails now and passed before may be flaky: only what does so twice is held against the patch.
    again = pytest_runs.run(trial, part.command, timeout, attempt=1)
    now = _either(after.tests, again.tests)
    if _broken(before.tests, now):
        once_more = pytest_runs.run(base, part.command, timeout, attempt=1)
        return _compare_tests(_both(before.tests, once_more.tests), now, seconds)
    return _compare_tests(before.tests, now, seconds, flaky=_broken(before.tests, after.tests))


def _check(outcome: Outcome, detail: str) -> Check:
    return Check(name=NAME, outcome=outcome, detail=detail)


def _broken(before: dict[str, bool], after: dict[str, bool]) -> list[str]:
    """Tests that passed and now fail or are gone."""
    return [name for name, good in before.items() if good and not after.get(name, False)]


def _either(first: dict[str, bool], second: dict[str, bool] | None) -> dict[str, bool]:
    """Which tests passed in one of two runs."""
    return {name: (second or {}).get(name, False) or first.get(name, False) for name in {**first, **(second or {})}}


def _both(first: dict[str, bool], second: dict[str, bool] | None) -> dict[str, bool]:
    """Which tests passed in both of two runs; a second run that gave no report says nothing."""
    return first if second is None else {name: good and second.get(name, False) for name, good in first.items()}


def _compare_tests(
    before: dict[str, bool], after: dict[str, bool], seconds: float, flaky: Sequence[str] = ()
) -> Tally | Check:
    passed = sum(before.values())
    broken = _broken(before, after)
    tally = Tally(passed, "as before", len(before) - passed, tuple(flaky), seconds)
    if not broken:
        return tally
    missing = [name for name in broken if name not in after]
    how = "no longer run" if len(missing) == len(broken) else "fail"
    said = f"{len(broken)} tests that passed {how}: {', '.join(broken[:5])}{_told_apart([tally])}"
    return _check(Outcome.REJECTED, said)


def _summary(tallies: Sequence[Tally]) -> Check:
    """The verdict on parts in which nothing is broken."""
    apart = _told_apart(tallies)
    if tallies[0].passed is None:
        return _check(Outcome.ACCEPTED, tallies[0].how)
    numbers = [tally.passed or 0 for tally in tallies]
    if not sum(numbers):
        return _check(Outcome.INCONCLUSIVE, f"no test passes without the patch{apart}")
    how = "as before" if any(tally.how == "as before" for tally in tallies) else "with the patch"
    if len(numbers) == 1:
        passing = "1 test passes" if numbers[0] == 1 else f"{numbers[0]} tests pass"
        return _check(Outcome.ACCEPTED, f"{passing} {how}{apart}")
    near = "1 test that reaches the change" if numbers[0] == 1 else f"{numbers[0]} tests that reach the change"
    others = "1 other" if numbers[1] == 1 else f"{numbers[1]} others"
    return _check(Outcome.ACCEPTED, f"{near}, then {others} pass {how}{apart}")


def _told_apart(tallies: Sequence[Tally]) -> str:
    failing = sum(tally.failing for tally in tallies)
    flaky = [name for tally in tallies for name in tally.flaky]
    said = f"; {failing} failed already without the patch" if failing else ""
    return said + (f"; flaky, with the patch too: {', '.join(flaky[:5])}" if flaky else "")


def _compare_status(before: Completed, after: Completed) -> Tally | Check:
    if before.returncode != 0:
        return _check(
            Outcome.INCONCLUSIVE,
            f"the tests fail already without the patch, with status {before.returncode}: {_last_line(before)}",
        )
    if after.returncode != 0:
        return _check(
            Outcome.REJECTED,
            f"the tests passed without the patch and now end with status {after.returncode}: {_last_line(after)}",
        )
    return Tally(None, "the tests pass with and without the patch")


def _last_line(done: Completed) -> str:
    return (done.stdout.strip() or done.stderr.strip()).rsplit("\n", 1)[-1][:200]
