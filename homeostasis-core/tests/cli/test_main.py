"""The way in: help, version, errors and exit statuses."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from homeostasis.cli import app as root

COMMANDS = sorted(root.CORE_COMMANDS)


def test_version_needs_nothing_but_core():
    """`--version` loads neither typer nor pydantic nor any plugin."""
    code = (
        "import sys; from homeostasis.cli import main; status = main(['--version']);"
        "assert not {'typer', 'pydantic', 'pluggy', 'stevedore', 'rich'} & set(sys.modules); sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, env=_path_of_core(), check=False
    )
    assert (done.returncode, done.stdout) == (0, "homeostasis 0.1.0\n"), done.stderr


def test_without_the_extra_it_names_the_pip_command():
    """A command line that lacks its dependencies ends with 2 and the exact command that brings them."""
    code = "import sys; from homeostasis.cli import main; sys.exit(main(['doctor']))"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, env=_path_of_core(), check=False
    )
    assert done.returncode == 2
    assert f"{sys.executable} -m pip install 'homeostasis-core[orchestrator]'" in done.stderr
    assert "Traceback" not in done.stderr


def _path_of_core():
    import homeostasis

    return {**os.environ, "PYTHONPATH": str(Path(homeostasis.__file__).parents[1])}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(run_cli, command):
    """`--help` of each command shows an example, its project and how to turn colours off."""
    done = run_cli(command, "--help")
    assert done.status == 0
    assert f"Example: homeostasis {command}" in done.out
    assert "--no-color" in done.out
    assert command == "demo" or "--project DIR" in done.out
    assert all(len(line) <= 80 for line in done.out.splitlines())


def test_the_root_help_lists_every_command(run_cli, make_project, monkeypatch):
    """The help of the root names all commands of core."""
    monkeypatch.chdir(make_project().root)
    done = run_cli("--help")
    assert done.status == 0
    assert all(f"\n  {command} " in done.out for command in COMMANDS)


def test_the_root_help_lists_commands_of_plugins(run_cli, make_project, publish, monkeypatch):
    """A plugin that is allowed adds its command, which runs and takes the project from the directory."""
    publish(
        "greeter",
        """
        from homeostasis import hookimpl

        @hookimpl
        def homeostasis_register_cli(app):
            @app.command("greet")
            def greet():
                "Say hello."
                print("hello")
        """,
    )
    monkeypatch.chdir(make_project('plugins = ["greeter"]').root)
    assert "greet" in run_cli("--help").out
    assert run_cli("greet") == (0, "hello\n", "")


def test_help_works_in_a_misconfigured_project(run_cli, make_project, monkeypatch):
    """A wrong setting does not hide the help; it is named."""
    monkeypatch.chdir(make_project().root)
    (make_project().root / "pyproject.toml").write_text("[tool.homeostasis]\nmood = 1\n")
    done = run_cli("--help")
    assert done.status == 0
    assert "mood" in done.err


@pytest.mark.parametrize(
    ("words", "status", "part"),
    [
        (["nonsense"], 2, "No such command"),
        (["show"], 2, "Missing argument"),
        (["show", "zz"], 2, "there is no incident 'zz'"),
        (["incidents", "--state", "sick"], 2, "there is no state 'sick'"),
        (["incidents", "--project", "/nonexistent"], 2, "is not a directory"),
        (["heal"], 2, "exactly one of"),
        (["heal", "--event", "/nonexistent.json"], 2, "cannot be read"),
        (["init", "--mode", "wild"], 2, "there is no mode 'wild'"),
        (["demo", "--app", "django"], 2, "there is no example for 'django'"),
        (["rollback", "zz"], 2, "there is no incident 'zz'"),
    ],
)
def test_mistakes_end_in_one_sentence(run_cli, make_project, monkeypatch, words, status, part):
    """A wrong call ends with 2 and one line that says what to do, never with a traceback."""
    monkeypatch.chdir(make_project('plugins = ["spool"]').root)
    done = run_cli(*words)
    assert done.status == status
    assert part in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert done.out == ""


def test_a_configuration_error_names_the_key(run_cli, make_project):
    """A wrong setting ends with 2 and names the nearest valid key."""
    project = make_project()
    (project.root / "pyproject.toml").write_text('[tool.homeostasis]\nservise = "x"\n')
    done = run_cli("incidents", "--project", project.root)
    assert done.status == 2
    assert "did you mean 'service'?" in done.err


def test_our_own_defect_is_3_and_says_where_to_report_it(run_cli, make_project, monkeypatch):
    """An unexpected exception ends with 3 in a sentence, and with its traceback only under HOMEOSTASIS_DEBUG=1."""
    from homeostasis.ledger import Ledger

    def broken(_project):
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(Ledger, "open", broken)
    root_directory = make_project().root
    done = run_cli("incidents", "--project", root_directory)
    assert done.status == 3
    assert "ZeroDivisionError: oops" in done.err
    assert "report it" in done.err
    assert "Traceback" not in done.err
    monkeypatch.setenv("HOMEOSTASIS_DEBUG", "1")
    assert "Traceback" in run_cli("incidents", "--project", root_directory).err


def test_control_characters_in_errors_are_shown_as_escapes(run_cli, make_project):
    """What a file or an app says cannot steer the terminal."""
    done = run_cli("show", "\x1b]0;title\x07", "--project", make_project().root)
    assert "\x1b" not in done.err
    assert "\\x1b" in done.err
