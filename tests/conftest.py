"""Fixtures for tests over several packages: wheels, and environments with nothing but what a test installs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Callable, NamedTuple

import pytest
from filelock import FileLock

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = [ROOT / "homeostasis-core", *sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))]


class Environment(NamedTuple):
    """A virtual environment of its own."""

    path: Path

    @property
    def python(self) -> Path:
        return self.path / "bin" / "python"

    def run(self, *words: object, check: bool = True, cwd: Path | None = None, timeout: float = 300.0, **env: str):
        """Run a program of the environment, without anything of the environment that the tests run in."""
        command = [str(self.path / "bin" / str(words[0])), *map(str, words[1:])]
        done = subprocess.run(
            command,
            cwd=cwd or self.path,
            env=clean({**env}),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done


def clean(extra: dict[str, str]) -> dict[str, str]:
    """The machine's variables, less those that would make one environment see another."""
    hidden = ("PYTHON", "VIRTUAL_ENV", "COVERAGE", "COV_", "PYTEST", "HOMEOSTASIS")
    return {**{key: value for key, value in os.environ.items() if not key.startswith(hidden)}, **extra}


def build_wheel(package: Path, output: Path) -> Path:
    """Build the wheel of a package into `output`, from a copy: a build leaves nothing in the work tree."""
    ignored = shutil.ignore_patterns("__pycache__", ".*", "build", "dist", "*.egg-info", "tests")
    copy = output / f"source-{package.name}"
    shutil.copytree(package, copy, ignore=ignored)
    before = set(output.glob("*.whl"))
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(output)]
    subprocess.run(command, cwd=copy, env=clean({}), check=True, capture_output=True)
    shutil.rmtree(copy)
    (wheel,) = set(output.glob("*.whl")) - before
    return wheel


@pytest.fixture
def clean_environ() -> dict[str, str]:
    """The machine's variables for a process of another environment."""
    return clean({})


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheel of each package of the repository, by folder; built once, whatever the number of workers."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "wheels"
    with FileLock(f"{shared}.lock"):
        if not shared.is_dir():
            shared.mkdir()
            for package in PACKAGES:
                folder = shared / package.name
                folder.mkdir()
                build_wheel(package, folder)
    return {package.name: next((shared / package.name).glob("*.whl")) for package in PACKAGES}


@pytest.fixture
def build(tmp_path: Path) -> Callable[[Path], Path]:
    """Builds the wheel of a package that is not one of ours."""

    def build(package: Path) -> Path:
        output = tmp_path / f"dist-{package.name}"
        output.mkdir()
        return build_wheel(package, output)

    return build


@pytest.fixture
def make_environment(tmp_path: Path, wheels: dict[str, Path]) -> Callable[..., Environment]:
    """Makes an environment with requirements from the machine's index; ours come from the wheels."""
    made: list[Environment] = []

    def make(*requirements: object) -> Environment:
        environment = Environment(tmp_path / f"environment-{len(made)}")
        made.append(environment)
        _uv("venv", "-q", "--python", sys.executable, environment.path)
        install(environment, *requirements)
        return environment

    def install(environment: Environment, *requirements: object) -> None:
        links = [word for wheel in wheels.values() for word in ("--find-links", wheel.parent)]
        _uv("pip", "install", "-q", "--python", environment.python, *links, *requirements)

    return make


def _uv(*words: object) -> None:
    import uv

    command = [uv.find_uv_bin(), *map(str, words)]
    done = subprocess.run(
        command, env=clean({"UV_PYTHON_DOWNLOADS": "never"}), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stderr}"
