"""Naming processes: a recycled pid is not the process that was meant."""

from __future__ import annotations

import os
import subprocess
import sys

from homeostasis.processes import is_alive, pid_runs, this_process


def test_running_and_ended_processes_are_told_apart():
    """This process is alive; one that ended is not, nor is one with the same number that started at another time."""
    assert is_alive(this_process())
    assert pid_runs(os.getpid())
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert not pid_runs(process.pid)
    assert not is_alive(f"{os.getpid()}:1")
    assert not is_alive("")
    assert not is_alive("no number:1")
