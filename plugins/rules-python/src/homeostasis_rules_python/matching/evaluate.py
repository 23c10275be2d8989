"""Judging a rule in words: which of its parts hold for a view, and which were missing. For people; see `compiled`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

from homeostasis.rules import All, Any_, Compare, Condition, Not, Rule
from homeostasis_rules_python.matching.comparing import comparison, search, searched
from homeostasis_rules_python.matching.compiled import version_fits
from homeostasis_rules_python.matching.jsonpath import select
from homeostasis_rules_python.matching.view import MISSING, View


@dataclass(frozen=True)
class Judgement:
    """Whether a rule matches, and which of its parts did and did not hold, in words."""

    matches: bool
    held: Tuple[str, ...] = ()
    missing: Tuple[str, ...] = ()

    @property
    def nearness(self) -> float:
        """Share of the parts that held, 0 to 1."""
        total = len(self.held) + len(self.missing)
        return len(self.held) / total if total else 0.0


def judge(rule: Rule, view: View) -> Judgement:
    """Judge the pattern, the version range and the context requirements of a rule."""
    parts = [_pattern(rule, view), *_context(rule, view)]
    return _merged(all(part.matches for part in parts), parts)


def _pattern(rule: Rule, view: View) -> Judgement:
    pattern = rule.pattern
    if pattern.type == "condition":
        return _condition(pattern.value, view)
    if pattern.type == "json_path":
        return _part(bool(select(pattern.value, view.document)), f"{pattern.value} selects something")
    if isinstance(pattern.value, str):
        found = search(pattern.value)(view.text)
        return _part(found, f"`Type: message` matches {pattern.value!r}", f"it is {view.text!r:.80}")
    checks = [
        _part(searched(field, regex)(view), f"{field} matches {regex!r}", _is(field, view))
        for field, regex in pattern.value.items()
    ]
    return _merged(all(part.matches for part in checks), checks)


def _context(rule: Rule, view: View) -> list[Judgement]:
    needed = rule.context_requirements
    parts = []
    if rule.version_range:
        runtime = view.event.runtime
        version = runtime.python if rule.target == "python" else runtime.frameworks.get(rule.target)
        text = f"the version of {rule.target} is {rule.version_range}"
        parts.append(_part(version_fits(rule, view), text, f"it is {version}"))
    if needed.stack_trace:
        parts.append(_part(bool(view.raised.frames), "there is a stack trace"))
    if needed.code_snippet:
        reason = "; ".join(dict.fromkeys(view.case.skipped))
        parts.append(_part(view.facts is not None, "the failing expression was found in the source", reason))
    parts += [_part(name in view.locals, f"the local variable {name} was captured") for name in needed.variables]
    return parts


def _condition(condition: Condition, view: View) -> Judgement:
    if isinstance(condition, All):
        parts = [_condition(part, view) for part in condition.all]
        return _merged(all(part.matches for part in parts), parts)
    if isinstance(condition, Any_):
        parts = [_condition(part, view) for part in condition.any]
        best = max(parts, key=lambda part: (part.matches, part.nearness))
        return Judgement(best.matches, best.held, best.missing)
    if isinstance(condition, Not):
        inner = _condition(condition.not_, view)
        words = "not (" + "; ".join((*inner.held, *inner.missing)) + ")"
        return _part(not inner.matches, words)
    return _compare(condition, view)


def _compare(compare: Compare, view: View) -> Judgement:
    text = f"{compare.field} {compare.operator.replace('_', ' ')} {compare.operand!r}"
    return _part(comparison(compare)(view), text, _is(compare.field, view))


def _is(field: str, view: View) -> str:
    value = view.get(field)
    return "it is not known" if value is MISSING else f"it is {value!r:.80}"


def _part(holds: bool, text: str, otherwise: str = "") -> Judgement:
    if holds:
        return Judgement(True, (text,))
    return Judgement(False, (), (f"{text} ({otherwise})" if otherwise else text,))


def _merged(matches: bool, parts: list[Judgement]) -> Judgement:
    held = tuple(text for part in parts for text in part.held)
    missing = tuple(text for part in parts for text in part.missing)
    return Judgement(matches, held, missing)
