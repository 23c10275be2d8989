"""What a program in a trial cannot do."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest

from homeostasis.errors import SandboxError
from homeostasis_sandbox_venv import isolation, landlock


def run(trial, code, **options):
    return trial.run(["{python}", "-c", textwrap.dedent(code)], **options)


walled = pytest.mark.parametrize("level", ["bubblewrap"], indirect=True)
"""For the walls that only bubblewrap builds."""


def test_the_probe_says_what_works_here():
    """A level, and the reason if it is not the strongest."""
    level, reason = isolation.probe()
    assert level in isolation.LEVELS
    assert (reason == "") == (level == isolation.LEVELS[-1])


def test_a_missing_bubblewrap_is_told(monkeypatch, tmp_path):
    """Without the program the next level is tried, and the reason names it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    level, reason = isolation.probe.__wrapped__()
    assert level == ("landlock" if landlock.abi() else "rlimits")
    assert "bwrap" in reason


def test_a_kernel_without_landlock_is_told(monkeypatch, tmp_path):
    """Then the limits remain, and the reason names both."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(landlock, "abi", lambda: 0)
    level, reason = isolation.probe.__wrapped__()
    assert (level, "bwrap" in reason, "Landlock" in reason) == ("rlimits", True, True)


def test_a_bubblewrap_that_fails_is_told(monkeypatch, tmp_path):
    """As in a container without user namespaces: it is there and does not work."""
    program = tmp_path / "bwrap"
    program.write_text("#!/bin/sh\necho 'No permissions to create new namespace' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    level, reason = isolation.probe.__wrapped__()
    assert level != "bubblewrap"
    assert "bubblewrap does not work here: No permissions to create new namespace" in reason


def test_a_required_level_that_does_not_work_is_an_error(make_project, trial_of, monkeypatch):
    """No patch is tried with less isolation than is demanded."""
    monkeypatch.setattr(isolation, "probe", lambda: ("rlimits", "bubblewrap is not installed"))
    with pytest.raises(SandboxError, match="bubblewrap is not installed"):
        trial_of(make_project({"shop.py": ""}), require="bubblewrap")


def test_memory_is_limited(make_project, trial_of, level):
    """A program that fills memory gets a MemoryError."""
    trial = trial_of(make_project({"shop.py": ""}), memory_mb=512)
    done = run(trial, "x = bytearray(1 << 30)")
    assert done.returncode == 1
    assert "MemoryError" in done.stderr


def test_processor_time_is_limited(make_project, trial_of, level):
    """A program that computes for ever is ended by a signal."""
    trial = trial_of(make_project({"shop.py": ""}), cpu_seconds=1)
    done = run(trial, "while True: pass", timeout=60)
    assert not done.timed_out
    assert done.returncode != 0


def test_file_size_is_limited(make_project, trial_of, level):
    """A program cannot write a file without end."""
    trial = trial_of(make_project({"shop.py": ""}), file_mb=1)
    done = run(trial, "open('big', 'wb').write(bytes(4 << 20))")
    assert done.returncode != 0


def test_output_is_bounded(make_project, trial_of, level):
    """A program that prints without end neither blocks nor fills our memory."""
    done = run(trial_of(make_project({"shop.py": ""})), "print('x' * (9 << 20))")
    assert (done.returncode, len(done.stdout)) == (0, 4 << 20)


def test_a_daemon_that_leaves_its_group_is_ended(make_project, trial_of, level):
    """A double fork into a session of its own does not outlive the command."""
    trial = trial_of(make_project({"shop.py": ""}))
    done = run(
        trial,
        """
        import os, time
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(600)
            os._exit(0)
        """,
        timeout=30,
    )
    assert (done.returncode, done.timed_out) == (0, False)
    mark = str(trial.runner.directory).encode()
    assert [p for p in Path("/proc").glob("[0-9]*/environ") if mark in _read(p)] == []


def _read(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""


@walled
def test_nothing_outside_can_be_written(make_project, trial_of, tmp_path, level):
    """Neither the system, nor the home, nor the neighbours of the project."""
    victim = tmp_path / "victim"
    victim.write_text("whole")
    trial = trial_of(make_project({"shop.py": ""}))
    for target in (str(victim), "/etc/homeostasis-was-here", "/usr/homeostasis-was-here"):
        run(trial, f"open({target!r}, 'w').write('ruined')")
        assert not Path("/etc/homeostasis-was-here").exists()
    assert victim.read_text() == "whole"


@walled
def test_secrets_of_the_user_cannot_be_read(make_project, trial_of, tmp_path, level):
    """Neither files beside the project nor those in the home directory, nor the state of the healer."""
    (tmp_path / "secret").write_text("hunter2")
    project = make_project({"shop.py": ""})
    (project.state / "ledger.db").write_text("hunter3")
    done = run(
        trial_of(project),
        f"""
        import os, pathlib
        print(os.listdir({str(Path.home())!r}) if os.path.isdir({str(Path.home())!r}) else [])
        for path in ({str(tmp_path / "secret")!r}, {str(project.state / "ledger.db")!r}):
            print(os.path.exists(path))
        """,
    )
    lines = done.stdout.splitlines()
    assert lines[1:] == ["False", "False"]
    allowed = {p.relative_to(Path.home()).parts[0] for p in _interpreter_paths() if Path.home() in p.parents}
    assert set(eval(lines[0])) <= allowed


def _interpreter_paths():
    paths = [sys.prefix, sys.base_prefix, *sys.path, isolation.__file__, tempfile.gettempdir()]
    return [Path(path).resolve() for path in paths if path] + [Path(path) for path in paths if path]


@walled
def test_servers_of_the_host_cannot_be_reached(make_project, trial_of, level):
    """The loopback inside is another one; it works."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = run(
            trial_of(make_project({"shop.py": ""})),
            f"""
            import socket
            try:
                socket.create_connection(("127.0.0.1", {port}), timeout=5)
                print("reached")
            except OSError:
                print("refused")
            own = socket.create_server(("127.0.0.1", 0))
            socket.create_connection(own.getsockname(), timeout=5)
            print("own")
            """,
        )
    assert done.stdout.split() == ["refused", "own"], done.stderr


