"""What a rule demands of every event that it matches: one of some exception types, and a text in the message."""

from __future__ import annotations

import re
from typing import Any, FrozenSet

from homeostasis.rules import All, Any_, Compare, Rule
from homeostasis.rules.regex import required_text

_LEADING_TYPE = re.compile(r"^\^([A-Za-z_]\w*)(?::(?![*?{])|\$\Z)")


def demanded_types(rule: Rule) -> FrozenSet[str] | None:
    """Type names of which an event must have one for the rule to match; None if the pattern does not say."""
    value = rule.pattern.value
    if rule.pattern.type == "condition":
        return _types(value)
    if rule.pattern.type == "regex" and isinstance(value, str):
        match = _LEADING_TYPE.match(value)
        return frozenset((match.group(1),)) if match is not None and "|" not in value else None
    return None


def demanded_text(rule: Rule) -> str:
    """Text that `Type: message` of an event must hold for the rule to match; empty if the pattern does not say."""
    value = rule.pattern.value
    if rule.pattern.type == "condition":
        return _text(value)
    if rule.pattern.type != "regex":
        return ""
    if isinstance(value, str):
        return required_text(value)
    return required_text(value["exception.message"]) if "exception.message" in value else ""


def _types(condition: Any) -> FrozenSet[str] | None:
    if isinstance(condition, All):
        found = [types for types in map(_types, condition.all) if types is not None]
        return min(found, key=len) if found else None
    if isinstance(condition, Any_):
        parts = [_types(part) for part in condition.any]
        return None if any(part is None for part in parts) else frozenset().union(*(part or () for part in parts))
    if not isinstance(condition, Compare):
        return None
    if condition.operator == "subclass_of" and condition.field.partition(".")[0] != "exceptions":
        return frozenset((str(condition.operand),))
    if condition.field in ("exception.type", "exception.dotted"):
        if condition.operator == "equals":
            return frozenset((str(condition.operand),))
        if condition.operator == "in":
            return frozenset(map(str, condition.operand))
    return None


def _text(condition: Any) -> str:
    if isinstance(condition, All):
        return max(map(_text, condition.all), key=len)
    if not isinstance(condition, Compare) or condition.field != "exception.message":
        return ""
    if condition.operator in ("equals", "contains") and isinstance(condition.operand, str):
        return condition.operand
    return required_text(condition.operand) if condition.operator == "matches" else ""
