"""Projects and trials of them, at each level of isolation."""

from __future__ import annotations

import os
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from homeostasis.models import Patch, Trial
from homeostasis.project import Project
from homeostasis_sandbox_venv import isolation
from homeostasis_sandbox_venv.runner import make_trial
from homeostasis_sandbox_venv.settings import Settings


@pytest.fixture
def make_project(tmp_path: Path) -> Callable[..., Project]:
    """A project of files (path to text) that runs in the interpreter of the tests, or another one."""

    def make(files: dict[str, str], python: str | None = sys.executable) -> Project:
        root = tmp_path / "project"
        table = f'[tool.homeostasis]\npython = "{python}"\n' if python else "[tool.homeostasis]\n"
        for name, text in {**files, "pyproject.toml": table}.items():
            file = root / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(textwrap.dedent(text), encoding="utf-8")
        return Project.load(root)

    return make


@pytest.fixture
def trial_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Trial]]:
    """Makes trials in a temporary directory of their own and closes them."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    made: list[Trial] = []

    def make(project: Project, patch: Patch | None = None, **settings: Any) -> Trial:
        made.append(make_trial(patch, project, Settings(**settings)))
        return made[-1]

    yield make
    for trial in made:
        trial.close()


@pytest.fixture(params=isolation.LEVELS)
def level(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each level in turn; one that does not work here is left out, with the probe's reason."""
    works, reason = isolation.probe()
    if isolation.LEVELS.index(request.param) > isolation.LEVELS.index(works):
        if os.environ.get("HOMEOSTASIS_REQUIRE_ALL") == "1":
            pytest.fail(f"{request.param} is required: {reason}")
        pytest.skip(reason)
    monkeypatch.setattr(isolation, "probe", lambda: (request.param, "chosen by the test"))
    return str(request.param)


@pytest.fixture
def wait_for() -> Callable[[Callable[[], object]], None]:
    """Waits until something is true, for a bounded time."""

    def wait(condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    return wait


@pytest.fixture
def running() -> Callable[..., list[str]]:
    """Finds the processes with a word in their command line, the script of a test left out, and usually launchers."""

    def find(mark: str, *, launchers: bool = False) -> list[str]:
        found = []
        for file in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = file.read_bytes()
            except OSError:
                continue
            if mark.encode() in words and b"make_trial" not in words and (launchers or b'"limits"' not in words):
                found.append(file.parent.name)
        return found

    return find
