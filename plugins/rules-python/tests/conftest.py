"""Real crashes of real code, healed: run, capture, diagnose, patch, run again."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional

import pytest

with warnings.catch_warnings():
    # The libcst that still supports Python 3.8 uses a class that mypy_extensions has deprecated since.
    warnings.simplefilter("ignore", DeprecationWarning)
    import libcst  # noqa: F401

from homeostasis.models import Diagnosis, Event, Patch, Request, Span
from homeostasis.project import Project
from homeostasis.source import SourceTree
from homeostasis.testing import ProjectFactory, crash, incident_of
from homeostasis_rules_python.analyze import diagnose
from homeostasis_rules_python.catalog import shipped_rules, shipped_templates
from homeostasis_rules_python.matching import RuleIndex
from homeostasis_rules_python.patching import patches

RULES = shipped_rules()
INDEX = RuleIndex(RULES)
TEMPLATES = shipped_templates()


class Healing(NamedTuple):
    """What became of a crash."""

    project: Project
    event: Event
    diagnoses: List[Diagnosis]
    patches: List[Patch]

    @property
    def best(self) -> Patch:
        """The candidate with the highest confidence."""
        assert self.patches, f"no patch for {self.event.raised.type}: {self.event.raised.message}: {self.diagnoses}"
        return max(self.patches, key=lambda patch: patch.confidence)

    @property
    def rules(self) -> set[str]:
        """Rules that matched."""
        return {diagnosis.rule_id for diagnosis in self.diagnoses}

    def after(self, code: str) -> str:
        """Apply the best patch, run code in a fresh interpreter and return what it printed."""
        self.best.apply(self.project.root)
        command = [sys.executable, "-W", "ignore", "-B", "-c", code]
        done = subprocess.run(command, cwd=self.project.root, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr + self.best.diff
        return done.stdout.strip()


def lines_only(event: Event) -> Event:
    """The event without columns and locals, as from a traceback in a log."""
    exceptions = []
    for raised in event.exceptions:
        frames = tuple(
            frame.model_copy(update={"span": Span(line=frame.span.line), "locals": {}}) for frame in raised.frames
        )
        exceptions.append(raised.model_copy(update={"frames": frames}))
    return event.model_copy(update={"exceptions": tuple(exceptions)})


Heal = Callable[..., Healing]


@pytest.fixture
def sqlite_closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close the connections that crashed programs leave open: Python 3.13 warns of each, wherever it is collected."""
    connect, opened = sqlite3.connect, []

    def opening(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        opened.append(connect(*args, **kwargs))
        return opened[-1]

    monkeypatch.setattr(sqlite3, "connect", opening)
    yield
    for connection in opened:
        connection.close()


@pytest.fixture
def heal_event() -> Callable[[Project, Event], Healing]:
    """Diagnose and patch an event of a project."""

    def run(project: Project, event: Event) -> Healing:
        source, incident = SourceTree(project), incident_of(event)
        found = diagnose(incident, source, INDEX)
        made = [patch for each in found for patch in patches(each, incident, source, TEMPLATES)]
        return Healing(project, event, found, made)

    return run


@pytest.fixture
def heal(project_factory: ProjectFactory, heal_event: Callable[[Project, Event], Healing]) -> Heal:
    """Run code in a project of the given files, and heal the crash."""

    def run(
        files: Mapping[str, str],
        code: str,
        request: Optional[Request] = None,
        *,
        plain: bool = False,
    ) -> Healing:
        project = project_factory(files)
        event = crash(project, code, request=request)
        return heal_event(project, lines_only(event) if plain else event)

    return run


@pytest.fixture
def flask_call() -> Callable[..., str]:
    """Code that sends one request to the Flask app `app.app`; with `answer` it prints the status and the text."""
    return _flask_call


def _flask_call(method: str, path: str, body: Any = None, *, answer: bool = False) -> str:
    given = f", json=json.loads({json.dumps(body)!r})" if body is not None else ""
    code = f"import json\nfrom app import app\napp.config['PROPAGATE_EXCEPTIONS'] = {not answer}\n"
    code += f"sent = app.test_client().open({path!r}, method={method!r}{given})\n"
    return code + ("print(sent.status_code, sent.get_data(as_text=True).strip())\n" if answer else "")


@pytest.fixture
def fastapi_call() -> Callable[..., str]:
    """The same for the FastAPI app `app.app`."""
    pytest.importorskip("fastapi", reason="fastapi is not installed: pip install fastapi httpx")
    return _fastapi_call


def _fastapi_call(method: str, path: str, body: Any = None, *, answer: bool = False) -> str:
    given = f", json=json.loads({json.dumps(body)!r})" if body is not None else ""
    return (
        "import asyncio, json\nimport httpx\nfrom app import app\n"
        "async def send():\n"
        f"    transport = httpx.ASGITransport(app=app, raise_app_exceptions={not answer})\n"
        "    async with httpx.AsyncClient(transport=transport, base_url='http://localhost') as client:\n"
        f"        return await client.request({method!r}, {path!r}{given})\n"
        "sent = asyncio.run(send())\n" + ("print(sent.status_code, sent.text)\n" if answer else "")
    )


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Dict[str, str]], Path]:
    """Write files below a directory."""

    def run(files: Dict[str, str]) -> Path:
        root = tmp_path / "written"
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(text.encode())
        return root

    return run
