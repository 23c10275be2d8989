"""Adding a table to `pyproject.toml` without touching the rest of the file."""

from __future__ import annotations

import json
import os
import re
import stat
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Sequence

from homeostasis.errors import ConfigError, UsageError
from homeostasis.toml import tomllib

_HEADER = re.compile(r"^\s*\[")
_OURS = re.compile(r"^\s*\[\[?\s*tool\s*\.\s*homeostasis\s*[\].]")


def add_table(file: Path, text: str, *, force: bool = False) -> None:
    """Append `[tool.homeostasis]` to a file, or with `force` put it in place of the tables that are there.

    Raises:
        UsageError: there is such a table and `force` is false, or it is written in a form that cannot be replaced.
        ConfigError: the file is not valid TOML.
    """
    before = file.read_bytes().decode("utf-8") if file.is_file() else ""
    document = _loads(before, file)
    newline = "\r\n" if "\r\n" in before else "\n"
    kept = before
    if "homeostasis" in _tool(document):
        if not force:
            raise UsageError(f"{file} has [tool.homeostasis] already: edit it there, or replace it with --force")
        kept = _without_ours(before)
    gap = "" if not kept.strip() else newline if kept.endswith("\n") else newline * 2
    after = kept + gap + text.replace("\n", newline)
    try:
        unchanged = _others(tomllib.loads(after)) == _others(document)
    except tomllib.TOMLDecodeError:
        unchanged = False
    if not unchanged:
        raise UsageError(f"{file} writes [tool.homeostasis] in a form that cannot be extended: edit it by hand")
    _write(file, after.encode("utf-8"))


def project_name(root: Path) -> str:
    """The name in `[project]`, else that of the directory."""
    file = root / "pyproject.toml"
    document = _loads(file.read_bytes().decode("utf-8"), file) if file.is_file() else {}
    table = document.get("project")
    name = table.get("name") if isinstance(table, dict) else None
    return name if isinstance(name, str) and name else root.name or "app"


def toml_string(text: str) -> str:
    """A basic string of TOML."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def toml_list(items: Sequence[str]) -> str:
    """A list of strings of TOML on one line."""
    return f"[{', '.join(toml_string(item) for item in items)}]"


def _loads(text: str, file: Path) -> Dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file} is not valid TOML: {error}") from error


def _tool(document: Dict[str, Any]) -> Dict[str, Any]:
    tool = document.get("tool")
    return tool if isinstance(tool, dict) else {}


def _others(document: Dict[str, Any]) -> Dict[str, Any]:
    tools = {name: table for name, table in _tool(document).items() if name != "homeostasis"}
    rest = {name: table for name, table in document.items() if name != "tool"}
    return {**rest, "tool": tools}


def _without_ours(text: str) -> str:
    kept: List[str] = []
    ours = False
    for line in text.splitlines(keepends=True):
        if _HEADER.match(line):
            ours = bool(_OURS.match(line))
        if not ours:
            kept.append(line)
    return "".join(kept).rstrip("\r\n") + ("\r\n" if "\r\n" in text else "\n") if kept else ""


def _write(file: Path, content: bytes) -> None:
    mode = stat.S_IMODE(file.stat().st_mode) if file.exists() else 0o644
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        Path(name).chmod(mode)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink()
        raise
