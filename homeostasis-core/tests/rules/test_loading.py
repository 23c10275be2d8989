"""Reading rules and templates: what is valid, and how mistakes are named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from homeostasis.errors import RuleError
from homeostasis.rules import All, Compare, Rule, load_rule, load_template, parse_rule, parse_template
from homeostasis.rules.loading import parsed

RULE: dict[str, Any] = {
    "rule_id": "my-rule",
    "description": "Something happens",
    "pattern": {"type": "regex", "value": "^KeyError"},
    "fix": {"refactor": "do-something"},
}
TEMPLATE: dict[str, Any] = {
    "template_id": "loop_copy",
    "description": "Copy",
    "parameters": {"iterable": {"type": "expression"}},
    "effect": "correct",
}


def rule_with(**changes: Any) -> str:
    return json.dumps({**RULE, **changes}, indent=1)


def test_a_rule_has_defaults_for_what_it_leaves_out() -> None:
    """The smallest rule is complete."""
    rule = parse_rule(json.dumps(RULE))
    assert (rule.target, rule.severity, rule.confidence, rule.examples) == ("python", "medium", 0.5, ())


def test_a_rule_with_every_field_is_read() -> None:
    """All fields of the format arrive under their names."""
    text = rule_with(
        target="flask",
        version_range=">=2,<4",
        context_requirements={"stack_trace": True, "code_snippet": True, "variables": ["order"]},
        severity="high",
        category="client input",
        confidence=0.9,
        fix={"template": "loop_copy", "parameters": {"iterable": "{{extraction.iterable}}"}},
        examples=[
            {
                "input": {
                    "error": {"type": "KeyError", "message": "'a'"},
                    "code": "<<<d['a']>>>",
                    "locals": {"d": {}},
                    "request": {"method": "GET"},
                    "framework": "flask",
                },
                "expected_match": True,
                "expected_parameters": {"iterable": "d"},
            }
        ],
    )
    rule = parse_rule(text)
    assert rule.context_requirements.variables == ("order",)
    assert rule.fix.parameters == {"iterable": "{{extraction.iterable}}"}
    assert rule.examples[0].input.error.message == "'a'"


def test_conditions_nest() -> None:
    """`all`, `any` and `not` hold comparisons and each other."""
    compare = {"field": "exception.type", "equals": "KeyError"}
    value = {"all": [compare, {"any": [compare, {"not": compare}]}]}
    pattern = parse_rule(rule_with(pattern={"type": "condition", "value": value})).pattern
    assert isinstance(pattern.value, All)
    assert isinstance(pattern.value.all[0], Compare)
    assert (pattern.value.all[0].operator, pattern.value.all[0].operand) == ("equals", "KeyError")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"rule_id": "x",\n  oops}', "r.json:2:3: is not valid JSON"),
        ('{"rule_id": NaN}', "r.json:1:13: is not valid JSON"),
        ('{"rule_id": "x",\n "rule_id": "y"}', "r.json:2:2: the key 'rule_id' is given twice"),
        ("[]", "r.json:1:1: must be a JSON object"),
        ('{\n "rule_id": "x", "descriptoin": ""}', "r.json:2:18: descriptoin: is not a known key; did you mean descr"),
        (rule_with(rule_id="No Good"), "r.json:2:2: rule_id: "),
        (rule_with(confidence=2), "confidence: "),
        (rule_with(version_range="about 3"), "version_range: 'about 3' is not a version range"),
        (rule_with(fix={}), "r.json:8:2: fix: needs exactly one of template and refactor"),
        (rule_with(fix={"template": "a", "refactor": "b"}), "fix: needs exactly one of template and refactor"),
        (rule_with(pattern={"type": "regex", "value": "("}), "pattern: is not a regular expression"),
        (rule_with(pattern={"type": "regex", "value": "a" * 501}), "pattern: is longer than 500 characters"),
        (rule_with(pattern={"type": "json_path", "value": "a.b"}), "pattern: the value of a json_path must be text"),
    ],
)
def test_a_mistake_is_named_by_line_and_column(text: str, expected: str) -> None:
    """Each message begins with the file, line and column of the key that is wrong, and says what is."""
    with pytest.raises(RuleError) as caught:
        parse_rule(text, "r.json")
    assert str(caught.value).startswith("r.json:")
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"field": "exception.type"}, "needs exactly one of equals"),
        ({"field": "exception.type", "equals": 1, "less": 2}, "needs exactly one of equals"),
        ({"field": "weather", "equals": 1}, "must start with one of exception"),
        ({"field": "exception.type", "matches": "("}, "is not a regular expression"),
        ({"all": []}, "at least 1 item"),
        ({"all": [{"field": "exception.type", "equal": "x"}]}, "did you mean equals?"),
    ],
)
def test_a_wrong_condition_is_refused(condition: dict[str, Any], expected: str) -> None:
    """Conditions are checked when the rule is read, not when a crash comes."""
    with pytest.raises(RuleError, match=r"r\.json:4:") as caught:
        parse_rule(rule_with(pattern={"type": "condition", "value": condition}).replace("\n  ", " "), "r.json")
    assert expected in str(caught.value)


def test_a_deep_document_is_refused(tmp_path: Path) -> None:
    """Nesting without end is a mistake of the file, not a crash of ours."""
    file = tmp_path / "deep.json"
    file.write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(RuleError, match=r"deep\.json"):
        load_rule(file)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 are named with their file."""
    file = tmp_path / "binary.json"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(RuleError, match=r"binary\.json: cannot be read"):
        load_rule(file)


