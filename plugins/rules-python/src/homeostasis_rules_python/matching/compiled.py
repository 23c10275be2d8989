"""`CompiledRule`: a rule as one function of a view, which asks for what is cheap first."""

from __future__ import annotations

from typing import List, Sequence, Tuple

from homeostasis.rules import All, Any_, Condition, Not, Rule
from homeostasis_rules_python.matching.comparing import Test, comparison, search, searched
from homeostasis_rules_python.matching.fields import effort
from homeostasis_rules_python.matching.jsonpath import select
from homeostasis_rules_python.matching.version import covers
from homeostasis_rules_python.matching.view import View

Weighed = Tuple[int, Test]
"""The effort of the dearest field, and the test."""


class CompiledRule:
    """A rule and whether a view matches it."""

    __slots__ = ("matches", "rule")

    def __init__(self, rule: Rule) -> None:
        """Compile the pattern and the requirements once."""
        self.rule = rule
        self.matches: Test = _all([_pattern(rule), *_requirements(rule)])[1]


def version_fits(rule: Rule, view: View) -> bool:
    """Whether the recorded version of the rule's target is in its range, or not known."""
    runtime = view.event.runtime
    version = runtime.python if rule.target == "python" else runtime.frameworks.get(rule.target)
    # What is not known does not speak against a rule: tracebacks from logs carry no versions.
    return version is None or covers(rule.version_range, version)


def _pattern(rule: Rule) -> Weighed:
    kind, value = rule.pattern.type, rule.pattern.value
    if kind == "condition":
        return _condition(value)
    if kind == "json_path":
        return 1, lambda view: bool(select(value, view.document))
    if isinstance(value, str):
        find = search(value)
        return 0, lambda view: find(view.text)
    return _all([(effort(field), searched(field, pattern)) for field, pattern in value.items()])


def _requirements(rule: Rule) -> List[Weighed]:
    needed = rule.context_requirements
    tests: List[Weighed] = []
    if rule.version_range:
        tests.append((0, lambda view: version_fits(rule, view)))
    if needed.stack_trace:
        tests.append((0, lambda view: bool(view.raised.frames)))
    if needed.variables:
        names = needed.variables
        tests.append((1, lambda view: all(name in view.locals for name in names)))
    if needed.code_snippet:
        tests.append((2, lambda view: view.facts is not None))
    return tests


def _condition(condition: Condition) -> Weighed:
    if isinstance(condition, All):
        return _all([_condition(part) for part in condition.all])
    if isinstance(condition, Any_):
        parts = _by_effort([_condition(part) for part in condition.any])
        tests = [test for _effort, test in parts]
        return parts[-1][0], lambda view: any(test(view) for test in tests)
    if isinstance(condition, Not):
        weight, inner = _condition(condition.not_)
        return weight, lambda view: not inner(view)
    return effort(condition.field), comparison(condition)


def _all(parts: Sequence[Weighed]) -> Weighed:
    ordered = _by_effort(parts)
    if len(ordered) == 1:
        return ordered[0]
    tests = tuple(test for _effort, test in ordered)

    def test(view: View) -> bool:
        for each in tests:  # noqa: SIM110 - a generator would cost more than most of the tests
            if not each(view):
                return False
        return True

    return ordered[-1][0], test


def _by_effort(parts: Sequence[Weighed]) -> List[Weighed]:
    return sorted(parts, key=lambda part: part[0])
