"""Environments and source trees of the cases, made with uv and kept outside the repository."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Iterator, NamedTuple

from repairbench.cases import Code

INSTALL_TIMEOUT = 300


class NotRun(Exception):
    """A case that this machine cannot run; says what is missing."""


class Prepared(NamedTuple):
    """What a project is made from."""

    python: Path
    """Interpreter of the environment."""
    tree: Path
    """Folder with the project's source; to be copied, never changed."""


def cache() -> Path:
    """Where environments are kept: `HOMEOSTASIS_REPAIR_CACHE`, else below the user's cache directory."""
    given = os.environ.get("HOMEOSTASIS_REPAIR_CACHE")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(given) if given else base / "homeostasis-repair"


def prepare(code: Code) -> Prepared:
    """Interpreter and source of a case, from the cache if they are there.

    Raises:
        NotRun: the interpreter or a package cannot be had.
    """
    key = hashlib.sha256(
        json.dumps([code.distribution, code.modules, code.requirements, code.python]).encode()
    ).hexdigest()[:20]
    place = cache() / key
    with _locked(place):
        if not (place / "done").is_file():
            if (place / "refused").is_file() and not os.environ.get("HOMEOSTASIS_REPAIR_RETRY"):
                raise NotRun((place / "refused").read_text("utf-8"))
            shutil.rmtree(place / "env", ignore_errors=True)
            shutil.rmtree(place / "tree", ignore_errors=True)
            try:
                _make(code, place)
            except NotRun as reason:
                if "no matching" in str(reason).lower() or "failed to build" in str(reason).lower():
                    (place / "refused").write_text(str(reason), "utf-8")
                raise
            (place / "done").touch()
    return Prepared(place / "env" / "bin" / "python", code.directory or place / "tree")


def _make(code: Code, place: Path) -> None:
    uv = _uv()
    env = place / "env"
    _run([*uv, "venv", "--quiet", "--python", _interpreter(code.python), str(env)], f"Python {code.python}")
    wanted = [*code.requirements, *([code.distribution] if code.distribution else [])]
    if wanted:
        install = [*uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(env / "bin" / "python")]
        _run([*install, *wanted], " ".join(wanted))
    if code.distribution:
        _take_out(env, code, place / "tree")


def _take_out(env: Path, code: Code, tree: Path) -> None:
    """Move the distribution's modules out of the environment: only the project's copy shall be importable."""
    site = next(env.glob("lib/python*/site-packages"))
    tree.mkdir()
    for module in code.modules:
        if not (site / module).exists():
            raise NotRun(f"{code.distribution} installs no {module}")
        shutil.move(str(site / module), str(tree / module))
    for junk in tree.rglob("__pycache__"):
        shutil.rmtree(junk)


def install(requirement: str) -> Path:
    """A folder that holds a distribution and what it requires, for the import path of another interpreter.

    Raises:
        NotRun: it cannot be had.
    """
    place = cache() / f"tool-{hashlib.sha256(requirement.encode()).hexdigest()[:12]}"
    with _locked(place):
        if not (place / "done").is_file():
            python = _interpreter("3.11")
            words = ["pip", "install", "--quiet", "--python", python, "--target", str(place / "site"), requirement]
            _run([*_uv(), *words], requirement)
            (place / "done").touch()
    return place / "site"


def _interpreter(version: str) -> str:
    """The version, or the path of such an interpreter below pyenv, whose shims uv cannot use."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = sorted(root.glob(f"versions/{version}.*/bin/python{version}"))
    return str(found[-1]) if found else version


def _uv() -> list[str]:
    found = shutil.which("uv")
    if found:
        return [found]
    beside = Path(sys.executable).with_name("uv")
    if beside.is_file():
        return [str(beside)]
    raise NotRun("uv is not installed: pip install uv")


def _run(command: list[str], what: str) -> None:
    env = {**os.environ, **_index_settings(), "UV_PYTHON_DOWNLOADS": "never"}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=INSTALL_TIMEOUT, check=False)
    except subprocess.TimeoutExpired as error:
        raise NotRun(f"{what}: not installed within {INSTALL_TIMEOUT} s") from error
    if done.returncode:
        raise NotRun(f"{what}: {' '.join(done.stderr.split())[-300:]}")


def _index_settings() -> dict[str, str]:
    """The package index that pip is configured with, in the words of uv, which does not read pip's configuration."""
    listing = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    ).stdout
    names = {"index-url": "UV_DEFAULT_INDEX", "extra-index-url": "UV_INDEX", "cert": "SSL_CERT_FILE"}
    found = {}
    for line in listing.splitlines():
        key, _, value = line.partition("=")
        name = names.get(key.strip().split(".")[-1].lower())
        if name and name not in os.environ:
            with contextlib.suppress(ValueError):
                found[name] = " ".join(shlex.split(value))
    if "UV_INDEX" in found:
        found["UV_INDEX_STRATEGY"] = "unsafe-best-match"  # as pip does: the best version of all indexes
    return found


@contextlib.contextmanager
def _locked(place: Path) -> Iterator[None]:
    """Keep other runs from making the same environment at the same time."""
    place.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def copy_project(tree: Path, modules: tuple[str, ...]) -> Path:
    """A fresh copy of the source in a temporary directory; the caller removes it."""
    root = Path(tempfile.mkdtemp(prefix="repair-")).resolve()
    for module in modules:
        source = tree / module
        if source.is_dir():
            shutil.copytree(source, root / module, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, root / module)
    return root
