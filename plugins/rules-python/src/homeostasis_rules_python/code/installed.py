"""What the libraries of the app's environment define, read from their source; nothing of it is imported."""

from __future__ import annotations

import ast
import re
import sysconfig
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from stat import S_ISREG
from typing import FrozenSet, Iterable, Iterator, List, Tuple
from weakref import WeakKeyDictionary

from homeostasis_rules_python.code.case import Case

MAX_FILES = 800
"""Files of one package that are looked through."""
MAX_BYTES = 400_000
"""Longest file that is read."""
MAX_PACKAGES = 40
_DOTTED = re.compile(r"[A-Za-z_]\w{0,100}(?:\.[A-Za-z_]\w{0,100}){0,20}\Z")
_IMPORTED = re.compile(rb"^\s*(?:from|import) ([A-Za-z_]\w{0,100})", re.MULTILINE)


@dataclass(frozen=True)
class Parameters:
    """What a function of a library takes, without the object that a method belongs to."""

    place: str
    """File, relative to the folder of the libraries, and line."""
    owner: str | None
    positional: Tuple[str, ...]
    named: Tuple[str, ...]
    """Names that can be passed as keywords."""
    takes_any_keyword: bool


_ROOTS: WeakKeyDictionary[Case, Tuple[Path, ...]] = WeakKeyDictionary()


def roots(case: Case) -> Tuple[Path, ...]:
    """Folders of the app's libraries: of its interpreter, else of a `.venv` in the project; none if unknown."""
    if case not in _ROOTS:
        _ROOTS[case] = _roots(case)
    return _ROOTS[case]


def _roots(case: Case) -> Tuple[Path, ...]:
    project = case.source.project
    named = project.config.python or case.event.runtime.executable
    prefixes = [project.root / ".venv", project.root / "venv"]
    if named is not None:
        prefixes.insert(0, (project.root / named).parent.parent)
    for prefix in prefixes:
        found = tuple(_libraries(prefix))
        if found:
            return found
    return ()


def _libraries(prefix: Path) -> List[Path]:
    kinds = ("site-packages", "dist-packages")
    try:
        return [folder for kind in kinds for folder in sorted(prefix.glob(f"lib/python3*/{kind}"))]
    except (OSError, ValueError):  # what an event names need not be a path at all
        return []


def module_file(case: Case, module: str) -> Path | None:
    """The file of a library's module; None if there is none, or if it is no Python source."""
    if not _DOTTED.match(module):
        return None
    for root in roots(case):
        base = root.joinpath(*module.split("."))
        for path in (base / "__init__.py", base.with_suffix(".py")):
            if path.is_file():
                return path
    return None


def since(case: Case, *version: int, unknown: bool = False) -> bool:
    """Whether the crash happened in this version of Python or a later one; `unknown` if the version is not known."""
    found = re.match(r"(\d{1,3})\.(\d{1,3})", case.event.runtime.python or "")
    return unknown if found is None else tuple(map(int, found.groups())) >= version


def lacks(case: Case, module: str, name: str) -> bool:
    """Whether a library's module certainly has no such name."""
    path = module_file(case, module)
    tree = _parsed(path) if path is not None else None
    if path is None or tree is None:
        return False
    names = _available(tree)
    inside = path.parent / name if path.name == "__init__.py" else None
    below = inside is not None and (inside.is_dir() or inside.with_suffix(".py").is_file())
    return names is not None and name not in names and not below


def defining_modules(case: Case, package: str, name: str) -> List[str]:
    """Modules of a library that define a name at their top level, as those that only import it do not."""
    found = []
    for root, path in _files(case, package):
        tree = _parsed(path) if name.encode() in _content(path) else None
        if tree is not None and name in _defined(tree):
            parts = path.relative_to(root).with_suffix("").parts
            dotted = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            if _DOTTED.match(dotted):
                found.append(dotted)
    return found


def functions(case: Case, packages: Iterable[str], name: str, owner: str | None) -> List[Parameters]:
    """Functions of a name in libraries, or in what these import; those of the class `owner` if it is given."""
    first = [package for package in dict.fromkeys(packages) if _DOTTED.match(package)][:MAX_PACKAGES]
    found = [each for package in first for each in _functions(case, package, name, owner)]
    if found:
        return found
    second = [other for package in first for other in _imports(case, package) if other not in first]
    return [each for other in dict.fromkeys(second[:MAX_PACKAGES]) for each in _functions(case, other, name, owner)]


def _functions(case: Case, package: str, name: str, owner: str | None) -> Iterator[Parameters]:
    wanted = b"def " + name.encode("utf-8") + b"("
    for root, path in _files(case, package):
        tree = _parsed(path) if wanted in _content(path) else None
        for function, cls in _definitions(tree) if tree is not None else ():
            if function.name == name and owner in (None, cls):
                place = f"{path.relative_to(root).as_posix()}:{function.lineno}"
                yield _parameters(function, cls, place)


