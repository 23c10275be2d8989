"""Calls into plugins: typed, one at a time, and isolated from each other."""

from __future__ import annotations

import pytest

from homeostasis.errors import DeployError, PluginError
from homeostasis.models import Check, Diagnosis, Effect, FileEdit, Fix, Outcome, Patch, Span, Trial, Verdict
from homeostasis.source import SourceTree

DIAGNOSIS = Diagnosis(rule_id="r", path="shop.py", span=Span(line=5), summary="s", fix=Fix(kind="template", id="t"))
PATCH = Patch(
    id="p",
    rule_id="r",
    edits=(FileEdit(path="shop.py", before=b"a", after=b"b"),),
    effect=Effect.CORRECT,
    summary="s",
)


def boom(*_):
    raise ZeroDivisionError("by accident")


def test_raising_plugin_loses_its_own_result_only(context_of, make_project, event_of, plugin_of):
    """One analyzer raises, one exits, one returns rubbish: the good one's diagnosis arrives, the failures are recorded."""

    def leave(incident):
        raise SystemExit(1)

    def lazily(incident):
        yield DIAGNOSIS
        raise KeyError("late")

    project = make_project()
    context = context_of(
        project,
        raises=plugin_of(homeostasis_analyze=lambda incident: boom()),
        leaves=plugin_of(homeostasis_analyze=leave),
        lies=plugin_of(homeostasis_analyze=lambda incident: ["not a diagnosis"]),
        late=plugin_of(homeostasis_analyze=lazily),
        good=plugin_of(homeostasis_analyze=lambda incident: [DIAGNOSIS]),
    )
    incident, _ = context.ledger.record(event_of(project))
    found = context.plugins.analyze(incident, SourceTree(project))
    assert [diagnosis.plugin for diagnosis in found] == ["good"]
    assert {failure.plugin for failure in context.plugins.failures} == {"raises", "leaves", "lies", "late"}
    assert "ZeroDivisionError: by accident" in str(context.plugins.failures[0])


def test_broken_validator_is_no_consent(context_of, make_project, event_of, plugin_of):
    """A validator that raises leaves a required check without result: the verdict cannot be accepted."""
    project = make_project()
    context = context_of(project, broken=plugin_of(homeostasis_validate=lambda trial: boom()))
    incident, _ = context.ledger.record(event_of(project))
    trial = Trial(root=project.root, python="python", isolation="none", runner=None)
    checks = context.plugins.validate("broken", trial, trial, incident, PATCH)
    assert (
        Verdict.of("p", (*checks, Check(name="x", outcome=Outcome.ACCEPTED, required=True))).outcome
        is Outcome.INCONCLUSIVE
    )
    assert "ZeroDivisionError" in checks[0].detail


def test_first_sandbox_that_answers_is_used(context_of, make_project, plugin_of):
    """A sandbox plugin that fails or declines passes the question on."""
    project = make_project()
    trial = Trial(root=project.root, python="python", isolation="none", runner=None)
    context = context_of(
        project,
        fails=plugin_of(homeostasis_sandbox=lambda patch: boom()),
        declines=plugin_of(homeostasis_sandbox=lambda patch: None),
        makes=plugin_of(homeostasis_sandbox=lambda patch: trial),
    )
    assert context.plugins.sandbox(None) is trial


def test_no_sandbox_says_what_each_one_said(context_of, make_project, plugin_of):
    """Without any environment the error carries the plugins' reasons."""
    context = context_of(make_project(), fails=plugin_of(homeostasis_sandbox=lambda patch: boom()))
    with pytest.raises(PluginError, match="by accident"):
        context.plugins.sandbox(None)


def test_deployer_that_raises_anything_is_a_deploy_error(context_of, make_project, event_of, plugin_of):
    """Whatever a deployer raises arrives as DeployError, so that the chain is undone."""
    project = make_project()
    context = context_of(project, breaks=plugin_of(homeostasis_deploy=lambda patch: boom()))
    incident, _ = context.ledger.record(event_of(project))
    verdict = Verdict(patch_id="p", outcome=Outcome.ACCEPTED)
    with pytest.raises(DeployError, match="'breaks' failed in homeostasis_deploy: ZeroDivisionError"):
        context.plugins.deploy("breaks", PATCH, verdict, incident, None)
    with pytest.raises(DeployError, match="'absent' is not loaded"):
        context.plugins.deploy("absent", PATCH, verdict, incident, None)
