"""Small projects on disk."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Mapping

from homeostasis.project import Project


class ProjectFactory:
    """Makes projects below a directory: `factory({"shop.py": "..."}, {"mode": "auto"}, git=True)`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._made = 0

    def __call__(
        self, files: Mapping[str, str], table: Mapping[str, Any] | None = None, *, git: bool = False
    ) -> Project:
        """Write a project and load it.

        Args:
            files: path to text, `pyproject.toml` excepted.
            table: `[tool.homeostasis]` as TOML would give it; inner mappings are tables.
            git: make it a git repository with everything committed.
        """
        self._made += 1
        root = self.directory / f"project-{self._made}"
        root.mkdir(parents=True)
        for path, text in files.items():
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(text.encode())
        (root / "pyproject.toml").write_bytes("\n".join(_toml("tool.homeostasis", table or {})).encode())
        if git:
            commit_all(root)
        return Project.load(root)


def commit_all(root: Path) -> None:
    """Make `root` a git repository, if it is none, and commit all its files."""
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.invalid", "-c", "commit.gpgsign=false"]
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], [*identity, "commit", "-q", "-m", "The app"]):
        subprocess.run(["git", "-C", str(root), *words], check=True, capture_output=True)


def _toml(name: str, table: Mapping[str, Any]) -> list[str]:
    plain = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
    lines = [f"[{name}]", *(f"{json.dumps(key)} = {_value(value)}" for key, value in plain.items()), ""]
    for key, value in table.items():
        if isinstance(value, Mapping):
            lines += _toml(f"{name}.{json.dumps(key)}", value)
    return lines


def _value(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_value(item) for item in value)}]"
    return json.dumps(value)  # text, numbers and booleans are written the same in JSON and TOML
