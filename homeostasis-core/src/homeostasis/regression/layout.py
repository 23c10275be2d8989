"""Where an app keeps its tests, and which fixtures give them the app."""

from __future__ import annotations

import ast
import re
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Iterator

from homeostasis.source import python_files
from homeostasis.toml import tomllib

if TYPE_CHECKING:
    from homeostasis.project import Project

_USUAL = ("tests", "test")
_BUILT = ("build", "dist")
_CLIENTS = ("client", "test_client")
MOST_READ = 20
"""Test files that are read to find out how tests are written."""
MOST_FILES = 2000
"""Test files that are looked at to find the folder that holds most of them."""


@dataclass(frozen=True)
class Layout:
    """The app's habits.

    Attributes:
        root: of the project.
        folder: of the tests, relative to the root, with forward slashes; `.` for the root itself.
        fixtures: `client` or `app` (what the fixture gives) to the fixture's name.
        unittest: whether most of the tests there are methods of `unittest.TestCase`, which no fixture reaches.
    """

    root: Path
    folder: str
    fixtures: dict[str, str]
    unittest: bool = False

    @classmethod
    def of(cls, project: Project) -> Layout:
        """Look at the project's files."""
        folder = _folder(project)
        if _in_test_cases(project.root / folder):
            return cls(project.root, folder, {}, unittest=True)
        return cls(project.root, folder, _fixtures(project.root, folder))

    def path(self, incident_id: str) -> str:
        """Path of the generated test, relative to the root: one that does not exist yet, always the same."""
        stem = re.sub(r"[^a-z0-9]+", "_", incident_id.lower()).strip("_")[:40] or "crash"
        names = [f"test_homeostasis_{stem}{suffix}.py" for suffix in ("", *(f"_{number}" for number in range(2, 100)))]
        free = next((name for name in names if not (self.root / self.folder / name).exists()), names[-1])
        return (PurePosixPath(self.folder) / free).as_posix()


def _folder(project: Project) -> str:
    configured = [path for path in _testpaths(project) if (project.root / path).is_dir()]
    usual = [name for name in _USUAL if (project.root / name).is_dir()]
    for name in [*configured, *usual]:
        if _is_inside(project.root, name):
            return PurePosixPath(name).as_posix()
    counted = Counter(path.parent.relative_to(project.root).as_posix() for path in _test_files(project.root))
    return counted.most_common(1)[0][0] if counted else "tests"


def _testpaths(project: Project) -> list[str]:
    found = pytest_options(project.root).get("testpaths", [])
    words = found.split() if isinstance(found, str) else found if isinstance(found, list) else []
    return [word for word in words if isinstance(word, str)]


def pytest_options(root: Path) -> dict[str, Any]:
    """`[tool.pytest.ini_options]` of `pyproject.toml`; empty if there is none."""
    try:
        document = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
        found = document["tool"]["pytest"]["ini_options"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_inside(root: Path, name: str) -> bool:
    target = root / name
    return ".." not in PurePosixPath(name).parts and root in (target.resolve(), *target.resolve().parents)


def _test_files(root: Path) -> Iterator[Path]:
    named = (path for path in python_files(root) if _is_test(PurePosixPath(path)))
    return (root / path for path in islice(named, MOST_FILES))


def _is_test(path: PurePosixPath) -> bool:
    named = path.name.startswith("test_") or path.stem.endswith("_test")
    return named and not any(part in _BUILT for part in path.parts)


def _in_test_cases(folder: Path) -> bool:
    """Whether more of the first test files hold classes that are derived from a `TestCase` than do not."""
    votes = [_has_test_case(path) for path in islice(_test_files(folder), MOST_READ)]
    return sum(votes) * 2 > len(votes)


def _has_test_case(file: Path) -> bool:
    classes = [node for node in _statements(file) if isinstance(node, ast.ClassDef)]
    return any(_last_name(base).endswith("TestCase") for node in classes for base in node.bases)


def _fixtures(root: Path, folder: str) -> dict[str, str]:
    """What the `conftest.py` of the folder and of those above it offer; the nearest wins."""
    found: dict[str, str] = {}
    for place in (PurePosixPath(folder), *PurePosixPath(folder).parents):
        for node in _statements(root / place / "conftest.py"):
            if isinstance(node, ast.FunctionDef) and any(_is_fixture(one) for one in node.decorator_list):
                if node.name in _CLIENTS and _makes_client(node):
                    found.setdefault("client", node.name)
                elif node.name == "app":
                    found.setdefault("app", node.name)
    return found


def _statements(file: Path) -> list[ast.stmt]:
    """What a file holds; nothing if there is no such file, or if it is no Python."""
    try:
        return ast.parse(file.read_bytes()).body
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return []


def _is_fixture(decorator: ast.expr) -> bool:
    return _last_name(decorator.func if isinstance(decorator, ast.Call) else decorator) == "fixture"


def _makes_client(function: ast.FunctionDef) -> bool:
    """Whether a fixture hands out the framework's own test client."""
    called = {_last_name(node.func) for node in ast.walk(function) if isinstance(node, ast.Call)}
    return not called.isdisjoint(("test_client", "TestClient"))


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