@walled
def test_processes_of_the_host_cannot_be_seen(make_project, trial_of, level):
    """Nor killed: the orchestrator's id means somebody else inside, or nobody."""
    done = run(
        trial_of(make_project({"shop.py": ""})),
        f"""
        import os
        print(len([name for name in os.listdir("/proc") if name.isdigit()]))
        print(os.path.exists("/proc/{os.getpid()}/environ") and {os.getpid()} > 100)
        """,
    )
    count, seen = done.stdout.split()
    assert (int(count) < 10, seen) == (True, "False")


@walled
def test_the_project_is_seen_at_its_own_path(make_project, trial_of, level):
    """Tracebacks, configuration and editable installs mean the copy."""
    project = make_project({"shop.py": ""})
    trial = trial_of(project)
    assert trial.root == project.root
    assert run(trial, "import shop; print(shop.__file__)").stdout.strip() == str(project.root / "shop.py")


@walled
@pytest.mark.parametrize("place", ["/tmp", "/dev/shm", "/run"])
def test_private_directories_are_limited_in_sum(make_project, trial_of, level, place):
    """They are kept in memory, of which the limit of a process counts nothing."""
    if not isolation.knows_size():
        pytest.skip("this bubblewrap cannot limit a directory")
    code = f"for n in range(8): open({place!r} + '/big%d' % n, 'wb').write(bytes(1 << 19))"
    done = run(trial_of(make_project({"shop.py": ""}), file_mb=1), code)
    assert done.returncode != 0
    assert "No space left" in done.stderr
