"""`kill -9` of the orchestrator: the next one goes on, with nothing half applied, lost or done twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable

import pytest

from homeostasis.command_capture import run_captured
from homeostasis.ledger import Ledger
from homeostasis.models import State
from homeostasis.project import Project

COUNTS = "def count(words):\n    found = {}\n    for word in words:\n        found[word] += 1\n    return found\n\n\nprint(count(['a', 'b', 'a']))\n"
PAUSE = """
import os, time
from homeostasis import hookimpl
from homeostasis.models import Check, Outcome


def pause_in(stage):
    if os.path.exists("pause-" + stage):
        os.rename("pause-" + stage, "paused-in-" + stage)
        time.sleep(120)


@hookimpl
def homeostasis_validate(patch):
    pause_in("validate")
    return Check(name="pause", outcome=Outcome.ACCEPTED)


@hookimpl
def homeostasis_deploy(journal):
    journal.intend({})
    pause_in("deploy")
    return "paused no more"


@hookimpl
def homeostasis_undo(step):
    return None
"""
SETTINGS = """
[tool.homeostasis]
mode = "auto"
plugins = ["spool", "rules-python", "sandbox-venv", "compile", "reproduction", "pause", "working-tree", "git-branch"]
[tool.homeostasis.deploy]
chain = ["working-tree", "git-branch", "pause"]
[tool.homeostasis.observe]
window = 0
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A repository with a script that crashes, and the crash in the spool."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "pyproject.toml").write_text(SETTINGS, encoding="utf-8")
    (root / "counts.py").write_text(COUNTS, encoding="utf-8")
    (root / ".gitignore").write_text("pause*\n", encoding="utf-8")
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]):
        subprocess.run([*git, *words], cwd=root, check=True)
    made = Project.load(root)
    monkeypatch.chdir(root)
    _, events = run_captured([sys.executable, "counts.py"], made, output=subprocess.DEVNULL)
    made.spool.mkdir(parents=True)
    record = {"record": "event", **json.loads(events[0].model_dump_json())}
    (made.spool / f"1-{os.getpid()}-1.jsonl").write_text(json.dumps(record) + "\n", encoding="utf-8")
    return made


@pytest.fixture
def orchestrator(project: Project, tmp_path: Path) -> Callable[[], subprocess.Popen[bytes]]:
    """Starts `homeostasis run` with a plugin that pauses where a file asks for it."""
    site = tmp_path / "site"
    (site / "pause-1.0.dist-info").mkdir(parents=True)
    (site / "pause_plugin.py").write_text(PAUSE, encoding="utf-8")
    (site / "pause-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: pause\nVersion: 1.0\n")
    (site / "pause-1.0.dist-info/entry_points.txt").write_text("[homeostasis]\npause = pause_plugin\n")
    started = []

    def start() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "homeostasis.cli", "run", "--project", str(project.root)]
        env = {**os.environ, "PYTHONPATH": str(site)}
        started.append(subprocess.Popen(command, env=env, cwd=project.root, stdout=subprocess.DEVNULL))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
        process.wait(30)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow  # two real orchestrators, one of them killed
@pytest.mark.parametrize("stage", ["validate", "deploy"])
def test_next_orchestrator_goes_on(project, orchestrator, stage):
    """Killed while validating, or between the steps of a release: afterwards the crash is healed once."""
    (project.root / f"pause-{stage}").touch()
    before = (project.root / "counts.py").read_bytes()
    first = orchestrator()
    until((project.root / f"paused-in-{stage}").exists)
    assert ((project.root / "counts.py").read_bytes() == before) == (stage == "validate")
    first.kill()
    first.wait()

    orchestrator()
    with Ledger.open(project) as ledger:
        until(lambda: [item.state for item in ledger.incidents()] == [State.HEALED])
        (incident,) = ledger.incidents()
        patch, release = ledger.patch(incident.id), ledger.release(incident.id)
    assert incident.count == 1
    assert (project.root / "counts.py").read_bytes() == next(e.after for e in patch.edits if e.path == "counts.py")
    branches = subprocess.run(
        ["git", "for-each-ref", "--format=%(objectname)", "refs/heads/homeostasis"],
        cwd=project.root,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert branches == [release.fact("commit")]
    shown = subprocess.run(
        ["git", "show", f"{branches[0]}:counts.py"], cwd=project.root, capture_output=True, check=True
    )
    assert shown.stdout == (project.root / "counts.py").read_bytes()
    assert subprocess.run([sys.executable, "counts.py"], cwd=project.root, check=False).returncode == 0
