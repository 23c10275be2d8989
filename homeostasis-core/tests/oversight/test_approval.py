"""Approvals: by whom, of what, how many, and for how long."""

from __future__ import annotations

import hashlib
import os
import pwd
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from homeostasis.engine import Engine
from homeostasis.errors import DeployError, UsageError
from homeostasis.models import Check, Diagnosis, Effect, FileEdit, Fix, Outcome, Patch, Span, State, Verdict
from homeostasis.oversight.identity import identify
from homeostasis.oversight.pause import pause, resume

SETTINGS = 'deploy.chain = ["tree"]\nobserve.window = 60.0\n'
FIXED = b"fixed = True\n"


@pytest.fixture
def waiting(make_project, context_of, plugin_of, event_of):
    """An engine with an incident whose patch waits for approval."""

    def tree_deploy(patch, project, journal):
        journal.intend({})
        patch.apply(project.root)
        return "written"

    def tree_undo(patch, project):
        patch.undo(project.root)

    def make(settings=""):
        project = make_project(SETTINGS + settings)
        context = context_of(project, tree=plugin_of(homeostasis_deploy=tree_deploy, homeostasis_undo=tree_undo))
        incident, _ = context.ledger.record(event_of(project))
        offer(context.ledger, project, incident, FIXED)
        return Engine(project, context.plugins, context.ledger, context.observer), incident.id

    return make


def offer(ledger, project, incident, content):
    edit = FileEdit(path="shop.py", before=(project.root / "shop.py").read_bytes(), after=content)
    patch = Patch(id="p1", rule_id="r", edits=(edit,), effect=Effect.CORRECT, summary="fix")
    diagnosis = Diagnosis(rule_id="r", path="shop.py", span=Span(line=1), summary="s", fix=Fix(kind="template", id="t"))
    ledger.set_diagnoses(incident.id, [diagnosis])
    ledger.add_candidates(incident.id, [patch], [diagnosis])
    ledger.set_verdict(incident.id, Verdict.of("p1", (Check(name="c", outcome=Outcome.ACCEPTED, required=True),)))
    ledger.choose(incident.id, "p1")
    ledger.transition(incident.id, State.AWAITING_APPROVAL, "mode is propose")


def is_fixed(engine):
    return (engine.context.project.root / "shop.py").read_bytes() == FIXED


def test_several_people_must_agree(waiting):
    """The same one twice is one; the second one makes it live, and the timeline names both."""
    engine, identifier = waiting("policy.approvals = 2\n")
    for _ in range(2):
        assert engine.approve(identifier, "user:ann").state is State.AWAITING_APPROVAL
    assert engine.context.ledger.reason(identifier) == "approved by user:ann: 1 of 2"
    assert not is_fixed(engine)
    after = engine.approve(identifier, "user:bob", "reviewed")
    assert (after.state, is_fixed(engine)) == (State.OBSERVING, True)
    assert next(e.actor for e in after.timeline if e.state is State.DEPLOYING) == "user:ann, user:bob"


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ('source = ["lib"]\n', "shop.py lies outside source"),
        ('monitoring.exclude_modules = ["shop"]\n', "module shop is in exclude_modules"),
        ('monitoring.exclude_error_types = ["KeyError"]\n', "KeyError is in exclude_error_types"),
    ],
)
def test_approval_does_not_overrule_exclusions(waiting, settings, reason):
    """They may have been set after the crash was captured; nothing is written."""
    engine, identifier = waiting(settings)
    with pytest.raises(DeployError, match=reason):
        engine.approve(identifier, "user:ann")
    assert (engine.context.ledger.incident(identifier).state, is_fixed(engine)) == (State.VALIDATED, False)


def test_each_deployed_patch_counts_one_approval_for_its_rule(waiting):
    """However often and by however many it was approved."""
    engine, identifier = waiting("policy.approvals = 2\n")
    for actor in ("user:ann", "user:ann", "user:bob"):
        engine.approve(identifier, actor)
    assert engine.context.ledger.track.of("r")["approved"] == 1


def test_strangers_do_not_decide(waiting):
    """Only those whom the policy names approve, reject and retry; anybody may take a release back."""
    engine, identifier = waiting('policy.approvers = ["user:ann", "token:*"]\n')
    for decide in (engine.approve, engine.reject):
        with pytest.raises(UsageError, match="user:eve may not"):
            decide(identifier, "user:eve")
    assert engine.approve(identifier, "token:release").state is State.OBSERVING
    assert engine.rollback(identifier, "user:eve").state is State.ROLLED_BACK
    with pytest.raises(UsageError, match="may not retry"):
        engine.retry(identifier, "user:eve")


def test_approval_of_a_stranger_that_is_in_the_ledger_does_not_count(waiting):
    """The list may have been shortened since."""
    engine, identifier = waiting('policy.approvals = 2\npolicy.approvers = ["user:a*"]\n')
    ledger = engine.context.ledger
    ledger.approvals.add(identifier, ledger.patch(identifier).full_digest, "user:eve")
    assert engine.approve(identifier, "user:ann").state is State.AWAITING_APPROVAL


def test_approved_patch_is_the_deployed_patch(waiting):
    """A patch that is another one by the time the decision is carried out needs another look."""
    engine, identifier = waiting()
    ledger, project = engine.context.ledger, engine.context.project
    ledger.approvals.add(identifier, ledger.patch(identifier).full_digest, "user:ann")
    offer(ledger, project, ledger.incident(identifier), b"something else\n")
    number = ledger.decisions.leave(identifier, "approve", "user:ann", "")
    engine._carry_out_decisions()
    assert "has changed since user:ann approved it" in ledger.decisions.outcome_of(number)
    assert (project.root / "shop.py").read_bytes() not in (FIXED, b"something else\n")


