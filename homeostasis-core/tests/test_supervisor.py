"""The supervisor, with real processes: groups, output, restarts, unexpected ends."""

from __future__ import annotations

import io
import json
import os
import sys
import time
from pathlib import Path

import pytest

from homeostasis import supervisor
from homeostasis.errors import UsageError
from homeostasis.project import Project
from homeostasis.supervisor import Supervisor

FAMILY = """
import os, signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {child!r}])
open("pids", "a").write(f"{{os.getpid()}} {{child.pid}}\\n")
{handler}
print("project", os.environ["HOMEOSTASIS_PROJECT"], os.getcwd(), flush=True)
while True:
    time.sleep(60)
"""


def family(handler="", child="import time; time.sleep(600)"):
    return [sys.executable, "-c", FAMILY.format(handler=handler, child=child)]


def until(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def generations(project):
    file = project.root / "pids"
    return [list(map(int, line.split())) for line in file.read_text().splitlines()] if file.exists() else []


@pytest.fixture
def project(tmp_path):
    return Project.load(tmp_path)


@pytest.fixture
def supervise(project):
    made = []

    def _supervise(argv, **options):
        made.append(Supervisor(argv, project, **options))
        return made[-1]

    yield _supervise
    for one in made:
        one.stop(timeout=0.2)


def test_the_command_runs_for_the_project_and_its_output_is_forwarded(project, supervise):
    """Working directory, environment, registry, state file; all gone after the stop, children included."""
    output = io.BytesIO()
    one = supervise(family(), output=output, env={"EXTRA": "1"})
    one.start()
    until(lambda: b"project" in output.getvalue())
    assert output.getvalue().split() == [b"project", str(project.root).encode(), str(project.root).encode()]
    assert supervisor.current(project.root) is one
    state = json.loads((project.state / "supervised.json").read_text())
    assert (state["pid"], state["argv"]) == (one.pid, list(one.argv))
    assert os.getpgid(one.pid) == one.pid
    (pids,) = generations(project)
    one.stop()
    assert not any(map(runs, pids))
    assert supervisor.current(project.root) is None
    assert not (project.state / "supervised.json").exists()
    assert one.wait(0) == one.returncode == -15
    one.stop()


def test_who_ignores_the_request_to_end_is_killed(project, supervise):
    """Also a grandchild that ignores it."""
    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    child = f"import signal, time; {deaf}; time.sleep(600)"
    one = supervise(family(handler=deaf, child=child))
    one.start()
    until(lambda: generations(project))
    one.stop(timeout=0.3)
    assert not any(map(runs, generations(project)[0]))


def test_a_restart_replaces_the_whole_group_and_is_no_end(project, supervise):
    """`wait` goes on waiting, and the registry names the same supervisor."""
    one = supervise(family())
    one.start()
    until(lambda: len(generations(project)) == 1)
    one.restart()
    until(lambda: len(generations(project)) == 2)
    old, new = generations(project)
    assert not any(map(runs, old))
    assert all(map(runs, new))
    assert one.pid == new[0]
    assert one.wait(0) is None
    assert supervisor.current(project.root) is one
    assert json.loads((project.state / "supervised.json").read_text())["pid"] == one.pid


def test_an_unexpected_end_is_noticed(project, supervise):
    """`wait` returns the exit status; there is nothing to restart."""
    one = supervise([sys.executable, "-c", "raise SystemExit(7)"])
    one.start()
    assert one.wait(30) == 7
    assert supervisor.current(project.root) is None
    with pytest.raises(UsageError, match="does not run"):
        one.restart()


@pytest.mark.parametrize("argv", [["./no-such-program"], [], ["a\0b"]])
def test_a_command_that_cannot_start_is_told(project, supervise, argv):
    """With the command in the sentence, and nothing registered."""
    one = supervise(argv)
    with pytest.raises(UsageError, match="cannot start"):
        one.start()
    assert supervisor.current(project.root) is None
    assert one.returncode is one.pid is None


def test_it_starts_once(project, supervise):
    """A second start of a running command is a mistake."""
    one = supervise(family())
    one.start()
    with pytest.raises(UsageError, match="runs already"):
        one.start()


def test_a_closed_output_does_not_block_the_app(project, supervise):
    """The app writes more than a pipe holds after our output broke."""
    output = io.BytesIO()
    output.close()
    code = "import sys; sys.stdout.write('x' * 300_000 + '\\n'); sys.stdout.flush(); raise SystemExit(3)"
    one = supervise([sys.executable, "-c", code], output=output)
    one.start()
    assert one.wait(30) == 3
