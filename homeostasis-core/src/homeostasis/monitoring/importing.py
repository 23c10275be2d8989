"""Compile and import modules inside a sandbox, and say what went wrong with each."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any


def compile_file(path: str) -> str | None:
    """Why a source file does not compile in this interpreter, in a phrase; None if it does."""
    try:
        compile(Path(path).read_bytes(), path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, OSError) as error:
        return f"{type(error).__name__}: {error}"[:300]
    return None


def import_module(name: str) -> str | None:
    """Why a module cannot be imported, in a phrase; None if it can."""
    try:
        importlib.import_module(name)
    except BaseException as error:
        return f"{type(error).__name__}: {error}"[:300]
    return None


def check(modules: list[list[Any]]) -> list[dict[str, Any]]:
    """Compile each `[path, module name or None]`, and import those that have a name."""
    found = []
    for path, name in modules:
        syntax = compile_file(path)
        error = import_module(name) if name and syntax is None else None
        found.append({"path": path, "syntax": syntax, "error": error})
    return found
