"""A release that does harm is taken back by itself: in the files, and in what live workers answer."""

from __future__ import annotations

import time

import pytest

import homeostasis_deploy_hotswap.plugin.hotswap
from homeostasis.ledger import Ledger
from homeostasis.models import Check, Diagnosis, Event, Fix, Outcome, Raised, Request, Span, State, Verdict
from homeostasis.plugins import Plugins
from homeostasis.project import Project
from homeostasis.stages.context import Context
from homeostasis.stages.deploy import deploy
from homeostasis.stages.observe import look, recurred

SETTINGS = """\
[tool.homeostasis]
mode = "auto"
plugins = []
[tool.homeostasis.deploy]
chain = ["working-tree", "hotswap"]
"""
ROUTE = "/price/<name>"


@pytest.fixture
def context(shop):
    """The shop with two live workers, its ledger, and both deployers."""
    working_tree = pytest.importorskip("homeostasis_deploy_git.plugin.working_tree")
    (shop.root / "pyproject.toml").write_text(SETTINGS, encoding="utf-8")
    shop.project = Project.load(shop.root)
    shop.gunicorn()
    plugins = Plugins(shop.project)
    plugins.add("working-tree", working_tree)
    plugins.add("hotswap", homeostasis_deploy_hotswap.plugin.hotswap)
    plugins.read_tables()
    with Ledger.open(shop.project) as ledger:
        yield Context(shop.project, plugins, ledger, lambda notice: None)


@pytest.fixture
def released(context, shop):
    """An incident whose patch is live in both workers, for half a minute as far as the ledger knows."""
    raised = Raised(type="KeyError", message="'x17'", bases=("LookupError",), frames=())
    request = Request(path="/price/x17", route=ROUTE)
    event = Event(
        id="e", timestamp=time.time(), fingerprint="f" * 16, service="app", exceptions=(raised,), request=request
    )
    ledger, patch = context.ledger, shop.patch()
    incident, _ = ledger.record(event)
    diagnosis = Diagnosis(rule_id="r", path="shop.py", span=Span(line=1), summary="s", fix=Fix(kind="template", id="t"))
    verdict = Verdict.of(patch.id, (Check(name="c", outcome=Outcome.ACCEPTED, required=True),))
    ledger.set_diagnoses(incident.id, [diagnosis])
    ledger.add_candidates(incident.id, [patch], [diagnosis])
    ledger.set_verdict(incident.id, verdict)
    ledger.choose(incident.id, patch.id)
    deploy(context, incident, patch, verdict)
    assert shop.price() == (200, 0)
    ledger.releases.end(ledger.release(incident.id).id, "live", live_at=time.time() - 30)
    return ledger.incident(incident.id)


def worse(context, incident):
    """Far more server errors than before."""
    now = time.time()
    for requests, errors, at in ((1000, 2, now - 600), (100, 40, now - 5)):
        context.ledger.heard.add_traffic("app", ROUTE, requests, errors, at)
    return look(context, incident)


def again(context, incident):
    """The crash comes back."""
    return recurred(context, incident, time.time())


@pytest.mark.parametrize("harm", [worse, again])
def test_harm_is_taken_back_in_files_and_live_answers(context, shop, released, harm):
    """In the reverse order, in every worker, and latched."""
    pids = shop.pids()
    ended = harm(context, released)
    assert ended.state is State.ROLLED_BACK, context.ledger.reason(released.id)
    assert shop.file.read_bytes() == shop.patch().edits[0].before
    assert shop.price() == (500, None)
    assert shop.pids() == pids
    assert [step.state for step in context.ledger.release(released.id).steps] == ["undone", "undone"]
