"""`pytest_runs`: pytest-xdist is used where it helps and nobody chose otherwise."""

from __future__ import annotations

import pytest

from homeostasis.builtin import own_tests, pytest_runs
from homeostasis.builtin.own_tests import Part, Tally
from homeostasis.builtin.pytest_runs import Collected
from homeostasis.testing.fakes import completed, fake_trial


@pytest.fixture(autouse=True)
def _cores(monkeypatch):
    monkeypatch.setattr(pytest_runs.os, "cpu_count", lambda: 4)


def workers(project, command="pytest -q", status=0):
    base = fake_trial(project.root, lambda call: completed(call, returncode=status))
    return pytest_runs.workers_for(base, pytest_runs.parse(command), project)


def test_workers_fit_the_processors_of_one_candidate(make_project):
    """Two candidates run at a time on four cores."""
    assert workers(make_project()) == 2


def test_without_xdist_there_is_one_process(make_project):
    """The app's environment decides, not ours."""
    assert workers(make_project(), status=1) == 1


@pytest.mark.parametrize(
    "command",
    [
        "pytest -n 3",
        "pytest -n3",
        "pytest -nauto",
        "pytest -p no:xdist",
        "PYTEST_ADDOPTS='-n 0' pytest",
        "pytest --numprocesses=2",
    ],
)
def test_a_command_that_chooses_itself_is_left_alone(make_project, command):
    """Both ways: more workers and none."""
    assert workers(make_project(), command) == 1


def test_settings_that_choose_are_left_alone(make_project):
    """`addopts` of the app's own pytest settings."""
    project = make_project()
    (project.root / "pytest.ini").write_text("[pytest]\naddopts = -q -p no:xdist\n")
    assert workers(project) == 1


@pytest.mark.parametrize(("seconds", "spread"), [(1.0, False), (40.0, True)])
def test_only_what_takes_long_is_spread(make_project, seconds, spread):
    """By what the first part took for each of its tests, without the time to import them."""
    project = make_project()
    calls = []

    def answer(call):
        calls.append(call)
        return completed(call, returncode=0)

    trial = fake_trial(project.root, answer)
    part = Part(pytest_runs.parse("pytest"), frozenset({"test_a.py::test_a", "test_a.py::test_b"}))
    first = Tally(2, "with the patch", seconds=seconds)
    found = own_tests._spread(trial, trial, [first], part, Collected(part.tests or frozenset(), 0.5), project)
    assert found is None  # the fake leaves no report, so that nothing is claimed
    assert bool(calls) is spread
