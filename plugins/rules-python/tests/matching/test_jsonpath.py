"""The supported part of JSON path."""

from __future__ import annotations

from typing import Any

import pytest

from homeostasis_rules_python.matching.jsonpath import MAX_NODES, parse, select

DOCUMENT = {"a": [{"b": 1}, {"b": 2, "c": {"b": 3}}], "x y": "z"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$", [DOCUMENT]),
        ("$.a[0].b", [1]),
        ("$.a[-1].b", [2]),
        ("$.a[7]", []),
        ("$.a[*].b", [1, 2]),
        ("$['x y']", ["z"]),
        ("$..b", [2, 3, 1]),
        ("$.a[?(@.b > 1)].c.b", [3]),
        ("$.a[?(@.c)].b", [2]),
        ("$.a[?(@.b == 1)]", [{"b": 1}]),
        ("$.a.b", []),
    ],
)
def test_paths(path: str, expected: list[Any]) -> None:
    """Children, items, wildcards, descendants and filters."""
    assert select(path, DOCUMENT) == expected


@pytest.mark.parametrize("path", ["a", "$.", "$[", "$[?(@.a =~ 'x')]", "$.a[(1)]"])
def test_other_forms_are_refused(path: str) -> None:
    """What is not supported is an error, not a path that never matches."""
    with pytest.raises(ValueError, match="JSON path"):
        parse(path)


def test_a_large_event_is_given_up() -> None:
    """More values than the limit select nothing."""
    assert select("$[*][*]", [[1] * MAX_NODES, [1] * MAX_NODES]) == []