def test_a_template_is_its_two_files(tmp_path: Path) -> None:
    """The text comes from the file beside the JSON."""
    (tmp_path / "loop_copy.json").write_text(json.dumps(TEMPLATE), encoding="utf-8")
    (tmp_path / "loop_copy.py.template").write_text("list({{iterable}})", encoding="utf-8")
    template = load_template(tmp_path / "loop_copy.json")
    assert (template.text, template.effect.value) == ("list({{iterable}})", "correct")


def test_a_template_without_text_is_refused(tmp_path: Path) -> None:
    """The message names the file that is missing."""
    (tmp_path / "loop_copy.json").write_text(json.dumps(TEMPLATE), encoding="utf-8")
    with pytest.raises(RuleError, match=r"there is no loop_copy\.py\.template beside it"):
        load_template(tmp_path / "loop_copy.json")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("list({{iterable}}, {{other}})", r"the text uses \{\{other\}\}"),
        ("list()", "the parameter iterable does not occur"),
    ],
)
def test_placeholders_and_parameters_agree(text: str, expected: str) -> None:
    """Every placeholder is declared and every parameter is used."""
    with pytest.raises(RuleError, match=expected):
        parse_template(json.dumps(TEMPLATE), text)


def test_swallowing_is_no_effect() -> None:
    """There is no way to declare a template that hides an exception."""
    with pytest.raises(RuleError, match="effect"):
        parse_template(json.dumps({**TEMPLATE, "effect": "swallow"}), "list({{iterable}})")


def test_every_mistake_of_a_file_is_found() -> None:
    """In the order of the text, each at its own key; a misspelt key is not named as a missing one as well."""
    text = rule_with(confidence=2, severty="low", fix={"refactr": "x"})
    rule, mistakes = parsed(Rule, text, "r.json", {})
    lines = text.split("\n")
    assert rule is None
    assert {each.message.split(":")[0] for each in mistakes} == {"fix.refactr", "confidence", "severty"}
    for each in mistakes:
        key = each.message.split(":")[0].split(".")[-1]
        assert lines[each.line - 1][each.column - 1 :].startswith(f'"{key}"')
    assert "did you mean severity?" in " ".join(each.message for each in mistakes)
    assert "did you mean refactor?" in " ".join(each.message for each in mistakes)
