"""What the tests of monitoring share: a project on disk, a client for it, and the records that it wrote."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from homeostasis.models import Event
from homeostasis.monitoring import client as clients
from homeostasis.monitoring import delivery


@pytest.fixture(autouse=True)
def _clean_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for key in ("PROJECT", "SERVICE", "TRANSPORT", "ENABLED", "LEVEL"):
        monkeypatch.delenv(f"HOMEOSTASIS_{key}", raising=False)
    monkeypatch.setenv("HOMEOSTASIS_STRICT", "1")
    # Counters are reported when a test asks for them: on a busy machine they would else come in several parts.
    monkeypatch.setattr(delivery, "COUNTERS_EVERY", 3600.0)
    monkeypatch.setattr(delivery, "URGENT_AFTER", 3600.0)
    clients.reset()
    yield
    clients.reset()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The root of a project that is set up for Homeostasis."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "pyproject.toml").write_text("[tool.homeostasis]\nservice = 'shop'\n", encoding="utf-8")
    return root.resolve()


@pytest.fixture
def spooling(project: Path) -> Callable[..., clients.Client]:
    """Makes the process-wide client that writes to the project's spool."""
    return lambda **config: clients.configure({"project": str(project), **config})


@pytest.fixture
def spooled(project: Path) -> Callable[[], list[dict[str, Any]]]:
    """Flushes the client and reads all records of the project's spool."""

    def read() -> list[dict[str, Any]]:
        client = clients.current()
        if client is not None:
            assert client.flush(60)
        files = sorted((project / ".homeostasis" / "spool").glob("*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_bytes().splitlines()]

    return read


@pytest.fixture
def remembering(project: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., clients.Client]:
    """Makes the process-wide client that keeps its records in memory."""
    monkeypatch.setenv("HOMEOSTASIS_TRANSPORT", "memory")
    return lambda **config: clients.configure({"project": str(project), **config})


@pytest.fixture
def event_of() -> Callable[[Any], Event]:
    """Validates a record of an event as the orchestrator does."""
    return lambda record: Event.model_validate_json(json.dumps(record))


@pytest.fixture
def run_script(project: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a script in an interpreter of its own, in the project."""

    def run(source: str, *, check: bool = True, **environ: str) -> subprocess.CompletedProcess[str]:
        import os

        (project / "script.py").write_text(textwrap.dedent(source), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "script.py"],
            cwd=project,
            env={**os.environ, "HOMEOSTASIS_STRICT": "1", **environ},
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    return run


@pytest.fixture
def load(project: Path) -> Callable[[str, str], Any]:
    """Writes a module into the project and runs it; returns its namespace."""

    def write(name: str, source: str) -> dict[str, Any]:
        file = project / f"{name}.py"
        file.write_text(textwrap.dedent(source), encoding="utf-8")
        namespace: dict[str, Any] = {"__name__": name, "__file__": str(file)}
        exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), namespace)
        return namespace

    return write


@pytest.fixture
def raised_by() -> Callable[..., BaseException]:
    """Calls a function and returns the exception that it raises."""

    def catch(function: Callable[..., Any], *arguments: Any) -> BaseException:
        try:
            function(*arguments)
        except BaseException as error:
            return error
        pytest.fail("nothing was raised")

    return catch
