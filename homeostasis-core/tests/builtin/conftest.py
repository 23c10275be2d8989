"""A `Case`: a real app, the event of a real crash in it, and real trials of its patches."""

from __future__ import annotations

import inspect
import sys
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any, Callable, Iterator, Sequence

import pytest

from homeostasis.command_capture import run_captured
from homeostasis.models import Check, Completed, Effect, Event, Incident, Patch, Raised, Request, Trial
from homeostasis.project import Project
from homeostasis.replay import replay_requests
from homeostasis.stages.sandbox import RememberingRunner, identity_of
from homeostasis.testing.builders import incident_of, patch_of
from homeostasis.tree_state import tree_state

FLASK = """
    from flask import Flask, request

    app = Flask(__name__)
    PRICES = {"tea": 3}

    @app.route("/price")
    def price():
        return {"price": PRICES[request.args["name"]]}

    @app.route("/total", methods=["POST"])
    def total():
        return {"total": sum(item["price"] for item in request.get_json())}

    @app.route("/now")
    def now():
        import time, uuid
        return {"now": time.time(), "id": uuid.uuid4().hex, "shop": "open"}
"""

FASTAPI = """
    from contextlib import asynccontextmanager
    from fastapi import FastAPI

    ORDERS = {}

    @asynccontextmanager
    async def lifespan(app):
        ORDERS["1"] = {"total": 7}
        yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/orders/{number}")
    async def order(number: str):
        return {"total": ORDERS[number]["total"]}
"""


class Noting:
    """A runner that writes down what it is asked to run."""

    def __init__(self, runner: Any, ran: list[str]) -> None:
        self._runner, self._ran = runner, ran

    def run(self, argv: Sequence[str], **options: Any) -> Completed:
        """Write the command down and run it."""
        self._ran.append(" ".join(argv))
        done: Completed = self._runner.run(argv, **options)
        return done

    def close(self) -> None:
        """Close the runner behind."""
        self._runner.close()


class Case:
    """One project with its base trial."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._sandbox = pytest.importorskip("homeostasis_sandbox_venv.runner")
        self._settings = pytest.importorskip("homeostasis_sandbox_venv.settings").Settings()
        self._open: list[Trial] = []
        self.base_ran: list[str] = []
        """The commands that bases really ran."""
        self.base = self.trial(None)

    def trial(self, patch: Patch | None) -> Trial:
        """A trial that remembers what it ran, as the sandbox stage makes it."""
        tree = tree_state(self.project.root)
        made = self._sandbox.make_trial(patch, self.project, self._settings)
        self._open.append(made)
        identity = identity_of(made, tree, self.project.root)
        runner = made.runner if patch is not None else Noting(made.runner, self.base_ran)
        return made.model_copy(update={"runner": RememberingRunner(runner, identity=identity)})

    def deploy(self, patch: Patch) -> None:
        """Apply a patch to the live project; the next crash has another base."""
        patch.apply(self.project.root)
        self.base_ran.clear()
        self.base = self.trial(None)

    def close(self) -> None:
        """Take all trials away."""
        for trial in self._open:
            trial.close()

    def incident_of_request(self, request: Request, *healthy: Request) -> Incident:
        """The incident of a request that crashes the base, as its monitoring would have told it."""
        unknown = Event(id="e", timestamp=1.0, fingerprint="0" * 16, exceptions=(Raised(type="E"),), request=request)
        crash = replay_requests(self.base, incident_of(unknown), self.project).crash
        assert crash is not None, "the app did not start"
        assert crash.events, "the request does not crash"
        return incident_of(crash.events[0].model_copy(update={"request": request}), *healthy)

    def incident_of_command(self, *argv: str) -> Incident:
        """The incident of a command that crashes in the live project."""
        _, events = run_captured(argv, self.project, sys.executable)
        assert len(events) == 1, "the command does not crash, or crashes in several ways"
        return incident_of(events[0])

    def patch(self, path: str, old: str, new: str, **fields: Any) -> Patch:
        """A patch that replaces some text of one file."""
        before = (self.project.root / path).read_bytes()
        assert old.encode() in before
        return patch_of({path: (before, before.replace(old.encode(), new.encode()))}, **fields)

    def check(self, validator: ModuleType, incident: Incident, patch: Patch) -> Check:
        """What a validator says about a patch."""
        trial = self.trial(patch)
        known = {"trial": trial, "base": self.base, "incident": incident, "patch": patch, "project": self.project}
        wanted = inspect.signature(validator.homeostasis_validate).parameters
        return validator.homeostasis_validate(**{name: known[name] for name in wanted})


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Callable[..., Case]]:
    """Makes a case of files (path to text) and further lines of [tool.homeostasis]."""
    made: list[Case] = []

    def make(files: dict[str, str], settings: str = "") -> Case:
        root = tmp_path / "project"
        text = f'[tool.homeostasis]\npython = "{sys.executable}"\n{settings}\n'
        for name, content in {**files, "pyproject.toml": text}.items():
            file = root / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(textwrap.dedent(content), encoding="utf-8")
        made.append(Case(Project.load(root)))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def flask_case(case: Callable[..., Case]) -> Case:
    """A small Flask app."""
    pytest.importorskip("flask")
    return case({"shop.py": FLASK}, 'app = "shop:app"')


@pytest.fixture
def fastapi_case(case: Callable[..., Case]) -> Case:
    """A small FastAPI app that fills its data at start."""
    pytest.importorskip("fastapi")
    return case({"orders/__init__.py": "", "orders/main.py": FASTAPI}, 'app = "orders.main:app"')


@pytest.fixture
def refuse() -> dict[str, Any]:
    """Fields of a patch that refuses the input."""
    return {"effect": Effect.REFUSE}
