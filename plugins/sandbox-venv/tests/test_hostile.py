"""Hostile programs at each level: what is stopped, and what is known not to be. The table of the documentation."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from homeostasis_sandbox_venv import isolation, landlock

WALLS = ("bubblewrap", "landlock")
ALL = ("bubblewrap", "landlock", "rlimits")
ATTEMPTS = {
    "write outside": ("open(OUTSIDE, 'w').write('ruined')", WALLS),
    "write the live tree": ("open(LIVE, 'w').write('ruined')", WALLS),
    "read a secret in the home directory": ("open(SECRET).read()", WALLS),
    "read the ledger": ("open(LEDGER).read()", WALLS),
    "reach a server of the host": ("import socket; socket.create_connection(('127.0.0.1', PORT), 5)", WALLS),
    "reach a socket with a path": (
        "import os, socket; os.chdir('/'); socket.socket(socket.AF_UNIX).connect(SOCKET)",
        ("bubblewrap",),
    ),
    "signal the orchestrator": ("import os; os.kill(OWNER, 0)", WALLS),
    "kill the parent": ("import os; os.kill(os.getppid(), 0); assert os.getppid() > 1", WALLS),
    "escape by a symbolic link": ("import os; os.symlink(SECRET, 'link'); open('link').read()", WALLS),
    "escape by /proc": ("open('/proc/%d/root%s' % (OWNER, SECRET)).read()", WALLS),
    "read the orchestrator's environment": ("assert open('/proc/%d/environ' % OWNER, 'rb').read()", WALLS),
    "fill memory": ("bytearray(2 << 30)", ALL),
    "fill a file": ("open('big', 'wb').write(bytes(4 << 20))", ALL),
    "fill the temporary directory": (
        "import tempfile\nfor n in range(8): open('%s/big%d' % (tempfile.gettempdir(), n), 'wb').write(bytes(1 << 19))",
        ("bubblewrap",),
    ),
    "fill the tree": ("for n in range(8): open('big%d' % n, 'wb').write(bytes(1 << 19))", ()),
}
"""Name to a program that ends well only if it succeeds, and the levels that stop it. The order is the table's."""


@pytest.fixture
def surroundings(make_project, tmp_path):
    """A project, and what a hostile program is after."""
    project = make_project({"shop.py": "TEA = 1\n"})
    for name in ("outside", "secret"):
        (tmp_path / name).write_text("whole")
    (project.state / "ledger.db").write_text("whole")
    control = socket.socket(socket.AF_UNIX)
    # The limit of a socket's address is about 100 bytes.
    place = os.open(tmp_path, os.O_RDONLY)
    control.bind(f"/proc/self/fd/{place}/c")
    os.close(place)
    control.listen()
    with control, socket.create_server(("127.0.0.1", 0)) as server:
        names = {
            "OUTSIDE": str(tmp_path / "outside"),
            "SECRET": str(tmp_path / "secret"),
            "LIVE": str(project.root / "shop.py"),
            "LEDGER": str(project.state / "ledger.db"),
            "SOCKET": os.path.relpath(tmp_path / "c", "/"),
            "PORT": server.getsockname()[1],
            "OWNER": os.getpid(),
        }
        yield project, names


def run(trial, code, names=None, **options):
    text = "".join(f"{name} = {value!r}\n" for name, value in (names or {}).items()) + textwrap.dedent(code)
    return trial.run(["{python}", "-c", text], **options)


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_each_attempt_is_stopped_where_the_table_says(surroundings, trial_of, tmp_path, level, attempt):
    """And succeeds where it says that it is not: a wall that is not there is not promised."""
    project, names = surroundings
    code, stopping = ATTEMPTS[attempt]
    if (
        level == "landlock"
        and landlock.abi() < landlock.SCOPES_ABI
        and attempt in ("signal the orchestrator", "kill the parent")
    ):
        pytest.skip("this kernel's Landlock has no scopes")
    if attempt == "fill the temporary directory" and level == "bubblewrap" and not isolation.knows_size():
        pytest.skip("this bubblewrap cannot limit a directory")
    trial = trial_of(project, memory_mb=1024, file_mb=1)
    done = run(trial, code, names, timeout=60)
    found = {name: Path(names[name]).read_text() for name in ("OUTSIDE", "LIVE")}
    if level in stopping:
        # A write that reaches only what is private to the trial ends well; it is judged by what lies outside.
        assert done.returncode != 0 or attempt.startswith("write"), done.stdout
        assert found == {"OUTSIDE": "whole", "LIVE": "TEA = 1\n"}
    else:
        assert done.returncode == 0, done.stderr
        written = {"write outside": ["OUTSIDE"], "write the live tree": ["LIVE"]}.get(attempt, [])
        assert [name for name, text in found.items() if text == "ruined"] == written


