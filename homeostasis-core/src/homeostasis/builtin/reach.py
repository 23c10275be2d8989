"""Which test modules reach a changed file: those that import it, directly or through other modules of the tree.

The code is read, never run. What is imported by other means (`importlib`, plugins) is not seen, so that the answer may
order tests but not leave any out.
"""

from __future__ import annotations

import ast
from collections import deque
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Iterable, Iterator, Mapping

from homeostasis.source import python_files

MAX_FILES = 3000
"""Python files of a tree; in a larger one nothing is looked for."""
MAX_BYTES = 500_000
"""Longest file that is read."""


def reaching(root: Path, tests: Iterable[str], changed: Iterable[str]) -> frozenset[str]:
    """Those of the test modules that reach a changed file; all paths are relative to `root`, with slashes.

    A test module whose `conftest.py` reaches it counts only if no test module does so by itself: a `conftest.py` often
    imports the whole app.
    """
    files = python_files(root)
    if len(files) > MAX_FILES:
        return frozenset()
    modules = _modules(files)
    given, wanted = frozenset(tests), frozenset(changed)
    direct = _reaching(root, given, wanted, modules)
    if direct:
        return direct
    conftests = frozenset(path for path in files if PurePosixPath(path).name == "conftest.py")
    reaching_conftests = _reaching(root, conftests, wanted, modules)
    return frozenset(test for test in given if reaching_conftests & set(_conftests(test)))


def _conftests(test: str) -> Iterator[str]:
    for directory in PurePosixPath(test).parents:
        yield (directory / "conftest.py").as_posix()


def _reaching(root: Path, start: frozenset[str], wanted: frozenset[str], modules: Mapping[str, str]) -> frozenset[str]:
    """Those of `start` that reach a wanted file: forward to all that they import, then back from what is wanted."""
    importers: dict[str, set[str]] = {}
    seen, queue = set(start), deque(start)
    while queue:
        path = queue.popleft()
        for target in {modules[name] for name in _imports(root, path) if name in modules}:
            importers.setdefault(target, set()).add(path)
            if target not in seen:
                seen.add(target)
                queue.append(target)
    reached, queue = set(wanted), deque(wanted)
    while queue:
        new = importers.get(queue.popleft(), set()) - reached
        reached |= new
        queue.extend(new)
    return start & reached


def _modules(files: Iterable[str]) -> dict[str, str]:
    """Each name by which a file may be imported: from the root, and from the folder above its outermost package."""
    known = set(files)
    found: dict[str, str] = {}
    for path in sorted(known):
        for name in (_dotted(PurePosixPath(path)), _dotted(PurePosixPath(path).relative_to(_import_root(path, known)))):
            found.setdefault(name, path)
    return found


def _import_root(path: str, known: set[str]) -> PurePosixPath:
    directory = PurePosixPath(path).parent
    while directory.parts and (directory / "__init__.py").as_posix() in known:
        directory = directory.parent
    return directory


def _dotted(path: PurePosixPath) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1:] == ("__init__",) else parts)


def _imports(root: Path, path: str) -> frozenset[str]:
    try:
        status = (root / path).stat()
    except OSError:
        return frozenset()
    return _read_imports(root, path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=MAX_FILES)
def _read_imports(root: Path, path: str, _changed: int, size: int) -> frozenset[str]:
    if size > MAX_BYTES:
        return frozenset()
    try:
        nodes = list(ast.walk(ast.parse((root / path).read_bytes())))
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()
    package = PurePosixPath(path).parent.parts
    return frozenset(part for node in nodes for name in _named(node, package) for part in _with_parents(name))


def _named(node: ast.AST, package: tuple[str, ...]) -> Iterator[str]:
    """The modules that an import may mean; what `from a import b` takes may be a module too."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        above = package[: len(package) - node.level + 1] if node.level else ()
        base = ".".join((*above, *([node.module] if node.module else [])))
        yield base
        yield from (f"{base}.{alias.name}" if base else alias.name for alias in node.names)


def _with_parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    return (".".join(parts[:count]) for count in range(1, len(parts) + 1))
