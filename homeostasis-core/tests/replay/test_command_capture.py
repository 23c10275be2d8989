"""`run_captured` and what it puts into the command's interpreter."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import venv
from pathlib import Path

import pytest

from homeostasis import injection
from homeostasis.command_capture import run_captured
from homeostasis.errors import UsageError
from homeostasis.project import Project


@pytest.fixture
def project(tmp_path, monkeypatch):
    """An empty project; the current directory is a folder of it."""
    root = tmp_path / "project"
    (root / "jobs").mkdir(parents=True)
    (root / "pyproject.toml").write_text("[tool.homeostasis]\nservice = 'jobs'\n")
    monkeypatch.chdir(root / "jobs")
    return Project.load(root)


def write(name, code):
    Path(name).write_text(textwrap.dedent(code), encoding="utf-8")


EVEN_SO = ("--continue-on-collection-errors",)


def types(events):
    return [event.raised.type for event in events]


def test_a_crash_is_an_event_with_its_command(project, capfd):
    """The output passes through, the status is the command's, the directory is relative to the root."""
    write("job.py", "print('working')\ndef run():\n    return {}['key']\nrun()\n")
    status, events = run_captured(["python", "job.py"], project, sys.executable)
    out, err = capfd.readouterr()
    assert (status, out, types(events)) == (1, "working\n", ["KeyError"])
    assert "KeyError: 'key'" in err
    assert (events[0].command.argv, events[0].command.cwd) == (("python", "job.py"), "jobs")
    assert (events[0].service, events[0].crash_frame.function, events[0].crash_frame.in_app) == ("jobs", "run", True)
    assert not (project.root / ".homeostasis").exists()


def test_output_can_go_elsewhere(project, tmp_path):
    """For a caller that writes JSON to standard output."""
    with (tmp_path / "out").open("w+", encoding="utf-8") as stream:
        status, events = run_captured([sys.executable, "-c", "print('x')"], project, output=stream)
        stream.seek(0)
        assert (status, events, stream.read()) == (0, [], "x\n")


def test_crashes_of_threads_tasks_and_children_are_events(project, capfd):
    """Also when the program as a whole goes on and ends well."""
    code = """
        import asyncio, subprocess, sys, threading

        def thread():
            raise ValueError("thread")

        async def task():
            raise OSError("task")

        async def main():
            asyncio.ensure_future(task())
            await asyncio.sleep(0)

        worker = threading.Thread(target=thread)
        worker.start()
        worker.join()
        asyncio.run(main())
        subprocess.run([sys.executable, "-c", "{}['child']"])
        """
    write("job.py", code)
    status, events = run_captured(["python", "job.py"], project, sys.executable)
    assert (status, sorted(types(events))) == (0, ["KeyError", "OSError", "ValueError"])


def test_one_crash_many_times_is_one_event(project, capfd):
    """Events are told apart by fingerprint."""
    code = """
        import threading
        for _ in range(30):
            worker = threading.Thread(target=lambda: {}["key"])
            worker.start()
            worker.join()
        """
    write("job.py", code)
    assert types(run_captured(["python", "job.py"], project, sys.executable)[1]) == ["KeyError"]


def test_wanted_ends_are_no_crashes(project, capfd):
    """Neither `sys.exit` nor an interrupt."""
    for code, status in (("import sys; sys.exit(3)", 3), ("raise KeyboardInterrupt", None)):
        found, events = run_captured(["python", "-c", code], project, sys.executable)
        assert events == []
        assert status in (found, None)


