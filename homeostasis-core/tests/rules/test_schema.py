"""The published JSON Schemas are those of the models, and they accept and refuse what the models do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

import jsonschema
import pytest

import homeostasis.rules
from homeostasis.errors import RuleError
from homeostasis.rules import parse_rule, schema_text
from homeostasis.rules.schema import schema

SCHEMAS = Path(homeostasis.rules.__file__).with_name("schemas")
RULE: Dict[str, Any] = {
    "$schema": "rule.schema.json",
    "rule_id": "r",
    "description": "d",
    "pattern": {"type": "regex", "value": "^KeyError"},
    "fix": {"refactor": "x"},
}


@pytest.mark.parametrize("kind", ["rule", "template"])
def test_the_published_schema_is_current(kind: Any) -> None:
    """Regenerate with `homeostasis rules schema KIND > homeostasis-core/src/homeostasis/rules/schemas/...`."""
    assert (SCHEMAS / f"{kind}.schema.json").read_text("utf-8") == schema_text(kind)


@pytest.mark.parametrize("kind", ["rule", "template"])
def test_the_schemas_are_valid(kind: Any) -> None:
    """They are schemas of the dialect that they name."""
    jsonschema.Draft202012Validator.check_schema(schema(kind))


def condition(value: Any) -> Dict[str, Any]:
    return {**RULE, "pattern": {"type": "condition", "value": value}}


COMPARE = {"field": "exception.type", "equals": "KeyError"}


@pytest.mark.parametrize(
    "document",
    [
        RULE,
        {**RULE, "pattern": {"type": "regex", "value": {"exception.message": "x"}}},
        {**RULE, "pattern": {"type": "json_path", "value": "$.a"}},
        condition({"all": [COMPARE, {"any": [{"not": COMPARE}]}]}),
        condition({"field": "locals.a.length", "in": [1, 2]}),
    ],
)
def test_what_the_model_accepts_the_schema_accepts(document: Dict[str, Any]) -> None:
    """`$schema` may stand in a file."""
    assert parse_rule(json.dumps(document)).rule_id == "r"
    jsonschema.validate(document, schema("rule"))


@pytest.mark.parametrize(
    "document",
    [
        {**RULE, "descr": "x"},
        {**RULE, "fix": {}},
        {**RULE, "fix": {"refactor": "a", "template": "b"}},
        {**RULE, "pattern": {"type": "json_path", "value": "a"}},
        {**RULE, "pattern": {"type": "regex", "value": 1}},
        condition({"field": "exception.type"}),
        condition({"all": []}),
        condition({"all": [{"field": "exception.type", "equal": 1}]}),
    ],
)
def test_what_the_model_refuses_the_schema_refuses(document: Dict[str, Any]) -> None:
    """An editor that knows the schema marks the same mistakes."""
    with pytest.raises(RuleError):
        parse_rule(json.dumps(document))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema("rule"))