def test_running_for_ever_ends_at_the_deadline(make_project, trial_of, level):
    """Also when signals are ignored."""
    code = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: time.sleep(1)"
    done = run(trial_of(make_project({"shop.py": ""})), code, timeout=1)
    assert (done.timed_out, done.returncode != 0) == (True, True)


DAEMON = """
    import os, sys, time
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execve(sys.executable, [sys.executable, "-c", "import time; time.sleep(600)", MARK], {})
        os._exit(0)
    time.sleep(1 if SHORT else 600)
    """


@pytest.mark.parametrize("short", [True, False], ids=["ends", "times out"])
def test_a_daemon_without_environment_and_session_is_ended(make_project, trial_of, level, tmp_path, running, short):
    """It bears no mark of the trial, and is found as a descendant."""
    mark = f"daemon-of-{tmp_path}-{level}-{short}"
    done = run(
        trial_of(make_project({"shop.py": ""})), DAEMON, {"MARK": mark, "SHORT": short}, timeout=30 if short else 3
    )
    assert done.timed_out == (not short)
    assert running(mark) == []


def test_a_fork_bomb_ends_with_the_command(make_project, trial_of, level, tmp_path, running):
    """For an ordinary user the number of processes is limited; root's is not, and all of them are killed at the end."""
    mark = f"bomb-of-{tmp_path}-{level}"
    code = """
        import os, resource, time
        MARK
        for number in range(120 if os.getuid() == 0 else resource.getrlimit(resource.RLIMIT_NPROC)[0] + 16):
            try:
                if os.fork() == 0:
                    time.sleep(600)
            except OSError:
                print("refused")
                break
        """
    done = run(trial_of(make_project({"shop.py": ""}), processes=8), code, {"MARK": mark}, timeout=60)
    assert "refused" in done.stdout or os.getuid() == 0, done.stderr
    assert running(mark) == []


def test_nothing_runs_after_kill_9_of_the_orchestrator(make_project, level, tmp_path, running, wait_for):
    """Processes and mounts end with it at once; the directories are swept by the next one."""
    project = make_project({"shop.py": ""})
    mark = f"orphan-of-{tmp_path}-{level}"
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    code = f"""
        import pathlib, tempfile, threading, time
        tempfile.tempdir = {str(scratch)!r}
        from homeostasis.project import Project
        from homeostasis_sandbox_venv import directories, isolation
        from homeostasis_sandbox_venv.runner import make_trial
        from homeostasis_sandbox_venv.settings import Settings
        isolation.probe = lambda: ({level!r}, "")
        trial = make_trial(None, Project.load(pathlib.Path({str(project.root)!r})), Settings())
        argv = ["{{python}}", "-c", "import time; print(1); time.sleep(600)", {mark!r}]
        threading.Thread(target=trial.run, args=(argv,), kwargs=dict(timeout=600), daemon=True).start()
        print("ready", flush=True)
        time.sleep(600)
        """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE) as orchestrator:
        assert orchestrator.stdout.readline() == b"ready\n"
        wait_for(lambda: running(mark))
        orchestrator.send_signal(signal.SIGKILL)
    wait_for(lambda: not running(mark))
    assert str(scratch) not in Path("/proc/self/mountinfo").read_text()
    sweep = f"import tempfile; tempfile.tempdir = {str(scratch)!r}\nfrom homeostasis_sandbox_venv import directories\nprint(len(directories.sweep()))"
    done = subprocess.run([sys.executable, "-c", sweep], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), list(scratch.iterdir())) == ("1", [])