def test_patch_whose_file_has_changed_is_not_deployed_but_made_and_asked_about_anew(waiting):
    """The approval was for the file as it was shown; whoever edited it since keeps the edit."""
    engine, identifier = waiting()
    ledger, file = engine.context.ledger, engine.context.project.root / "shop.py"
    edited = file.read_bytes() + b"# by hand\n"
    file.write_bytes(edited)
    with pytest.raises(DeployError, match=r"shop\.py has changed.*a new patch is being made; approve that one"):
        engine.approve(identifier, "user:ann")
    assert file.read_bytes() == edited
    assert State.OPEN in [entry.state for entry in ledger.incident(identifier).timeline[1:]]
    assert ledger.release(identifier) is None


def test_generated_test_is_part_of_what_is_approved():
    """Every byte that is written counts."""
    edit = FileEdit(path="shop.py", before=b"a", after=b"b")
    patch = Patch(id="p", rule_id="r", edits=(edit,), effect=Effect.CORRECT, summary="s")
    tested = patch.with_regression_test(FileEdit(path="test_homeostasis_x.py", before=None, after=b"x"))
    assert patch.digest == tested.digest
    assert patch.full_digest != tested.full_digest


def test_approvals_lapse(waiting):
    """An old approval does not count towards the number that is needed."""
    engine, identifier = waiting("policy.approvals = 2\npolicy.approval_expiry = 3600.0\n")
    engine.approve(identifier, "user:ann")
    ledger = engine.context.ledger
    digest = ledger.patch(identifier).full_digest
    assert [given.actor for given in ledger.approvals.of(identifier, digest)] == ["user:ann"]
    assert ledger.approvals.of(identifier, digest, since=time.time() + 1) == ()


def test_patch_that_nobody_decides_about_lapses(waiting):
    """What was tried on the code and traffic of last week is not deployed today."""
    engine, identifier = waiting("policy.approval_expiry = 60.0\n")
    ledger = engine.context.ledger
    engine._let_lapse()
    assert ledger.incident(identifier).state is State.AWAITING_APPROVAL
    ledger.transition(identifier, State.AWAITING_APPROVAL, "asked", at=time.time() - 61)
    engine._let_lapse()
    assert ledger.incident(identifier).state is State.REJECTED
    assert ledger.reason(identifier) == "nobody decided within 60 s"


def test_nothing_is_deployed_while_paused(waiting):
    """Not even what a person approves; afterwards it can be approved again, and a rollback works all the time."""
    engine, identifier = waiting()
    project = engine.context.project
    pause(project, "user:bob", "sale")
    with pytest.raises(DeployError, match=r"paused \(user:bob: sale\)"):
        engine.approve(identifier, "user:ann")
    assert (engine.context.ledger.incident(identifier).state, is_fixed(engine)) == (State.AWAITING_APPROVAL, False)
    assert resume(project)
    assert engine.approve(identifier, "user:ann").state is State.OBSERVING
    pause(project, "user:bob")
    assert engine.rollback(identifier, "user:ann").state is State.ROLLED_BACK


@pytest.mark.parametrize(
    "make", [lambda path: path.touch(), lambda path: path.mkdir(), lambda path: path.write_bytes(b"\xff")]
)
def test_any_file_of_that_name_pauses(waiting, make):
    """Made by a shell script in a hurry."""
    engine, identifier = waiting()
    make(engine.context.project.state / "paused")
    with pytest.raises(DeployError, match="paused"):
        engine.approve(identifier, "user:ann")


def test_retry_lifts_the_latch(waiting):
    """A rolled back incident stays as it is until a person wants another try."""
    engine, identifier = waiting()
    with pytest.raises(DeployError, match="nothing to try again"):
        engine.retry(identifier, "user:ann")
    engine.approve(identifier, "user:ann")
    engine.rollback(identifier, "user:ann")
    assert engine.retry(identifier, "user:ann", "upstream was down").state is State.OPEN


def test_user_is_the_one_of_the_process(make_project, monkeypatch):
    """Variables do not change who somebody is."""
    policy = make_project().config.policy
    for name in ("USER", "LOGNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody-else")
    assert identify(policy) == f"user:{pwd.getpwuid(os.getuid()).pw_name}"


def test_token_identifies_its_holder(make_project, monkeypatch):
    """By its hash; a wrong one is an error and does not fall back to the user."""
    digest = hashlib.sha256(b"open sesame").hexdigest()
    policy = make_project(f'policy.tokens = {{ ci = "{digest}" }}').config.policy
    monkeypatch.setenv("HOMEOSTASIS_TOKEN", "open sesame")
    assert identify(policy) == "token:ci"
    monkeypatch.setenv("HOMEOSTASIS_TOKEN", "open barley")
    with pytest.raises(UsageError, match="none of the tokens"):
        identify(policy)


def test_approvals_at_the_same_time_deploy_once(waiting):
    """Two people press the button together."""
    engine, identifier = waiting()

    def press(name):
        try:
            return engine.approve(identifier, name).state
        except (UsageError, DeployError) as error:
            return str(error)

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(press, ["user:ann", "user:bob"]))
    assert State.OBSERVING in found
    assert is_fixed(engine)
    with engine.context.ledger.connect() as connection:
        assert connection.exec_driver_sql("select count(*) from releases").scalar() == 1
