"""Fixtures for the tests of the command line."""

from __future__ import annotations

import logging
from typing import Any, Callable, List, NamedTuple

import pytest

from homeostasis.cli import main


class Ended(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def run_cli(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ended]:
    """Runs a command in this process, as on a pipe of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("HOMEOSTASIS_DEBUG", raising=False)

    def run(*words: str) -> Ended:
        capfd.readouterr()
        arguments: List[str] = [str(word) for word in words]
        status = main(arguments)
        out, err = capfd.readouterr()
        return Ended(status, out, err)

    yield run
    logger = logging.getLogger("homeostasis")
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    logger.propagate = True


HEALER = """
from homeostasis import hookimpl
from homeostasis.models import Check, Completed, Diagnosis, Effect, FileEdit, Fix, Outcome, Patch, Trial

class Runner:
    def run(self, argv, *, stdin, env, cwd, timeout):
        return Completed(argv=tuple(argv), returncode=0, stdout="", stderr="", seconds=0.0)
    def close(self):
        pass

@hookimpl
def homeostasis_analyze(incident):
    if incident.event.raised.type != "KeyError":
        return []
    span = incident.event.crash_frame.span
    fix = Fix(kind="template", id="t")
    return [Diagnosis(rule_id="key-error", path="shop.py", span=span, summary="the key may be missing", fix=fix)]

@hookimpl
def homeostasis_patch(diagnosis, source):
    before = source.read("shop.py")
    edit = FileEdit(path="shop.py", before=before, after=before.replace(b"PRICES[name]", b"PRICES.get(name)"))
    return [Patch(id="p1", rule_id="key-error", edits=(edit,), effect=Effect.RECOVER, summary="use a default")]

@hookimpl
def homeostasis_sandbox(patch, project):
    return Trial(root=project.root, python="python", isolation="none", patch=patch, runner=Runner())

@hookimpl
def homeostasis_validate():
    return Check(name="agrees", outcome=Outcome.ACCEPTED, detail="it does", required=True)

@hookimpl
def homeostasis_deploy(patch, project, journal):
    journal.intend({})
    patch.apply(project.root)
    return "wrote the files"

@hookimpl
def homeostasis_undo(patch, project):
    patch.undo(project.root)
"""


@pytest.fixture
def healer(publish: Callable[..., None], make_project: Callable[..., Any]) -> Any:
    """A project whose only plugin does all stages for a KeyError in shop.py, in a sandbox in which nothing runs."""
    publish("healer", HEALER)
    return make_project('plugins = ["healer"]\ndeploy.chain = ["healer"]')
