"""The index: an event meets only the rules that could match, and meets all of those."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest

from homeostasis.models import Event, Raised
from homeostasis.rules import Rule
from homeostasis_rules_python.catalog import shipped_rules
from homeostasis_rules_python.matching import RuleIndex
from homeostasis_rules_python.matching.demands import demanded_text, demanded_types


def rule(rule_id: str, *parts: Dict[str, Any], kind: str = "KeyError") -> Rule:
    value = {"all": [{"field": "exception.type", "equals": kind}, *parts]}
    pattern = {"type": "condition", "value": value}
    return Rule.model_validate({"rule_id": rule_id, "description": "d", "pattern": pattern, "fix": {"refactor": "x"}})


def message(**comparison: Any) -> Dict[str, Any]:
    return {"field": "exception.message", **comparison}


RULES = [
    rule("any"),
    rule("contains", message(contains="boiling over")),
    rule("equals", message(equals="boiling over")),
    rule("matches", message(matches=r"^boil\w* over\b")),
    rule("short", message(contains="x")),
    rule("other", message(contains="freezing")),
    rule("stranger", kind="ValueError"),
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("KeyError: boiling over", ["any", "contains", "equals", "matches", "short"]),
        ("KeyError: it is freezing", ["any", "short", "other"]),
        ("KeyError", ["any", "short"]),
        ("KeyError: " + "b" * 30_000, ["any", "contains", "equals", "matches", "short", "other"]),
        (None, ["any", "contains", "equals", "matches", "short", "other"]),
    ],
)
def test_rules_are_found_by_the_text_that_they_demand(text: str, expected: List[str]) -> None:
    """In the order of registration; a text that is too long to be cut to pieces leaves nobody out."""
    found = RuleIndex(RULES).candidates(["KeyError", "LookupError"], text)
    assert [each.rule.rule_id for each in found] == expected


@pytest.mark.parametrize(
    ("pattern", "demanded"),
    [
        ("^KeyError: x", {"KeyError"}),
        ("^KeyError$", {"KeyError"}),
        (r"^Key\w+: x", None),
        ("^Key[A-Z]rror: x", None),
        (r"^decimal\.InvalidOperation", None),
        ("^KeyErr", None),
        ("^KeyError:?", None),
    ],
)
def test_only_a_whole_name_demands_a_type(pattern: str, demanded: Any) -> None:
    """An expression that begins with a part of a name, or of a dotted name, is tried on every event."""
    given = {"rule_id": "r", "description": "d", "pattern": {"type": "regex", "value": pattern}}
    assert demanded_types(Rule.model_validate({**given, "fix": {"refactor": "x"}})) == demanded


def test_ten_thousand_rules_leave_few_to_be_tried() -> None:
    """Rules that demand different messages do not meet each other's events."""
    many = [rule(f"r{number}", message(contains=f"made-up {number}")) for number in range(10_000)]
    found = RuleIndex(many).candidates(["KeyError"], "KeyError: made-up 4711")
    assert "r4711" in [each.rule.rule_id for each in found]
    assert len(found) <= 200


def test_every_shipped_rule_demands_a_type() -> None:
    """A rule that any exception could match would cost every event the study of its source."""
    assert [each.rule_id for each in shipped_rules() if demanded_types(each) is None] == []


def test_a_negation_demands_nothing() -> None:
    """`not contains` must not be read as `contains`."""
    negated = rule("r", {"not": message(contains="boiling over")})
    assert demanded_text(negated) == ""


def test_what_no_rule_could_match_is_not_looked_at() -> None:
    """The source is not touched for an exception that no rule is about."""
    from homeostasis.testing import incident_of
    from homeostasis_rules_python.analyze import diagnose

    class Untouchable:
        def __getattr__(self, name: str) -> Any:
            raise AssertionError(name)

    raised = Raised(type="Unheard", message="x")
    event = Event(id="e", timestamp=0.0, fingerprint="f" * 16, exceptions=(raised,))
    assert diagnose(incident_of(event), Untouchable(), RuleIndex(shipped_rules())) == []  # type: ignore[arg-type]
