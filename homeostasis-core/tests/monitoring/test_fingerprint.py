from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, Callable

import pytest

from homeostasis.monitoring.capture import describe
from homeostasis.monitoring.fingerprint import fingerprint

SOURCE = """
def price(prices, sku):
    return prices[sku]

def crash(sku="pear"):
    return price({}, sku)

def other():
    return price({}, "x")

def deep(n):
    return deep(n - 1) if n else price({}, "x")
"""


@pytest.fixture
def taken(raised_by: Callable[..., BaseException], load: Any, project: Path) -> Callable[..., dict[str, Any]]:
    """Runs a function of a source and describes what it raises."""

    def take(source: str, function: str = "crash", *arguments: Any) -> dict[str, Any]:
        error = raised_by(load("shop", source)[function], *arguments)
        return describe(error, project_root=str(project), service="shop")

    return take


def test_stable_across_line_shifts_messages_and_machines(taken: Callable[..., dict[str, Any]]) -> None:
    """Other line numbers, values, paths and times do not change the fingerprint."""
    first = taken(SOURCE)
    second = taken("# a comment\n\n" + SOURCE, "crash", "plum")
    moved = copy.deepcopy(first)
    for frame in moved["exceptions"][0]["frames"]:
        frame["path"] = "/srv/elsewhere/" + frame["path"].rpartition("/")[2]
    assert first["fingerprint"] == second["fingerprint"] == fingerprint(moved)


def test_other_callers_lines_and_types_differ(taken: Callable[..., dict[str, Any]]) -> None:
    """Another function, another failing line and another type are other crashes."""
    prints = [
        taken(SOURCE)["fingerprint"],
        taken(SOURCE, "other")["fingerprint"],
        taken(SOURCE.replace("return prices[sku]", "return prices[sku] + 0"))["fingerprint"],
        taken(SOURCE.replace("price({}, sku)", "price([], sku)"))["fingerprint"],
    ]
    assert len(set(prints)) == 4


def test_depth_of_recursion_does_not_matter(taken: Callable[..., dict[str, Any]]) -> None:
    """The same recursion, shallow and deep, is one crash."""
    assert len({taken(SOURCE, "deep", depth)["fingerprint"] for depth in (1, 2, 7, 100)}) == 1


def test_root_cause_counts(taken: Callable[..., dict[str, Any]]) -> None:
    """The same wrapper around different causes is not one crash."""
    wrapper = "def crash():\n    try:\n        {}\n    except Exception as error:\n        raise RuntimeError('x') from error\n"
    prints = [taken(wrapper.format(body))["fingerprint"] for body in ("1/0", "[][0]")]
    assert prints[0] != prints[1]


def test_without_frames() -> None:
    """An exception that was never raised, or an event without exceptions, still has a fingerprint."""
    assert len(fingerprint({"exceptions": [{"type": "KeyError"}]})) == 16
    assert len(fingerprint({})) == 16
