"""The policy: what decides before what, and for which reason."""

from __future__ import annotations

import pytest

from homeostasis.models import Check, Diagnosis, Effect, FileEdit, Fix, Outcome, Patch, Risk, Span, Verdict
from homeostasis.models.incident import Incident
from homeostasis.oversight.pause import pause
from homeostasis.policy import Case, History, decide

NOW = 1_800_000_000.0  # a Friday, 08:00 UTC
ACCEPTED = Verdict.of("p", (Check(name="c", outcome=Outcome.ACCEPTED, required=True),))


@pytest.fixture
def case_of(event_of):
    def make(project, verdict=ACCEPTED, severity="medium", path="shop.py", **changes):
        values = {"id": "p", "rule_id": "key-error-x", "effect": Effect.CORRECT, "risk": Risk.LOW, "summary": "s"}
        patch = Patch(**{**values, **changes}, edits=(FileEdit(path=path, before=b"a", after=b"b"),))
        incident = Incident(
            id="i", fingerprint="f", service="app", event=event_of(project), first_seen=0.0, last_seen=0.0
        )
        diagnosis = Diagnosis(
            rule_id=patch.rule_id,
            path=path,
            span=Span(line=1),
            summary="s",
            severity=severity,
            fix=Fix(kind="template", id="t"),
        )
        return Case(incident, patch, verdict, diagnosis)

    return make


def auto(*settings):
    return "\n".join(['mode = "auto"', *settings])


@pytest.mark.parametrize(
    ("settings", "changes", "action", "reason"),
    [
        ([], {}, "deploy", "the policy allows it"),
        ([], {"effect": Effect.INVENT}, "ask", "invents"),
        (["policy.max_risk = 'low'"], {"risk": Risk.MEDIUM}, "ask", "risk medium"),
        (["policy.effects = ['refuse']"], {}, "ask", "effect correct"),
        (["policy.ask_paths = ['sh*']"], {}, "ask", "ask_paths"),
        (["source = ['lib']"], {}, "refuse", "outside source"),
        (["monitoring.exclude_modules = ['shop']"], {}, "refuse", "exclude_modules"),
        (["monitoring.exclude_error_types = ['LookupError']"], {}, "refuse", "exclude_error_types"),
        (["policy.freeze = ['Fri 00:00 - Sat 00:00']"], {}, "ask", "frozen: Fri"),
        (["policy.freeze = ['Sat 00:00 - Sun 00:00']"], {}, "deploy", ""),
        (["policy.rules = [{ action = 'refuse', rules = ['key-error-*'] }]"], {}, "refuse", "entry 1 of policy.rules"),
        (["policy.rules = [{ action = 'ask', modules = ['shop'], reason = 'money' }]"], {}, "ask", "money"),
        (["policy.rules = [{ action = 'ask', environments = ['prod*'] }]"], {}, "ask", "entry 1"),
        (
            ["environment = 'staging'", "policy.rules = [{ action = 'ask', environments = ['prod*'] }]"],
            {},
            "deploy",
            "",
        ),
        (["policy.rules = [{ action = 'ask', min_severity = 'high' }]"], {"severity": "critical"}, "ask", "entry 1"),
        (["policy.rules = [{ action = 'ask', min_severity = 'high' }]"], {"severity": "medium"}, "deploy", ""),
        (["policy.rules = [{ action = 'ask', min_risk = 'medium' }]"], {"risk": Risk.LOW}, "deploy", ""),
        (["policy.rules = [{ action = 'ask', paths = ['other.py'] }]"], {}, "deploy", ""),
        (["policy.rules = [{ action = 'ask', effects = ['refuse'] }]"], {}, "deploy", ""),
        (
            ["policy.max_risk = 'low'", "policy.rules = [{ action = 'deploy', paths = ['shop.py'] }]"],
            {"risk": Risk.HIGH},
            "deploy",
            "entry 1",
        ),
        (["policy.rules = [{ action = 'deploy' }]"], {"effect": Effect.INVENT}, "ask", "invents"),
        (
            ["policy.freeze = ['Fri 00:00 - Sat 00:00']", "policy.rules = [{ action = 'deploy' }]"],
            {},
            "ask",
            "frozen",
        ),
    ],
)
def test_settings_decide(make_project, case_of, settings, changes, action, reason):
    """Exclusions and freezes stand above special cases, and these above the usual settings."""
    project = make_project(auto(*settings))
    found = decide(project, case_of(project, **changes), History(), NOW)
    assert found.action == action
    assert reason in found.reason


@pytest.mark.parametrize(
    ("settings", "history", "action"),
    [
        (["policy.max_per_hour = 2"], History(last_hour=1), "deploy"),
        (["policy.max_per_hour = 2"], History(last_hour=2), "ask"),
        (["policy.max_per_crash = 1"], History(of_crash=1), "ask"),
        (["policy.cool_down = 60.0"], History(touched={"shop.py": NOW - 59}), "ask"),
        (["policy.cool_down = 60.0"], History(touched={"shop.py": NOW - 61}), "deploy"),
        (["policy.cool_down = 60.0"], History(touched={"other.py": NOW}), "deploy"),
    ],
)
def test_what_went_live_before_limits_what_follows(make_project, case_of, settings, history, action):
    """By the hour, by the crash and by the file."""
    project = make_project(auto(*settings))
    assert decide(project, case_of(project), history, NOW).action == action


def test_environment_variable_says_where_it_runs(make_project, case_of, monkeypatch):
    """One pyproject serves production and staging."""
    monkeypatch.setenv("HOMEOSTASIS_ENVIRONMENT", "staging")
    project = make_project(auto("policy.rules = [{ action = 'refuse', environments = ['staging'] }]"))
    assert decide(project, case_of(project), History(), NOW).action == "refuse"


@pytest.mark.parametrize("outcome", [Outcome.REJECTED, Outcome.INCONCLUSIVE])
def test_no_rule_deploys_what_was_not_accepted(make_project, case_of, outcome):
    """The verdict comes first."""
    project = make_project(auto("policy.rules = [{ action = 'deploy' }]"))
    verdict = Verdict.of("p", (Check(name="c", outcome=outcome, required=True),))
    assert decide(project, case_of(project, verdict), History(), NOW).action == "refuse"


def test_observing_deploys_nothing(make_project, case_of):
    """Whatever the rules say."""
    project = make_project("mode = 'observe'\npolicy.rules = [{ action = 'deploy' }]")
    assert decide(project, case_of(project), History(), NOW).action == "refuse"


def test_paused_project_asks(make_project, case_of):
    """With the reason that was given, whatever the rules say."""
    project = make_project(auto("policy.rules = [{ action = 'deploy' }]"))
    pause(project, "user:ann", "sale")
    found = decide(project, case_of(project), History(), NOW)
    assert (found.action, found.reason) == ("ask", "deployments are paused (user:ann: sale)")


def test_generated_test_is_no_file_to_ask_about(make_project, case_of):
    """It lies outside `source`, and no glob of a person means it."""
    project = make_project(auto("source = ['shop.py']", "policy.ask_paths = ['test*']"))
    case = case_of(project)
    test = FileEdit(path="tests/test_homeostasis_x.py", before=None, after=b"")
    patched = Case(case.incident, case.patch.with_regression_test(test), case.verdict)
    assert decide(project, patched, History(), NOW).action == "deploy"
