"""The tasks of the repository explain themselves."""

from __future__ import annotations

import ast
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_session_has_a_line_about_it():
    """`nox -l` says what each session is for."""
    tree = ast.parse((ROOT / "noxfile.py").read_text("utf-8"))
    sessions = {
        node.name: ast.get_docstring(node) or ""
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and any("attr='session'" in ast.dump(each) for each in node.decorator_list)
    }
    assert set(sessions) == {"demo", "tests", "types", "lint", "docs", "bench", "build", "nightly"}
    assert all(text and "\n" not in text for text in sessions.values())


def test_scripts_can_be_run():
    """What the docs say to run has the right to run."""
    for script in (".ci/run", "scripts/system-packages.sh"):
        assert os.access(ROOT / script, os.X_OK), script