def _definitions(tree: ast.Module) -> Iterator[Tuple[ast.FunctionDef | ast.AsyncFunctionDef, str | None]]:
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node, None
        elif isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    yield inner, node.name


def _parameters(function: ast.FunctionDef | ast.AsyncFunctionDef, cls: str | None, place: str) -> Parameters:
    given = function.args
    plain = [each.arg for each in given.args]
    positional = [*(each.arg for each in given.posonlyargs), *plain]
    if cls is not None and not any(
        isinstance(mark, ast.Name) and mark.id == "staticmethod" for mark in function.decorator_list
    ):
        plain = plain[1:] if not given.posonlyargs else plain
        positional = positional[1:]
    named = [*plain, *(each.arg for each in given.kwonlyargs)]
    return Parameters(place, cls, tuple(positional), tuple(named), given.kwarg is not None)


def _files(case: Case, package: str) -> Iterator[Tuple[Path, Path]]:
    """Files of a package of the environment, else of the standard library, each with the folder it is installed in."""
    for root in (*roots(case), Path(sysconfig.get_paths()["stdlib"])):
        single, folder = root / f"{package}.py", root / package
        if single.is_file():
            yield root, single
            return
        if (folder / "__init__.py").is_file():
            for number, path in enumerate(sorted(folder.rglob("*.py"))):
                if number >= MAX_FILES:
                    return
                yield root, path
            return


def _imports(case: Case, package: str) -> List[str]:
    found: List[str] = []
    for _root, path in _files(case, package):
        found += [name.decode() for name in _IMPORTED.findall(_content(path))]
    return list(dict.fromkeys(found))


@lru_cache(maxsize=512)
def _read(path: Path, _changed: int) -> bytes:
    return path.read_bytes()


def _content(path: Path) -> bytes:
    try:
        state = path.stat()
        # What an event names may hold pipes as well, which would be waited for.
        readable = S_ISREG(state.st_mode) and state.st_size <= MAX_BYTES
        return _read(path, state.st_mtime_ns) if readable else b""
    except OSError:
        return b""


def _parsed(path: Path) -> ast.Module | None:
    return _tree(_content(path))


@lru_cache(maxsize=16)
def _tree(content: bytes) -> ast.Module | None:
    try:
        return ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _statements(tree: ast.AST) -> Iterator[ast.stmt]:
    """The statements of a module's top level, those in its `if`, `try` and `with` as well."""
    for field in ("body", "orelse", "finalbody", "handlers"):
        for node in getattr(tree, field, ()):
            if isinstance(node, ast.stmt):
                yield node
            if isinstance(node, (ast.If, ast.Try, ast.With, ast.ExceptHandler)):
                yield from _statements(node)


def _defined(tree: ast.Module) -> FrozenSet[str]:
    names = set()
    for node in _statements(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)}
    return frozenset(names)


def _available(tree: ast.Module) -> FrozenSet[str] | None:
    """Names that can be imported from a module; None if it answers to others too."""
    names = set(_defined(tree))
    for node in _statements(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                if alias.name == "*":
                    return None
                names.add((alias.asname or alias.name).split(".")[0])
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == "__getattr__":
            answered = _answered(node)
            return None if answered is None else frozenset(names | answered)
    return frozenset(names)


def _answered(function: ast.FunctionDef) -> FrozenSet[str] | None:
    """Names to which a module's `__getattr__` answers, if it compares them one by one; None if it looks them up."""
    given = function.args.args[0].arg if function.args.args else ""
    for node in ast.walk(function):
        looks_up = isinstance(node, ast.Subscript) or (
            isinstance(node, ast.Call) and not (isinstance(node.func, ast.Name) and node.func.id.endswith("Error"))
        )
        parts = [node.slice] if isinstance(node, ast.Subscript) else node.args if isinstance(node, ast.Call) else []
        if looks_up and any(
            isinstance(each, ast.Name) and each.id == given for part in parts for each in ast.walk(part)
        ):
            return None
    return frozenset(
        node.value for node in ast.walk(function) if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def available(case: Case, module: str) -> FrozenSet[str] | None:
    """Names that can be imported from a library's module; None if that is not known."""
    path = module_file(case, module)
    tree = _parsed(path) if path is not None else None
    return _available(tree) if tree is not None else None


def is_module(case: Case, dotted: str) -> bool:
    """Whether a library or the standard library has a module of that name in a package."""
    if not _DOTTED.match(dotted) or "." not in dotted:
        return False
    if module_file(case, dotted) is not None:
        return True
    base = Path(sysconfig.get_paths()["stdlib"]).joinpath(*dotted.split("."))
    return base.with_suffix(".py").is_file() or (base / "__init__.py").is_file()
