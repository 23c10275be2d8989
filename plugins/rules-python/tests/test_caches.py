"""What a process keeps between events, and when it looks again."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import List

import libcst as cst
import pytest

from homeostasis.errors import RuleError
from homeostasis.project import Project
from homeostasis.source import SourceTree
from homeostasis.testing import ProjectFactory
from homeostasis_rules_python.catalog import TEMPLATES, shipped_templates, templates_of
from homeostasis_rules_python.code.case import searched
from homeostasis_rules_python.code.tree import Tree, TreeCache
from homeostasis_rules_python.settings import RulesPythonSettings

OLD = 1_600_000_000


def test_trees_are_kept_up_to_a_length_of_source() -> None:
    """The last used ones stay; one that is larger than all together is kept alone."""
    parsed: List[str] = []

    def tree(name: str, content: bytes) -> Tree:
        def parse() -> cst.Module:
            parsed.append(name)
            return cst.parse_module(content)

        return cache.tree(name, content, parse)

    cache = TreeCache(20)
    first = tree("a.py", b"a = 1\n")
    tree("b.py", b"b = 1\n")
    assert tree("a.py", b"a = 1\n") is first
    tree("c.py", b"c = 100000\n")
    assert tree("a.py", b"a = 1\n") is first
    assert tree("a.py", b"a = 2\n") is not first
    tree("b.py", b"b = 1\n")
    assert parsed == ["a.py", "b.py", "c.py", "a.py", "b.py"]
    large = tree("d.py", b"d = 100000000000000\n")
    assert tree("d.py", b"d = 100000000000000\n") is large


def aged(project: Project, name: str) -> Path:
    """A file of the project whose times lie so far back that its content is kept."""
    path = project.root / name
    os.utime(path, (OLD, OLD))
    return path


def test_a_file_that_changed_is_searched_anew(project_factory: ProjectFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the same length, too; what was found once is kept for the healing that is under way."""
    project = project_factory({"a.py": "x = 1\n"})
    monkeypatch.setattr("homeostasis_rules_python.code.case.is_settled", lambda _stat: True)
    path, tree = aged(project, "a.py"), SourceTree(project)
    assert searched(tree, "a.py") == b"x = 1\n"
    path.write_bytes(b"x = 2\n")
    assert searched(tree, "a.py") == b"x = 1\n"
    assert searched(SourceTree(project), "a.py") == b"x = 2\n"
    path.unlink()
    assert searched(SourceTree(project), "a.py") == b""


def test_a_file_that_changed_just_now_is_not_kept(project_factory: ProjectFactory) -> None:
    """Two changes within a tick of the clock look the same: nothing young is taken for unchanged."""
    project = project_factory({"a.py": "x = 1\n"})
    path = project.root / "a.py"
    times = (time.time(), time.time())
    os.utime(path, times)
    assert searched(SourceTree(project), "a.py") == b"x = 1\n"
    path.write_bytes(b"x = 2\n")
    os.utime(path, times)
    assert searched(SourceTree(project), "a.py") == b"x = 2\n"


def test_templates_of_the_project_are_read_once(project_factory: ProjectFactory) -> None:
    """The same registry until a file changes; a mistake in it is told."""
    root = project_factory({"app.py": ""}).root
    own = root / "templates"
    own.mkdir()
    known = next(iter(shipped_templates()))
    for file in TEMPLATES.glob(f"{known.template_id}*"):
        shutil.copy(file, own)
    settings = RulesPythonSettings(templates=("templates",))
    registered = shipped_templates()
    first = templates_of(registered, settings, root)
    assert first is not registered
    assert templates_of(registered, settings, root) is first
    assert templates_of(registered, RulesPythonSettings(), root) is registered
    description = own / f"{known.template_id}.json"
    changed = {**json.loads(description.read_text("utf-8")), "description": "Another one."}
    description.write_text(json.dumps(changed), "utf-8")
    os.utime(description, (OLD, OLD))
    again = templates_of(registered, settings, root).get(known.template_id)
    assert again is not None
    assert again.description == "Another one."
    description.write_text("{", "utf-8")
    with pytest.raises(RuleError, match=known.template_id):
        templates_of(registered, settings, root)
