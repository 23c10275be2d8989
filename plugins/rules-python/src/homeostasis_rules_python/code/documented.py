"""Defaults of environment variables that a project documents outside of its Python files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, Iterator, Tuple

from homeostasis.source import SourceTree

MAX_BYTES = 200_000
MAX_DOCS = 50
_READMES = ("README.md", "README.rst", "README.txt", "README")
_COMPOSE = ("docker-compose.yml", "docker-compose.yaml", "compose.yml", "compose.yaml", "Dockerfile", "app.json")
_VALUE = r"[`'\"]?([\w.:/@%+-]{1,200})[`'\"]?"


def documented(source: SourceTree, name: str) -> Tuple[str, str] | None:
    """The one default that README, docs and compose files give for a variable, and where; None if they differ."""
    found: Dict[str, str] = {}
    for path in documents(source.root):
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            value = _default_in(line, name) if name in line else None
            if value is not None:
                place = f"{path.relative_to(source.root).as_posix()}:{number}"
                found.setdefault(value, place)
    if len(found) != 1:
        return None
    value, place = found.popitem()
    return value, f"{place} documents {name} with the default {value}"


def documents(root: Path) -> Iterator[Path]:
    """README, compose files and pages of the docs, those of a sensible size."""
    docs = sorted((root / "docs").glob("*.md"))[:MAX_DOCS] if (root / "docs").is_dir() else []
    for path in [*(root / name for name in (*_READMES, *_COMPOSE)), *docs]:
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= MAX_BYTES:
            yield path


def _default_in(line: str, name: str) -> str | None:
    """The default in a row of a table, in `NAME (default: 5)`, in `${NAME:-5}` and in `NAME: 5` or `ENV NAME=5`."""
    plain = re.escape(name)
    row = [cell.strip().strip("`") for cell in line.strip().strip("|").split("|")]
    if line.lstrip().startswith("|") and row[0] == name:
        return _cell(row[1:])
    for pattern in (
        rf"\$\{{{plain}:-([^}}]{{1,200}})\}}",
        rf"\b{plain}\b.{{0,80}}\b[Dd]efault(?:s to|:| is)?\s*{_VALUE}",
        rf"^\s*(?:-\s*|ENV\s+)?{plain}(?::\s|=|\s)\s*{_VALUE}\s*$",
    ):
        found = re.search(pattern, line)
        if found is not None:
            return found.group(1).rstrip(".")
    return None


def _cell(cells: list[str]) -> str | None:
    """The cell of a row that looks like a value: one word, and no `yes`, `no` or `required`."""
    plain = [cell for cell in cells if re.fullmatch(r"[\w.:/@%+-]{1,200}", cell)]
    values = [
        cell
        for cell in plain
        if cell.lower() not in ("yes", "no", "required", "optional", "string", "int", "-", "none")
    ]
    return values[0] if len(values) == 1 else None
