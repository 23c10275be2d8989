"""What `init` finds out about an app by reading it: sources, application object, tests. Nothing of the app is run."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, List, Optional, Set, Tuple, Union

from homeostasis.source import MAX_FILE_BYTES
from homeostasis.text_frames import module_name

MAX_FILES = 2_000
_NOT_SOURCE = ("test", "tests", "docs", "doc", "examples", "build", "dist", "node_modules", "venv", "env", "migrations")
_NOT_MODULES = ("setup.py", "conftest.py", "noxfile.py", "tasks.py", "fabfile.py")
_FRAMEWORKS = {"Flask": "flask", "FastAPI": "fastapi", "Starlette": "starlette"}
_USUAL_NAMES = ("app", "application", "api")
_Function = Union[ast.FunctionDef, ast.AsyncFunctionDef]


@dataclass(frozen=True)
class FoundApp:
    """An application object, as `module:name` or `module:factory()`."""

    target: str
    framework: str
    path: str


def source_folders(root: Path) -> List[str]:
    """The folders and files, relative to the root, that hold the app's own code; `.` if none stands out."""
    if (root / "src").is_dir() and any((root / "src").glob("*/*.py")):
        return ["src"]
    found = []
    for entry in sorted(root.iterdir()):
        if entry.name.startswith(".") or entry.name.lower() in _NOT_SOURCE or entry.is_symlink():
            continue
        if entry.is_dir():
            if (entry / "pyvenv.cfg").exists() or not next(entry.glob("*.py"), None):
                continue
            found.append(entry.name)
        elif entry.suffix == ".py" and entry.name not in _NOT_MODULES and not _is_test(entry.name):
            found.append(entry.name)
    return found or ["."]


def has_tests(root: Path) -> bool:
    """Whether there are tests that pytest would find."""
    folders = [root / "tests", root / "test", root]
    return any(next(folder.glob(pattern), None) for folder in folders for pattern in ("test_*.py", "*_test.py")) or any(
        (root / "tests").glob("**/test_*.py")
    )


def repository(root: Path) -> Optional[Path]:
    """The top directory of the git work tree that holds the root."""
    return next((folder for folder in (root, *root.parents) if (folder / ".git").exists()), None)


def find_app(root: Path, sources: List[str]) -> Optional[FoundApp]:
    """The application object: one at module level before a factory, and the nearest to the root before others."""
    trees = [(path, tree) for path in _python_files(root, sources) for tree in [_parsed(root / path)] if tree]
    objects, factories = [], []
    for path, tree in trees:
        objects += list(_objects(path, tree))
        factories += list(_factories(path, tree))
    makers = {found.target.split(":")[1].rstrip("()"): found.framework for found in factories}
    for path, tree in trees:
        objects += list(_made_by_factory(path, tree, makers))
    ranked = sorted(objects, key=_rank) + sorted(factories, key=_rank)
    return ranked[0] if ranked else None


def _rank(found: FoundApp) -> Tuple[bool, int, str]:
    return found.target.split(":")[1] not in _USUAL_NAMES, found.path.count("/"), found.path


def _python_files(root: Path, sources: List[str]) -> List[str]:
    found: List[str] = []
    for source in sources:
        base = root / source
        for file in [base] if base.is_file() else sorted(base.rglob("*.py")):
            relative = file.relative_to(root)
            foreign = any(part.startswith(".") or part in _NOT_SOURCE for part in relative.parts)
            if not foreign and not _is_test(file.name) and len(found) < MAX_FILES:
                found.append(relative.as_posix())
    return found


def _is_test(name: str) -> bool:
    return name.startswith("test_") or name.endswith("_test.py")


def _parsed(path: Path) -> Optional[ast.Module]:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            return None
        return ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None


def _objects(path: str, tree: ast.Module) -> Iterator[FoundApp]:
    for name, value in _assignments(tree):
        framework = _framework(value)
        if framework:
            yield FoundApp(f"{module_name(path)}:{name}", framework, path)


def _made_by_factory(path: str, tree: ast.Module, makers: dict[str, str]) -> Iterator[FoundApp]:
    for name, value in _assignments(tree):
        if isinstance(value, ast.Call) and name in _USUAL_NAMES and _called(value) in makers:
            yield FoundApp(f"{module_name(path)}:{name}", makers[_called(value)], path)


def _factories(path: str, tree: ast.Module) -> Iterator[FoundApp]:
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef) or not _callable_without_arguments(node):
            continue
        made = next((_framework(item) for item in ast.walk(node) if _framework(item)), None)
        returns = any(isinstance(item, ast.Return) and item.value is not None for item in ast.walk(node))
        if made and returns:
            yield FoundApp(f"{module_name(path)}:{node.name}()", made, path)


def _assignments(tree: ast.Module) -> Iterator[Tuple[str, ast.expr]]:
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        value = node.value if isinstance(node, (ast.Assign, ast.AnnAssign)) else None
        for target in targets:
            if isinstance(target, ast.Name) and value is not None:
                yield target.id, value


def _framework(node: ast.AST) -> Optional[str]:
    return _FRAMEWORKS.get(_called(node)) if isinstance(node, ast.Call) else None


def _called(node: ast.Call) -> str:
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _callable_without_arguments(node: _Function) -> bool:
    positional = len(node.args.posonlyargs) + len(node.args.args)
    needed: Set[bool] = {default is None for default in node.args.kw_defaults}
    return positional == len(node.args.defaults) and True not in needed
