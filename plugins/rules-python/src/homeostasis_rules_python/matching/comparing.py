"""The operators: each comparison of a rule, compiled once to a function of a view."""

from __future__ import annotations

import operator as operators
import re
from typing import Any, Callable, Dict

from homeostasis.rules import Compare
from homeostasis.rules.regex import MAX_TEXT
from homeostasis_rules_python.matching.fields import MISSING, Several, getter, local_value
from homeostasis_rules_python.matching.view import View

Test = Callable[[View], bool]
Check = Callable[[Any], bool]


def comparison(compare: Compare) -> Test:
    """Whether the field of a view is as the comparison demands."""
    name, operand, read = compare.operator, compare.operand, getter(compare.field)
    if name == "exists":
        wanted = bool(operand)
        return lambda view: wanted == (read(view) is not MISSING)
    if name == "subclass_of":
        if compare.field.partition(".")[0] == "exceptions":
            return lambda view: any(operand in _names(raised) for raised in view.event.exceptions)
        return lambda view: operand in view.types
    if name == "is_type":
        read = local_value(compare.field) or read
    return tested(read, CHECKS[name](operand))


def searched(field: str, pattern: str) -> Test:
    """Whether a regular expression is found in a field."""
    return tested(getter(field), search(pattern))


def tested(read: Callable[[View], Any], check: Check) -> Test:
    """Whether a value that is known passes a check; of several values, one."""

    def test(view: View) -> bool:
        value = read(view)
        if value is MISSING:
            return False
        return any(map(check, value)) if type(value) is Several else check(value)

    return test


def search(pattern: str) -> Check:
    """Whether an expression is found in a text that is not too long."""
    find = re.compile(pattern).search
    return lambda value: isinstance(value, str) and len(value) <= MAX_TEXT and find(value) is not None


def _names(raised: Any) -> set[str]:
    return {raised.type, raised.dotted, *raised.bases, *(base.split(".")[-1] for base in raised.bases)}


def _same(value: Any, operand: Any) -> bool:
    # 1, 1.0 and True are different JSON values.
    return type(value) is type(operand) and bool(value == operand)


def _contains(operand: Any) -> Check:
    def check(value: Any) -> bool:
        if isinstance(value, str):
            return isinstance(operand, str) and operand in value
        return isinstance(value, (list, tuple, dict)) and operand in value

    return check


def _is_type(operand: str) -> Check:
    def check(value: Any) -> bool:
        if hasattr(value, "type"):
            return operand in (value.type, f"{getattr(value, 'module', '')}.{value.type}")
        return value == operand if isinstance(value, str) else type(value).__name__ == operand

    return check


def _number(compare: Callable[[Any, Any], bool]) -> Callable[[float], Check]:
    def of(operand: float) -> Check:
        return lambda value: (
            isinstance(value, (int, float)) and not isinstance(value, bool) and compare(value, operand)
        )

    return of


CHECKS: Dict[str, Callable[[Any], Check]] = {
    "equals": lambda operand: lambda value: _same(value, operand),
    "in": lambda operand: lambda value: any(_same(value, item) for item in operand),
    "contains": _contains,
    "matches": search,
    "is_type": _is_type,
    "less": _number(operators.lt),
    "less_equal": _number(operators.le),
    "greater": _number(operators.gt),
    "greater_equal": _number(operators.ge),
}
"""Operator to a function that makes the check of an operand."""
