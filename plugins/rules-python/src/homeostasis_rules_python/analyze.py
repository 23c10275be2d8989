"""From an incident to diagnoses: judge the rules on each exception of the event's chain."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Dict, Iterable, Iterator, List, Tuple

from homeostasis.models import Diagnosis, Event, Fix, Incident
from homeostasis.rules import Rule
from homeostasis.source import SourceTree
from homeostasis_rules_python.code.answering import case_of
from homeostasis_rules_python.facts import Facts, extract
from homeostasis_rules_python.facts.expected import is_expected
from homeostasis_rules_python.matching import Judgement, RuleIndex, View, judge
from homeostasis_rules_python.matching.view import MISSING

_PLACEHOLDER = re.compile(r"\{\{\s*([a-z_]+(?:\.\w+)*)\s*\}\}")
MAX_EXCEPTIONS = 20
"""Exceptions of one event that are looked at."""


@dataclass(frozen=True)
class Judged:
    """A rule, how it was judged, and on what."""

    rule: Rule
    judgement: Judgement
    view: View


def diagnose(incident: Incident, source: SourceTree, rules: RuleIndex | Iterable[Rule]) -> List[Diagnosis]:
    """The diagnoses of all rules that match and whose parameters could be extracted, the likeliest first."""
    index = rules if isinstance(rules, RuleIndex) else RuleIndex(rules)
    found: List[Diagnosis] = []
    for view in _views(incident.event, source):
        if view.raised.relation == "context" and view.facts is not None and is_expected(view.facts):
            continue
        for compiled in index.candidates(view.types, view.text):
            diagnosis = diagnosis_of(compiled.rule, view) if compiled.matches(view) else None
            if diagnosis is not None:
                found.append(diagnosis)
    return sorted(found, key=lambda item: -item.confidence)


def judged_rules(event: Event, source: SourceTree, rules: RuleIndex | Iterable[Rule]) -> Iterator[Judged]:
    """Every rule for the types of an event's exceptions, with its judgement in words."""
    index = rules if isinstance(rules, RuleIndex) else RuleIndex(rules)
    for view in _views(event, source):
        for compiled in index.candidates(view.types):
            yield Judged(compiled.rule, judge(compiled.rule, view), view)


def _views(event: Event, source: SourceTree) -> Iterator[View]:
    for number in _order(event):
        yield View(event, number, source)


def facts_of(diagnosis: Diagnosis, event: Event, source: SourceTree) -> Facts | None:
    """The facts that a diagnosis was made from; None if the source no longer gives them."""
    for number in _order(event):
        facts = extract(case_of(event, number, source))
        if facts is None or facts.site.path != diagnosis.path:
            continue
        if facts.site.tree.span(facts.node) == diagnosis.span:
            return facts
    return None


def _order(event: Event) -> List[int]:
    """Exceptions to look at: what escaped, its causes and members of groups first, then what was handled before."""
    numbers = range(min(len(event.exceptions), MAX_EXCEPTIONS))
    return sorted(numbers, key=lambda number: event.exceptions[number].relation == "context")


def diagnosis_of(rule: Rule, view: View) -> Diagnosis | None:
    """What a rule that matches says; None if its parameters could not be extracted."""
    facts = view.facts
    if facts is None:
        return None
    complete, parameters = resolve(rule.fix.parameters, view)
    if not complete:
        return None
    site = facts.site
    contextual = view.raised.relation == "context"
    cause = view.cause
    why = [cause.sentence] if cause is not None else []
    return Diagnosis(
        rule_id=rule.rule_id,
        path=site.path,
        span=site.tree.span(facts.node),
        function=site.frame.qualname or facts.values["function"],
        summary="; ".join([facts.sentence or rule.description, *why]),
        evidence=(rule.description, *facts.evidence, *_lost(facts)),
        confidence=round(rule.confidence * (0.5 if contextual else 1.0), 4),
        category=rule.category,
        severity=rule.severity,
        fix=Fix(
            kind="template" if rule.fix.template is not None else "refactor",
            id=rule.fix.template or rule.fix.refactor or "",
            parameters=parameters,
        ),
    )


def _lost(facts: Facts) -> Tuple[str, ...]:
    return tuple(f"the frame in {reason}, so it was passed over" for reason in dict.fromkeys(facts.case.skipped))


def resolve(parameters: Dict[str, Any], view: View) -> Tuple[bool, Dict[str, Any]]:
    """Fill the placeholders of a rule's parameters.

    Text that is nothing but a placeholder becomes the value itself; in other text the value is put in as text.

    Returns:
        Whether all placeholders are known, and the parameters.
    """
    complete, filled = True, {}
    for name, given in parameters.items():
        value = _fill(given, view)
        complete = complete and value is not MISSING
        filled[name] = value
    return complete, filled


def unresolved(parameters: Dict[str, Any], view: View) -> List[str]:
    """The fields that placeholders name and that are not known."""
    named = [name for given in parameters.values() if isinstance(given, str) for name in _PLACEHOLDER.findall(given)]
    return [name for name in dict.fromkeys(named) if view.get(name) is MISSING]


def _fill(given: Any, view: View) -> Any:
    if not isinstance(given, str):
        return given
    whole = _PLACEHOLDER.fullmatch(given.strip())
    if whole is not None:
        return view.get(whole.group(1))
    parts = [view.get(name) for name in _PLACEHOLDER.findall(given)]
    if any(part is MISSING for part in parts):
        return MISSING
    return _PLACEHOLDER.sub(lambda match: str(view.get(match.group(1))), given)
