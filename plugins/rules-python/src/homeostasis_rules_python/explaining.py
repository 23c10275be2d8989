"""Which rules match an event, which nearly do, and what was missing: what `homeostasis rules explain` shows."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Dict, Iterable, List, Literal, Tuple

from homeostasis.errors import RuleError
from homeostasis.models import Event, Incident, Patch
from homeostasis.rules import Rule, TemplateRegistry
from homeostasis.source import SourceTree
from homeostasis_rules_python.analyze import Judged, diagnosis_of, judged_rules, unresolved
from homeostasis_rules_python.patching import patches

NEAR = 0.5
"""Share of a rule's parts that must hold for it to count as nearly matching."""


@dataclass(frozen=True)
class Explanation:
    """A rule that matches or nearly does.

    `incomplete` is a rule that matches, but whose fix needs what the failing code does not tell.
    """

    rule_id: str
    exception: str
    result: Literal["matches", "incomplete", "nearly"]
    held: Tuple[str, ...]
    missing: Tuple[str, ...]
    summary: str = ""
    patches: Tuple[Patch, ...] = ()

    @property
    def nearness(self) -> float:
        """Share of the parts that held, 0 to 1."""
        return len(self.held) / max(len(self.held) + len(self.missing), 1)

    def as_json(self) -> Dict[str, Any]:
        """For scripts."""
        shown = [{"summary": patch.summary, "effect": patch.effect.value, "diff": patch.diff} for patch in self.patches]
        sizes = {"nearness": round(self.nearness, 2), "parts": len(self.held) + len(self.missing)}
        return {**asdict(self), "held": list(self.held), "missing": list(self.missing), **sizes, "patches": shown}


def explanations(
    event: Event, source: SourceTree, rules: Iterable[Rule], templates: TemplateRegistry
) -> List[Explanation]:
    """The rules for the types of an event's exceptions that match, then those that nearly do, the nearest first."""
    found = [_explained(judged, event, source, templates) for judged in judged_rules(event, source, rules)]
    near = [each for each in found if each.result != "nearly" or each.nearness >= NEAR]
    order = ("matches", "incomplete", "nearly")
    return sorted(near, key=lambda each: (order.index(each.result), -each.nearness))


def _explained(judged: Judged, event: Event, source: SourceTree, templates: TemplateRegistry) -> Explanation:
    rule, judgement, view = judged.rule, judged.judgement, judged.view
    name = view.raised.dotted
    if not judgement.matches:
        return Explanation(rule.rule_id, name, "nearly", judgement.held, judgement.missing)
    diagnosis = diagnosis_of(rule, view)
    if diagnosis is None:
        lacking = unresolved(rule.fix.parameters, view) or ["the failing expression"]
        missing = tuple(f"{each} is not known" for each in lacking)
        return Explanation(rule.rule_id, name, "incomplete", judgement.held, missing)
    incident = Incident(
        id="explain", fingerprint=event.fingerprint, service=event.service, event=event, first_seen=0.0, last_seen=0.0
    )
    try:
        made = tuple(patches(diagnosis, incident, source, templates))
    except RuleError as error:
        return Explanation(rule.rule_id, name, "incomplete", judgement.held, (str(error),), diagnosis.summary)
    return Explanation(rule.rule_id, name, "matches", judgement.held, (), diagnosis.summary, made)
