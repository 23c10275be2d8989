"""`doctor` and `plugins`: what is wrong, and how to mend it."""

from __future__ import annotations

import json
import os
import subprocess

import pytest


def findings_of(done):
    return {item["check"]: item for item in json.loads(done.out)}


def test_an_unconfigured_directory_is_an_error_that_names_init(run_cli, tmp_path):
    """Where nothing is set up, doctor ends with 1 and names the command that does it."""
    done = run_cli("doctor", "--project", tmp_path, "--json")
    assert done.status == 1
    assert findings_of(done)["configuration"]["mend"] == "run: homeostasis init"


@pytest.mark.parametrize(
    ("settings", "check", "level", "part"),
    [
        ('plugins = ["spool", "not-there"]', "plugin not-there", "error", "missing"),
        ('plugins = ["spool"]', "stages", "error", "sandbox"),
        ('plugins = ["spool"]', "plugin compile", "warning", "not allowed"),
        ('plugins = ["spool"]\ndeploy.chain = ["git-branch"]', "deployment", "error", "git-branch"),
        ('source = ["../elsewhere"]', "source", "error", "outside"),
        ('source = ["nowhere"]', "source", "error", "does not exist"),
        ('python = "/no/such/python"', "interpreter", "error", "cannot be run"),
        ("", "app", "warning", "not set"),
        ("", "tests", "warning", "no test command"),
        ('validate.test_command = "no-such-runner -q"', "tests", "warning", "not found"),
        ("", "monitoring", "warning", "ever seen"),
        ("", "orchestrator", "warning", "not running"),
        ("", "git", "error", "no git repository"),
    ],
)
def test_each_problem_comes_with_a_way_out(run_cli, make_project, settings, check, level, part):
    """Every problem of an installation is found, with its level and what to do."""
    done = run_cli("doctor", "--project", make_project(settings).root, "--json")
    finding = findings_of(done)[check]
    assert finding["level"] == level
    assert part in finding["detail"]
    assert finding["mend"]
    assert done.status == 1


def test_a_wrong_setting_is_a_finding(run_cli, make_project):
    """A configuration that cannot be read is reported as such, not as a crash."""
    project = make_project()
    (project.root / "pyproject.toml").write_text("[tool.homeostasis]\nmode = 'wild'\n")
    done = run_cli("doctor", "--project", project.root)
    assert done.status == 1
    assert "tool.homeostasis.mode" in done.out


def test_it_sees_repository_workers_and_the_running_orchestrator(run_cli, make_project):
    """A good commit, a live monitored process and a held lock are recognised; dead processes are not counted."""
    import fcntl

    project = make_project('app = "shop:app"')
    git = ["git", "-C", str(project.root), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *words], check=True)
    workers = project.state / "workers"
    workers.mkdir()
    for pid in (os.getpid(), 2**22 + 1):
        record = {"pid": pid, "ppid": 1, "executable": "/usr/bin/python3"}
        (workers / f"{pid}.json").write_text(json.dumps(record))
    (workers / "odd.json").write_text("[")
    with (project.state / "orchestrator.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("process 17\n")
        lock.flush()
        found = findings_of(run_cli("doctor", "--project", project.root, "--json"))
    assert found["git"]["level"] == "ok"
    assert found["monitoring"]["detail"] == f"1 live process (pid {os.getpid()})"
    assert found["orchestrator"]["detail"] == "running (process 17)"
    assert found["interpreter"]["level"] == "ok"


def test_plugins_are_listed_with_states(run_cli, make_project):
    """`plugins` shows loaded, missing and not allowed ones, as text and as JSON."""
    root = make_project('plugins = ["compile", "not-there"]').root
    states = {item["name"]: item for item in json.loads(run_cli("plugins", "--json", "--project", root).out)}
    assert states["compile"]["state"] == "loaded"
    assert states["compile"]["distribution"] == "homeostasis-core"
    assert states["compile"]["hooks"] == ["validate"]
    assert states["not-there"]["state"] == "missing"
    assert states["spool"]["state"] == "not allowed"
    text = run_cli("plugins", "--project", root).out
    assert "not-there" in text
    assert "\x1b" not in text
