"""Operators, fields, regular expressions and version ranges of rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

import pytest

from homeostasis.config import Config
from homeostasis.models import Event, Frame, Raised, Request, Runtime, Span, Value
from homeostasis.project import Project
from homeostasis.rules import Rule, parse_rule
from homeostasis.source import SourceTree
from homeostasis_rules_python.matching import CompiledRule, RuleIndex, View, judge
from homeostasis_rules_python.matching.version import covers


@pytest.fixture
def view(tmp_path: Path) -> View:
    (tmp_path / "m.py").write_text("def f(order):\n    return order['a']\n", encoding="utf-8")
    frame = Frame(
        path=str(tmp_path / "m.py"),
        module="m",
        function="f",
        span=Span(line=2, column=11, end_line=2, end_column=21),
        in_app=True,
        locals={"order": Value(type="dict", repr="{}", literal=True, length=0, keys=())},
    )
    raised = Raised(
        type="MissingKey",
        module="shop.errors",
        bases=("builtins.KeyError", "LookupError"),
        message="'a'",
        frames=(frame,),
    )
    event = Event(
        id="e",
        timestamp=0.0,
        fingerprint="f" * 16,
        exceptions=(raised,),
        request=Request(method="POST", path="/orders", framework="flask"),
        runtime=Runtime(python="3.11.7", frameworks={"flask": "2.3.1"}),
    )
    return View(event, 0, SourceTree(Project(root=tmp_path.resolve(), config=Config())))


def rule(pattern: Dict[str, Any], **changes: Any) -> Rule:
    base = {"rule_id": "r", "description": "d", "pattern": pattern, "fix": {"refactor": "x"}}
    return parse_rule(json.dumps({**base, **changes}))


def condition(value: Dict[str, Any]) -> Dict[str, Any]:
    return {"type": "condition", "value": value}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"field": "exception.type", "equals": "MissingKey"}, True),
        ({"field": "exception.type", "equals": "KeyError"}, False),
        ({"field": "exception.type", "subclass_of": "KeyError"}, True),
        ({"field": "exception.type", "subclass_of": "shop.errors.MissingKey"}, True),
        ({"field": "exception.type", "subclass_of": "ValueError"}, False),
        ({"field": "exception.message", "contains": "a"}, True),
        ({"field": "exception.message", "matches": "^'a'$"}, True),
        ({"field": "request.method", "in": ["PUT", "POST"]}, True),
        ({"field": "locals.order", "is_type": "dict"}, True),
        ({"field": "locals.order.length", "less": 1}, True),
        ({"field": "locals.order.length", "greater": 0}, False),
        ({"field": "locals.other", "exists": False}, True),
        ({"field": "node.kind", "equals": "Subscript"}, True),
        ({"field": "node.code", "equals": "order['a']"}, True),
        ({"field": "extraction.key_literal", "equals": "a"}, True),
        ({"field": "framework", "equals": "flask"}, True),
        ({"field": "module", "equals": "m"}, True),
        ({"field": "frame.in_app", "equals": True}, True),
        ({"field": "frame.in_app", "equals": 1}, False),
        ({"field": "request.nothing", "equals": "x"}, False),
        ({"field": "exception.__class__.__name__", "equals": "Raised"}, False),
        ({"field": "exceptions.0.type", "equals": "MissingKey"}, True),
        ({"field": "exceptions.*.type", "subclass_of": "LookupError"}, True),
        ({"field": "exceptions.*.type", "subclass_of": "ValueError"}, False),
        ({"field": "exceptions.7.type", "equals": "MissingKey"}, False),
        ({"field": "frames.-1.function", "equals": "f"}, True),
        ({"field": "frames.*.module", "in": ["x", "m"]}, True),
        ({"field": "frames.*.module", "equals": "x"}, False),
        ({"field": "frames.x.module", "exists": True}, False),
        ({"field": "locals.order", "is_type": "builtins.dict"}, True),
        ({"field": "locals.order", "is_type": "shop.dict"}, False),
        ({"field": "locals.order.length", "less_equal": 0}, True),
        ({"field": "locals.order.length", "greater_equal": 1}, False),
        ({"field": "locals.order.is_none", "equals": False}, True),
        ({"field": "runtime.frameworks.flask", "matches": "^2"}, True),
        ({"field": "node.parent", "equals": "Return"}, True),
        ({"field": "node.role", "equals": "value"}, True),
        ({"field": "node.around", "contains": "FunctionDef"}, True),
        ({"field": "node.in_loop", "equals": False}, True),
        ({"field": "node.in_async", "equals": False}, True),
        ({"field": "node.function", "equals": "f"}, True),
        ({"field": "node.class", "exists": False}, True),
        ({"field": "node.decorators", "contains": "app.get"}, False),
        ({"field": "frame.model_fields", "exists": True}, False),
        ({"not": {"field": "module", "equals": "m"}}, False),
        ({"any": [{"field": "module", "equals": "x"}, {"field": "module", "equals": "m"}]}, True),
        ({"all": [{"field": "module", "equals": "x"}, {"field": "module", "equals": "m"}]}, False),
    ],
)
def test_comparisons(view: View, value: Dict[str, Any], expected: bool) -> None:
    """Each operator says what the format promises, and fields that do not exist are simply unknown."""
    given = rule(condition(value))
    assert judge(given, view).matches is expected
    assert CompiledRule(given).matches(view) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("^shop.errors.MissingKey: 'a'", True),
        ("^MissingKey", False),
        ({"exception.message": "a", "request.path": "^/orders"}, True),
        ({"exception.message": "a", "request.path": "^/users"}, False),
    ],
)
def test_regular_expressions(view: View, value: Any, expected: bool) -> None:
    """Text is searched in `Type: message`; an object in its fields."""
    assert judge(rule({"type": "regex", "value": value}), view).matches is expected
    assert CompiledRule(rule({"type": "regex", "value": value})).matches(view) is expected


def test_long_text_is_not_searched(view: View) -> None:
    """An attacker's long message cannot make an expression expensive."""
    long = view.raised.model_copy(update={"message": "a" * 5000})
    view.raised = long
    assert not judge(rule({"type": "regex", "value": "a"}), view).matches


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$.exceptions[0].message", True),
        ('$.exceptions[?(@.type == "MissingKey")]', True),
        ('$.exceptions[?(@.type == "Other")]', False),
        ("$..function", True),
        ("$.request['method']", True),
        ("$.nothing", False),
    ],
)
def test_json_paths(view: View, path: str, expected: bool) -> None:
    """A path matches when it selects something in the event."""
    assert judge(rule({"type": "json_path", "value": path}), view).matches is expected
    assert CompiledRule(rule({"type": "json_path", "value": path})).matches(view) is expected