def test_crashes_in_tests_are_events_and_failed_assertions_are_not(project, capfd):
    """Also in fixtures and at collection; expected failures are none."""
    code = """
        import pytest

        def test_crash(): return {}["test"]
        def test_failed(): assert 0
        def test_fail(): pytest.fail("no")
        def test_skip(): pytest.skip("no")
        @pytest.mark.xfail(strict=True)
        def test_expected(): raise OSError

        @pytest.fixture
        def broken(): raise LookupError
        def test_broken(broken): pass
        """
    write("test_a.py", code)
    write("test_b.py", "import shop\n")
    write("shop.py", "1 / 0\n")
    _, events = run_captured(
        ["pytest", "-q", "-p", "no:cacheprovider", "--rootdir", ".", *EVEN_SO], project, sys.executable
    )
    assert sorted(types(events)) == ["KeyError", "LookupError", "ZeroDivisionError"]


def test_commands_of_the_apps_environment_come_first(project, tmp_path, capfd):
    """`--python` stands for the whole environment around it."""
    environment = tmp_path / "environment"
    venv.EnvBuilder(with_pip=False, symlinks=True).create(environment)
    (environment / "bin" / "brew").write_text(f"#!{environment}/bin/python\n{{}}['tea']\n")
    (environment / "bin" / "brew").chmod(0o755)
    status, events = run_captured(["brew"], project, str(environment / "bin" / "python"))
    assert (status, types(events)) == (1, ["KeyError"])
    run_captured(["python", "-c", "import sys; print(sys.prefix)"], project, str(environment / "bin" / "python"))
    assert capfd.readouterr().out.strip() == str(environment)


def test_a_relative_interpreter_is_found_from_the_root(project, capfd):
    """As `python = ".venv/bin/python"` means it, wherever the command is started."""
    venv.EnvBuilder(with_pip=False, symlinks=True).create(project.root / ".venv")
    run_captured(["python", "-c", "import sys; print(sys.prefix)"], project, ".venv/bin/python")
    assert capfd.readouterr().out.strip() == str(project.root / ".venv")


def test_a_missing_command_is_a_usage_error(project):
    """It names the command, or the interpreter."""
    with pytest.raises(UsageError, match="nowhere/python"):
        run_captured(["python"], project, "nowhere/python")
    with pytest.raises(UsageError, match="brew-nothing"):
        run_captured(["brew-nothing"], project)


def test_a_command_that_takes_too_long_is_killed(project, capfd):
    """The status is that of the signal."""
    status, events = run_captured(["python", "-c", "import time; time.sleep(60)"], project, sys.executable, timeout=0.5)
    assert (status, events) == (-9, [])


def test_the_sitecustomize_of_others_still_runs(tmp_path):
    """Ours is found first, and runs the one that it hides."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "sitecustomize.py").write_text("import sys\nsys.stdout.write('theirs ')\n")
    env = injection.environment(injection.inject(tmp_path / "injection"), {"PYTHONPATH": str(other)})
    code = "import sitecustomize; print(sitecustomize.__file__)"
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == f"theirs {other}/sitecustomize.py\n"


def test_only_this_package_becomes_importable(tmp_path):
    """The injection directory hides nothing of the app and adds nothing of the healer's environment."""
    directory = injection.inject(injection.inject(tmp_path / "injection"))
    assert sorted(path.name for path in directory.iterdir()) == ["homeostasis", "sitecustomize.py"]
    environment = tmp_path / "environment"
    venv.EnvBuilder(with_pip=False, symlinks=True).create(environment)
    code = """
        import importlib.util, homeostasis.monitoring.replay
        print(homeostasis.__file__, importlib.util.find_spec("pluggy"), importlib.util.find_spec("pydantic"))
        """
    python = str(environment / "bin" / "python")
    env = injection.environment(directory, {})
    done = subprocess.run([python, "-c", textwrap.dedent(code)], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == f"{directory}/homeostasis/__init__.py None None\n"


def test_without_capture_nothing_is_changed(tmp_path):
    """The hooks of the interpreter are its own unless capture was asked for."""
    env = injection.environment(injection.inject(tmp_path / "injection"), {})
    code = "import sys, threading; print(sys.excepthook is sys.__excepthook__, 'homeostasis' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]
