"""What a trial gets beyond its tree: seed files, and an environment rebuilt from what is pinned."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Mapping

from homeostasis.errors import SandboxError
from homeostasis.models.patch import resolve_inside
from homeostasis_sandbox_venv import tree

_PINS = ("pylock.toml", "requirements.lock", "requirements.txt")
_TIMEOUT = 300.0


def seed(target: Path, root: Path, files: Mapping[str, str]) -> None:
    """Copy the files of the setting `files` into a tree.

    Args:
        target: the trial's tree.
        root: the project's; sources are relative to it, or absolute.
        files: path in the tree to the file that it is copied from.

    Raises:
        SandboxError: one does not exist, or cannot be read.
        UnsafePath: a path passes through a symbolic link of the tree.
    """
    for path, name in files.items():
        source = root / Path(name).expanduser()
        place = resolve_inside(target, path)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            if place.exists():
                place.unlink()
            tree.copy_file(source, place)
        except OSError as error:
            raise SandboxError(f"files: {path!r} cannot be copied from {source}: {error.strerror or error}") from error


def install(root: Path, python: Path) -> None:
    """Install what the project pins into an empty environment, by uv, from its cache.

    Args:
        root: the project's; `uv.lock` is preferred, then `pylock.toml`, `requirements.lock` and `requirements.txt`.
        python: the environment's interpreter.

    Raises:
        SandboxError: uv is missing, nothing is pinned, or something is not in its cache.
    """
    uv = shutil.which("uv")
    if uv is None:
        raise SandboxError("exact = true in [tool.homeostasis.sandbox-venv] needs uv, which is not on PATH: install it")
    pinned = next((root / name for name in _PINS if (root / name).is_file()), None)
    if (root / "uv.lock").is_file():
        pinned = python.parent.parent / "requirements.txt"
        export = ["export", "--frozen", "--no-emit-project", "--quiet", "--output-file", str(pinned)]
        _uv([uv, *export, "--project", str(root)], python)
    if pinned is None:
        raise SandboxError(f"exact = true, but {root} has no uv.lock, {', '.join(_PINS[:-1])} or {_PINS[-1]}")
    _uv([uv, "pip", "install", "--quiet", "--python", str(python), "-r", str(pinned)], python)


def _uv(argv: list[str], python: Path) -> None:
    env = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME") or name.startswith("UV_")}
    env.update(VIRTUAL_ENV=str(python.parent.parent), UV_OFFLINE="1", UV_PYTHON_DOWNLOADS="never")
    try:
        done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=_TIMEOUT, check=False, cwd="/")
    except (OSError, subprocess.SubprocessError) as error:
        raise SandboxError(f"uv cannot rebuild the environment: {error}") from error
    if done.returncode != 0:
        raise SandboxError(f"uv cannot rebuild the environment from its cache: {done.stderr.strip()[-400:]}")
