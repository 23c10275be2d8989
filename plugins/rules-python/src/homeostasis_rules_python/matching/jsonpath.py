"""A small part of JSON path: `$.a.b`, `$['a']`, `[0]`, `[-1]`, `[*]`, `..name` and `[?(@.a == "x")]`.

Filters compare one child with a JSON constant by `==`, `!=`, `<`, `<=`, `>` or `>=`, or ask whether it exists. At most
`MAX_NODES` values are visited, so that no event makes a path expensive.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any, List, Tuple

MAX_NODES = 20_000
"""Values visited before a path gives up and selects nothing."""

_STEP = re.compile(
    r"""\.\.(?P<deep>\w+|\*)|\.(?P<child>\w+|\*)|\[(?P<index>-?\d+|\*)\]|\['(?P<quoted>[^']*)'\]"""
    r"""|\[\?\(@\.(?P<field>\w+)\s*(?:(?P<operator>==|!=|<=|>=|<|>)\s*(?P<constant>[^\])]+))?\)\]"""
)
Step = Tuple[str, Any]


def select(path: str, document: Any) -> List[Any]:
    """The values that a path selects.

    Raises:
        ValueError: the path is not of the supported form.
    """
    current = [document]
    budget = MAX_NODES
    for kind, detail in parse(path):
        found: List[Any] = []
        for value in current:
            children = _children(kind, detail, value, budget)
            budget -= len(children) + 1
            if budget < 0:
                return []
            found.extend(children)
        current = found
    return current


@lru_cache(maxsize=1024)
def parse(path: str) -> Tuple[Step, ...]:
    """The steps of a path.

    Raises:
        ValueError: it is not of the supported form; says from where on.
    """
    if not path.startswith("$"):
        raise ValueError("a JSON path starts with $")
    steps: List[Step] = []
    at = 1
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None:
            raise ValueError(f"cannot read the JSON path from {path[at:]!r} on")
        steps.append(_step(match))
        at = match.end()
    return tuple(steps)


def _step(match: re.Match[str]) -> Step:
    groups = match.groupdict()
    if groups["deep"] is not None:
        return "deep", groups["deep"]
    if groups["field"] is not None:
        constant = groups["constant"]
        return "filter", (groups["field"], groups["operator"], json.loads(constant) if constant is not None else None)
    name = groups["child"] if groups["child"] is not None else groups["quoted"]
    if name is not None:
        return ("all", None) if name == "*" else ("child", name)
    return ("all", None) if groups["index"] == "*" else ("index", int(groups["index"]))


def _children(kind: str, detail: Any, value: Any, budget: int) -> List[Any]:
    if kind == "child":
        return [value[detail]] if isinstance(value, dict) and detail in value else []
    if kind == "index":
        inside = isinstance(value, list) and -len(value) <= detail < len(value)
        return [value[detail]] if inside else []
    if kind == "all":
        return _items(value)
    if kind == "filter":
        return [item for item in _items(value) if _passes(item, *detail)]
    return _deep(detail, value, budget)


def _items(value: Any) -> List[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _deep(name: str, value: Any, budget: int) -> List[Any]:
    found: List[Any] = []
    pending = [value]
    while pending and budget > 0:
        current = pending.pop()
        budget -= 1
        if isinstance(current, dict):
            found.extend(item for key, item in current.items() if name in (key, "*"))
        pending.extend(_items(current))
    return found


def _passes(item: Any, field: str, operator: str | None, constant: Any) -> bool:
    if not isinstance(item, dict) or field not in item:
        return False
    value = item[field]
    if operator is None:
        return True
    if operator in ("==", "!="):
        return (value == constant) is (operator == "==")
    if not isinstance(value, (int, float)) or not isinstance(constant, (int, float)):
        return False
    return {"<": value < constant, "<=": value <= constant, ">": value > constant, ">=": value >= constant}[operator]
