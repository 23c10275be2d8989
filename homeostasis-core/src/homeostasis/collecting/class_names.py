"""Modules of exception classes, where a record has their names only: looked up in the project's files."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, List, Optional

from homeostasis.source import MAX_FILE_BYTES
from homeostasis.text_frames import find_file, module_name
from homeostasis.tracebacks import split_name

if TYPE_CHECKING:
    from homeostasis.project import Project
    from homeostasis.traceback_text import TextException


def name_classes(chain: List[TextException], project: Project) -> None:
    """Put the module before the name of each class of the app that a file of its own traceback defines or imports."""
    for item in chain:
        if item.name.startswith("builtins."):
            item.name = item.name[len("builtins.") :]
        if split_name(item.name)[0] != "__main__" or "." in item.name:
            continue
        files = dict.fromkeys(find_file(frame.path, project.root) for frame in reversed(item.frames))
        script = item.frames[0].path if item.frames and item.frames[0].function == "<module>" else None
        found = (_module(item.name, path, project) for path in files if path)
        module = next((name for name in found if name), None)
        if module and not (script and module == module_name(find_file(script, project.root) or script)):
            item.name = f"{module}.{item.name}"


def _module(name: str, path: str, project: Project) -> Optional[str]:
    """The module that the class comes from, as the file (relative) has it at its top level."""
    file = project.root / path
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            return None
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return module_name(path)
        if isinstance(node, ast.ImportFrom) and any((each.asname or each.name) == name for each in node.names):
            return _absolute(node, module_name(path), is_package=file.name == "__init__.py")
    return None


def _absolute(node: ast.ImportFrom, module: str, *, is_package: bool) -> Optional[str]:
    if not node.level:
        return node.module
    package = module.split(".") if is_package else module.split(".")[:-1]
    base = package[: len(package) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])]) or None