@pytest.mark.parametrize(
    ("target", "version_range", "expected"),
    [("flask", ">=2,<3", True), ("flask", ">=3", False), ("python", ">=3.8", True), ("fastapi", ">=9", True)],
)
def test_version_ranges(view: View, target: str, version_range: str, expected: bool) -> None:
    """A version outside the range does not match; one that is not known does not speak against the rule."""
    given = rule({"type": "regex", "value": "a"}, target=target, version_range=version_range)
    assert judge(given, view).matches is expected
    assert CompiledRule(given).matches(view) is expected


@pytest.mark.parametrize(
    ("version_range", "version", "expected"),
    [
        (">=2", "2.0", True),
        ("~=2.1", "2.9", True),
        ("~=2.1", "3.0", False),
        ("==3.*", "3.11.2", True),
        ("!=3.*", "3.11.2", False),
        ("<3", "3.0rc1", False),
        ("==2.0", "2", True),
    ],
)
def test_release_numbers(version_range: str, version: str, expected: bool) -> None:
    """Numbers are compared, not text."""
    assert covers(version_range, version) is expected


def test_context_requirements(view: View) -> None:
    """A rule that misses a variable does not match, and says so."""
    given = rule({"type": "regex", "value": "a"}, context_requirements={"variables": ["order", "total"]})
    judgement = judge(given, view)
    assert not judgement.matches
    assert judgement.missing == ("the local variable total was captured",)


def test_the_index_offers_only_rules_that_could_match() -> None:
    """Rules about other exception types are not looked at; rules about any type are."""
    key = rule(
        condition({"all": [{"field": "exception.type", "equals": "KeyError"}, {"field": "module", "equals": "m"}]})
    )
    either = rule(
        condition({"any": [{"field": "exception.type", "equals": "A"}, {"field": "exception.type", "in": ["B"]}]}),
        rule_id="e",
    )
    text = rule({"type": "regex", "value": "^RuntimeError: x"}, rule_id="t")
    anything = rule({"type": "regex", "value": "boom"}, rule_id="any")
    index = RuleIndex([key, either, text, anything])
    assert [item.rule.rule_id for item in index.candidates(["KeyError"])] == ["r", "any"]
    assert [item.rule.rule_id for item in index.candidates(["B"])] == ["e", "any"]
    assert [item.rule.rule_id for item in index.candidates(["RuntimeError"])] == ["t", "any"]
