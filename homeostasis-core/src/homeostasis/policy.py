"""Whether an accepted patch may go live: by itself, after a person agreed, or not at all."""

from __future__ import annotations

import fnmatch
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Mapping, Sequence

from homeostasis.models import Effect, Outcome
from homeostasis.oversight.freeze import open_window
from homeostasis.oversight.pause import paused

if TYPE_CHECKING:
    from homeostasis.config import Config, MonitoringTable, PolicyRule
    from homeostasis.models import Diagnosis, Event, Incident, Patch, Verdict
    from homeostasis.project import Project

_RISKS = ("low", "medium", "high")
_SEVERITIES = ("low", "medium", "high", "critical")
HOUR = 3600.0


@dataclass(frozen=True)
class Decision:
    """What to do with a patch, and why."""

    action: Literal["deploy", "ask", "refuse"]
    reason: str


@dataclass(frozen=True)
class History:
    """What went live before."""

    last_hour: int = 0
    of_crash: int = 0
    """Releases for crashes of the same fingerprint."""
    touched: Mapping[str, float] = field(default_factory=dict)
    """When each file was last changed by a release, in seconds since the epoch."""


@dataclass(frozen=True)
class Case:
    """A patch with all that a policy may look at."""

    incident: Incident
    patch: Patch
    verdict: Verdict
    diagnosis: Diagnosis | None = None

    @property
    def module(self) -> str:
        """Where it crashed, as a dotted name; empty if that is not known."""
        frame = self.incident.event.crash_frame
        return (frame.module or "") if frame else ""

    @property
    def paths(self) -> list[str]:
        """The files that the patch changes; the test that it brings is none of them."""
        return [edit.path for edit in self.patch.edits if edit.path != self.patch.regression_test]


def decide(project: Project, case: Case, history: History, now: float | None = None) -> Decision:
    """Apply the kill switch, `mode` and `[tool.homeostasis.policy]` to a candidate.

    What no person may overrule comes first: the verdict, exclusions, `source`. Then what holds all patches back, then
    the special cases, then the settings for the rest.

    Args:
        project: its settings decide.
        case: the candidate.
        history: what went live before.
        now: seconds since the epoch.
    """
    config, moment = project.config, time.time() if now is None else now
    for found in (
        forbidden(project, case),
        _holds_all(project, history, moment),
        _special_case(config, case),
        _usual(config, case, history, moment),
    ):
        if found is not None:
            return found
    return Decision("deploy", "the policy allows it")


def forbidden(project: Project, case: Case) -> Decision | None:
    """Why a candidate may not go live whoever approves it; None if it may."""
    config = project.config
    if case.verdict.outcome is not Outcome.ACCEPTED:
        return Decision("refuse", f"the verdict is {case.verdict.outcome.value}: {case.verdict.reason}")
    excluded = exclusion(config.monitoring, case.incident.event)
    if excluded:
        return Decision("refuse", excluded)
    for path in case.paths:
        if not project.covers(path):
            return Decision("refuse", f"{path} lies outside source")
    return None


def _holds_all(project: Project, history: History, now: float) -> Decision | None:
    config, policy = project.config, project.config.policy
    if config.mode == "observe":
        return Decision("refuse", "mode is observe: nothing is deployed")
    reason = paused(project)
    if reason is not None:
        return Decision("ask", f"deployments are paused ({reason})")
    if config.mode == "propose":
        return Decision("ask", "mode is propose: a person decides")
    window = open_window(policy.freeze, policy.time_zone, now)
    if window:
        return Decision("ask", f"changes are frozen: {window} ({policy.time_zone})")
    if history.last_hour >= policy.max_per_hour:
        return Decision("ask", f"{history.last_hour} releases in the last hour reach policy.max_per_hour")
    return None


def _special_case(config: Config, case: Case) -> Decision | None:
    rule = next((rule for rule in config.policy.rules if _matches(rule, config, case)), None)
    if rule is None:
        return None
    if rule.action == "deploy" and case.patch.effect is Effect.INVENT:
        return _INVENTS
    number = config.policy.rules.index(rule) + 1
    return Decision(rule.action, rule.reason or f"entry {number} of policy.rules says {rule.action}")


def _matches(rule: PolicyRule, config: Config, case: Case) -> bool:
    severity = case.diagnosis.severity if case.diagnosis else "medium"
    environment = os.environ.get("HOMEOSTASIS_ENVIRONMENT") or config.environment
    return (
        (not rule.effects or case.patch.effect.value in rule.effects)
        and _any_matches(rule.rules, [case.patch.rule_id])
        and _any_matches(rule.paths, case.paths)
        and _any_matches(rule.modules, [case.module])
        and _any_matches(rule.environments, [environment])
        and _RISKS.index(case.patch.risk.value) >= _RISKS.index(rule.min_risk)
        and _SEVERITIES.index(severity) >= _SEVERITIES.index(rule.min_severity)
    )


def _any_matches(patterns: Sequence[str], names: Sequence[str]) -> bool:
    """Whether one name matches one pattern; no patterns ask for nothing."""
    return not patterns or any(fnmatch.fnmatchcase(name, pattern) for name in names for pattern in patterns)


_INVENTS = Decision("ask", "the patch invents a value that nobody declared")


def _usual(config: Config, case: Case, history: History, now: float) -> Decision | None:
    policy, patch = config.policy, case.patch
    if patch.effect is Effect.INVENT:
        return _INVENTS
    if patch.effect.value not in policy.effects:
        return Decision("ask", f"the effect {patch.effect.value} is not in policy.effects")
    if _RISKS.index(patch.risk.value) > _RISKS.index(policy.max_risk):
        return Decision("ask", f"the risk {patch.risk.value} is above policy.max_risk = {policy.max_risk}")
    for path in case.paths:
        if policy.ask_paths and _any_matches(policy.ask_paths, [path]):
            return Decision("ask", f"{path} is in policy.ask_paths")
        if now - history.touched.get(path, float("-inf")) < policy.cool_down:
            return Decision("ask", f"{path} was changed less than policy.cool_down = {policy.cool_down:g} s ago")
    if history.of_crash >= policy.max_per_crash:
        return Decision("ask", f"{history.of_crash} releases for the same crash reach policy.max_per_crash")
    return None


def hour_ago() -> float:
    """The moment an hour ago, in seconds since the epoch."""
    return time.time() - HOUR


def exclusion(monitoring: MonitoringTable, event: Event) -> str | None:
    """Why an event is none of ours, in a phrase; None if it is to be healed.

    The app leaves excluded errors out at capture; this binds what other collectors bring, and what was captured
    before the setting was made.
    """
    frame = event.crash_frame
    module = (frame.module or "") if frame else ""
    for excluded in monitoring.exclude_modules:
        if module == excluded or module.startswith(f"{excluded}."):
            return f"module {module} is in exclude_modules"
    raised = event.raised
    for pattern in monitoring.exclude_error_types:
        if _names_type(pattern, (raised.type, raised.dotted, *raised.bases)):
            return f"{raised.dotted} is in exclude_error_types"
    return None


def _names_type(pattern: str, names: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) or name.rsplit(".", 1)[-1] == pattern for name in names)
