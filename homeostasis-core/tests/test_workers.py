"""Registered processes: the live ones that are ours, and nothing that pretends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from homeostasis.workers import live_workers, sweep


@pytest.fixture
def project(make_project):
    made = make_project()
    (made.state / "workers").mkdir()
    return made


def register(project, pid, **more):
    path = project.state / "workers" / f"{pid}.json"
    path.write_text(json.dumps({"pid": pid, "ppid": 1, **more}), encoding="utf-8")
    return path


def test_live_worker_is_found_with_what_it_said(project):
    """What a process registered is read; values of a wrong type count as unsaid."""
    register(project, os.getpid(), server="gunicorn", executable="/usr/bin/python", app=3)
    (worker,) = live_workers(project)
    assert (worker.pid, worker.server, worker.executable, worker.app) == (
        os.getpid(),
        "gunicorn",
        "/usr/bin/python",
        None,
    )


@pytest.mark.parametrize("content", ["", "[]", "{", '{"pid": -1, "ppid": 1}', '{"pid": "x"}', "[" * 70000])
def test_damaged_record_is_passed_over(project, content):
    """A file that is no record is nobody's, and is left alone."""
    path = project.state / "workers" / f"{os.getpid()}.json"
    path.write_text(content, encoding="utf-8")
    assert live_workers(project) == []
    sweep(project)
    assert path.exists()


def test_record_under_another_number_is_a_lie(project):
    """A record must bear the number of its process."""
    register(project, os.getpid()).rename(project.state / "workers" / "1.json")
    assert live_workers(project) == []


def test_recycled_number_is_not_the_process_that_registered(project):
    """A process that started after the registration is another one."""
    path = register(project, os.getpid())
    os.utime(path, (1.0, 1.0))
    assert live_workers(project) == []


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_clock_that_is_set_kills_no_worker(project, monkeypatch):
    """A process that says when the kernel started it is known by that, also if the clock is put forward by a day."""
    ticks = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 86400)
    register(project, os.getpid(), start_ticks=ticks)
    assert [worker.pid for worker in live_workers(project)] == [os.getpid()]
    register(project, os.getpid(), start_ticks=str(int(ticks) - 1))
    assert live_workers(project) == []


def test_dead_are_swept_and_the_living_stay(project):
    """What a killed process left is deleted."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    dead, living = register(project, process.pid), register(project, os.getpid())
    sweep(project)
    assert (dead.exists(), living.exists()) == (False, True)
