"""Tasks that vanish while they wait: captured from real runs, healed, and run again."""

from __future__ import annotations

import subprocess
import sys
from typing import List, Tuple

import pytest

from homeostasis.command_capture import run_captured
from homeostasis.models import Effect, Patch, Risk
from homeostasis.project import Project
from homeostasis.source import SourceTree
from homeostasis.testing import ProjectFactory, incident_of
from homeostasis_rules_python.analyze import diagnose
from homeostasis_rules_python.catalog import shipped_rules, shipped_templates
from homeostasis_rules_python.matching import RuleIndex
from homeostasis_rules_python.patching import patches

INDEX = RuleIndex(shipped_rules())
TEMPLATES = shipped_templates()
BOX = """import asyncio
import gc
{more}

class Box:
    async def take(self):
        self.arrived = asyncio.get_running_loop().create_future()
        return await self.arrived


async def deliver(name):
    return await Box().take()


"""
MAIN = """async def main():
    {start}
    await asyncio.sleep(0.01)
    gc.collect()
    print(len([each for each in asyncio.all_tasks() if "deliver" in repr(each)]))


asyncio.run(main())
"""
SPAWN = "def spawn(work):\n    asyncio.ensure_future(work)\n\n\n"
SEND = 'def send():\n    sent = asyncio.ensure_future(deliver("ada"))\n\n\n'
LOOK = 'def look():\n    other = asyncio.ensure_future(deliver("bob"))\n    TASKS.add(other)\n'
LOOK += "    other.add_done_callback(TASKS.discard)\n\n\n"


def captured(make: ProjectFactory, code: str, monkeypatch: pytest.MonkeyPatch) -> Tuple[Project, List[Patch]]:
    project = make({"mail.py": code})
    monkeypatch.chdir(project.root)
    _, events = run_captured(["python", "mail.py"], project, sys.executable)
    (event,) = events
    incident, source = incident_of(event), SourceTree(project)
    found = diagnose(incident, source, INDEX)
    return project, [patch for each in found for patch in patches(each, incident, source, TEMPLATES)]


def ran(project: Project) -> str:
    command = [sys.executable, "-W", "error", "mail.py"]
    return subprocess.run(command, cwd=project.root, capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.mark.parametrize(
    ("more", "between", "start", "kept"),
    [
        ("", "", 'asyncio.create_task(deliver("ada"))', "_background_tasks.add(task)"),
        ("", "", 'asyncio.get_running_loop().create_task(deliver("ada"))', "_background_tasks.add(task)"),
        ("", SEND, "send()", "_background_tasks.add(sent)"),
        ("", SPAWN, 'spawn(deliver("ada"))', "_background_tasks.add(task)"),
        ("\nTASKS = set()\n", LOOK, 'asyncio.create_task(deliver("ada"))', "TASKS.add(task)"),
    ],
    ids=["create_task", "loop", "unused name", "spawned for a caller", "a set that is there"],
)
def test_a_lost_task_is_kept(
    project_factory: ProjectFactory, monkeypatch: pytest.MonkeyPatch, more: str, between: str, start: str, kept: str
) -> None:
    """It is there after the collection, and let go when it is done."""
    code = BOX.format(more=more) + between + MAIN.format(start=start)
    project, found = captured(project_factory, code, monkeypatch)
    (patch,) = found
    assert (patch.rule_id, patch.effect, patch.risk) == ("async-lost-task", Effect.CORRECT, Risk.LOW)
    assert kept in patch.edits[0].after.decode()
    patch.apply(project.root)
    assert ran(project) == "1\n"


@pytest.mark.parametrize(
    "start",
    [
        'group = Group()\n    group.create_task(deliver("ada"))',
        'task = asyncio.create_task(deliver("ada"))\n    print(repr(task)[:0], end="")\n    del task',
        'task = _background_tasks = asyncio.create_task(deliver("ada"))\n    del task, _background_tasks',
    ],
    ids=["kept by something else", "used", "two names"],
)
def test_what_the_program_means_is_not_guessed(
    project_factory: ProjectFactory, monkeypatch: pytest.MonkeyPatch, start: str
) -> None:
    """A task that has an owner, or a name that is read, is not simply let go."""
    group = "class Group:\n    def create_task(self, work):\n        return asyncio.ensure_future(work)\n\n\n"
    _, found = captured(project_factory, BOX.format(more="") + group + MAIN.format(start=start), monkeypatch)
    assert found == []
