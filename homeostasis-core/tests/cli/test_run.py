"""`run`: the orchestrator and the app that it supervises end together, and cleanly."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import homeostasis
from homeostasis.ledger import Ledger
from homeostasis.processes import pid_runs
from homeostasis.project import Project

APP = """
import pathlib, os, time, signal, sys
signal.signal(signal.SIGTERM, lambda *_: (pathlib.Path("ended").write_text("gracefully"), sys.exit(0)))
pathlib.Path("app.pid").write_text(str(os.getpid()))
while True:
    time.sleep(0.05)
"""


@pytest.fixture
def start(make_project):
    """Starts `homeostasis run` in a project with an app, as a process of its own."""
    project = make_project('plugins = ["spool"]', files={"app.py": APP.encode()})
    started = []

    def run(*words):
        source = str(Path(homeostasis.__file__).parents[1])
        argv = [sys.executable, "-m", "homeostasis.cli", "run", "--project", str(project.root), *words]
        environ = {**os.environ, "PYTHONPATH": source, "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ)
        started.append(process)
        return process

    yield project, run
    for process in started:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=30)


def wait_for(condition, timeout=30):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_app_gracefully(start, number, status):
    """Ctrl-C and SIGTERM stop the app with SIGTERM and end without a traceback."""
    project, run = start
    process = run("--", sys.executable, "app.py")
    file = project.root / "app.pid"
    wait_for(lambda: file.exists() and file.read_text())
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == status, err
    assert "Traceback" not in err
    assert (project.root / "ended").read_text() == "gracefully"
    assert not pid_runs(int(file.read_text()))
    assert "watching app in" in out


def test_an_app_that_ends_by_itself_ends_the_run(start):
    """The exit status of the app is that of the run."""
    _, run = start
    process = run(sys.executable, "-c", "raise SystemExit(7)")
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 7
    assert "ended by itself with status 7" in out


def test_a_command_that_cannot_be_started_is_a_usage_error(start):
    """A program that does not exist ends with 2 and is named."""
    _, run = start
    process = run("--", "/no/such/program")
    _, err = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "/no/such/program" in err


def test_a_second_orchestrator_is_refused_and_starts_no_app(start):
    """Where one orchestrator runs, another ends with 2 before it starts anything."""
    project, run = start
    first = run()
    lock = project.state / "orchestrator.lock"
    wait_for(lambda: lock.exists() and str(first.pid) in lock.read_text())
    second = run("--", sys.executable, "app.py")
    _, err = second.communicate(timeout=30)
    assert second.returncode == 2, err
    assert "another orchestrator" in err
    assert not (project.root / "app.pid").exists()


CRASH = "import os, sys\nos.write(1, b'\\n%a\\n' % ('homeostasis.autostart' in sys.modules))\n{}['tea']\n"
"""Its answer is one write, for the orchestrator writes to the same output."""


def spooled_or_heard(project):
    """What became of the crash: it waits in the spool, or the orchestrator has it already."""
    spool = project.state / "spool"
    return list(spool.glob("*.jsonl")) if spool.is_dir() else []


@pytest.mark.parametrize(
    ("options", "settings", "variable", "monitored"),
    [
        ((), "", None, True),
        (("--no-inject",), "", None, False),
        ((), "[tool.homeostasis.monitoring]\ninject = false\n", None, False),
        ((), "", "0", False),
        ((), "", "1", True),
    ],
    ids=["by default", "option", "setting", "variable", "variable that wants it"],
)
def test_the_app_monitors_itself(start, monkeypatch, options, settings, variable, monitored):
    """The app's processes are monitored though nothing in it asks for it, unless somebody opts out."""
    project, run = start
    (project.root / "crash.py").write_text(CRASH)
    with (project.root / "pyproject.toml").open("a") as stream:
        stream.write("\n" + settings)
    if variable is not None:
        monkeypatch.setenv("HOMEOSTASIS_INJECT", variable)
    process = run(*options, "--", sys.executable, "crash.py")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1, err
    assert f"\n{monitored}\n" in f"\n{out}"
    with Ledger.open(Project.load(project.root)) as ledger:
        kinds = [incident.event.raised.type for incident in ledger.incidents()]
    assert (kinds == ["KeyError"] or bool(spooled_or_heard(project))) is monitored


def test_an_app_that_cannot_be_injected_starts_all_the_same(start):
    """Where the state cannot be written, the run says so and the app runs."""
    project, run = start
    (project.state / "injection").write_text("in the way")
    process = run("--", sys.executable, "-c", "print('runs')")
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "runs" in out
    assert "not monitored by itself" in out
