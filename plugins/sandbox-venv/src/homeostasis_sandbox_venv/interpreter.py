"""The app's interpreter: which one it is, and where its packages lie."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Iterator

from homeostasis.errors import SandboxError
from homeostasis.project import Project
from homeostasis.workers import live_workers

_DESCRIBE = """
import json, os, site, sys, sysconfig
packages = list(site.getsitepackages()) if hasattr(site, "getsitepackages") else [sysconfig.get_path("purelib")]
if site.ENABLE_USER_SITE:
    packages.append(site.getusersitepackages())
base = getattr(sys, "_base_executable", None) or sys.executable
if base == sys.executable and sys.prefix != sys.base_prefix:  # Python 3.8 names the environment's own
    base = os.path.realpath(base)
print(json.dumps({
    "version": list(sys.version_info[:3]), "prefix": sys.prefix, "base_prefix": sys.base_prefix,
    "base_executable": base, "packages": [p for p in packages if os.path.isdir(p)],
    "path": [os.path.abspath(p) for p in sys.path if p and os.path.exists(p)]}))
"""


@dataclass(frozen=True)
class Interpreter:
    """What an interpreter says about itself."""

    executable: Path
    version: tuple[int, int, int]
    prefix: Path
    base_prefix: Path
    base_executable: Path
    packages: tuple[Path, ...]
    path: tuple[Path, ...]

    @property
    def scripts(self) -> Path:
        """The directory of the environment's commands. Links are not followed: they lead to the base interpreter."""
        return self.executable.parent


def find(project: Project) -> Path:
    """The executable of the app's interpreter.

    The configured one, else that of a live process of the app, else that of an environment in the project, else ours.

    Raises:
        SandboxError: the configured one does not exist.
    """
    configured = project.config.python
    if configured is not None:
        found = shutil.which(configured) or shutil.which(str(project.root / configured))
        if found is None:
            raise SandboxError(f"python = {configured!r} in [tool.homeostasis] is no executable file")
        return Path(found).absolute()
    for candidate in (*_of_workers(project), *_in_project(project)):
        if os.access(candidate, os.X_OK):
            return candidate
    return Path(sys.executable)


def describe(executable: Path) -> Interpreter:
    """Ask an interpreter where its things are; the answer is remembered while its environment stays the same.

    Raises:
        SandboxError: it does not run.
    """
    marks = [executable, executable.parent.parent / "pyvenv.cfg"]
    return _describe(executable, tuple(mark.stat().st_mtime_ns for mark in marks if mark.exists()))


@lru_cache(maxsize=32)
def _describe(executable: Path, _times: tuple[int, ...]) -> Interpreter:
    # pyenv's shims are no interpreters: they choose one by these variables.
    chosen = {name: value for name, value in os.environ.items() if name.startswith("PYENV_")}
    env = {**chosen, "PATH": os.defpath, "HOME": os.environ.get("HOME", "/"), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            [str(executable), "-c", _DESCRIBE], env=env, cwd="/", capture_output=True, timeout=30, check=True
        )
        found = json.loads(done.stdout.splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        raise SandboxError(f"{executable}, the app's interpreter, does not run: {error}") from error
    return Interpreter(
        executable=executable,
        version=tuple(found["version"]),
        prefix=Path(found["prefix"]),
        base_prefix=Path(found["base_prefix"]),
        base_executable=Path(found["base_executable"]),
        packages=tuple(Path(path) for path in found["packages"]),
        path=tuple(Path(path) for path in found["path"]),
    )


def paths_into(root: Path, interpreter: Interpreter) -> list[Path]:
    """Directories below `root`, relative to it, from which the app's environment imports: editable installs."""
    found: dict[Path, None] = {}
    candidates = [*interpreter.path, *(path for packages in interpreter.packages for path in _editable(packages))]
    for path in candidates:
        inside = _below(root, path)
        if inside is not None and not any(_below(packages, path) for packages in interpreter.packages):
            found[inside] = None
    return [
        path for path in found if interpreter.prefix != root / path and interpreter.prefix not in (root / path).parents
    ]


def _below(root: Path, path: Path) -> Path | None:
    try:
        return Path(os.path.realpath(path)).relative_to(root)
    except ValueError:
        return None


def _editable(packages: Path) -> Iterator[Path]:
    for file in sorted(packages.glob("*.pth")):
        for line in _lines(file):
            if line.startswith("/"):
                yield Path(line)
    for file in sorted(packages.glob("__editable__*finder.py")):
        yield from _finder_paths("\n".join(_lines(file)))


def _lines(file: Path) -> list[str]:
    try:
        return [line.strip("\r\n") for line in file.read_text(encoding="utf-8", errors="replace").splitlines()]
    except OSError:
        return []


def _finder_paths(code: str) -> Iterator[Path]:
    """The directories that hold the packages of setuptools' `MAPPING = {"shop": "/srv/app/src/shop"}`."""
    try:
        body = ast.parse(code).body
    except SyntaxError:
        return
    for node in body:
        target = (
            node.target
            if isinstance(node, ast.AnnAssign)
            else node.targets[0]
            if isinstance(node, ast.Assign)
            else None
        )
        if isinstance(target, ast.Name) and target.id == "MAPPING" and isinstance(node, (ast.Assign, ast.AnnAssign)):
            try:
                mapping = ast.literal_eval(node.value) if node.value is not None else {}
            except ValueError:
                return
            for name, path in mapping.items():
                if Path(path).name == name.rpartition(".")[2]:
                    yield Path(path).parents[name.count(".")]


def _of_workers(project: Project) -> Iterator[Path]:
    for worker in reversed(live_workers(project)):
        if worker.executable is not None and worker.executable.startswith("/"):
            yield Path(worker.executable)


def _in_project(project: Project) -> Iterator[Path]:
    for name in (".venv", "venv", "env", ".env"):
        if (project.root / name / "pyvenv.cfg").is_file():
            yield project.root / name / "bin" / "python"
