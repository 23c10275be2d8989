"""JSON Schema of rule and template files, made from the models; `schemas/` holds it for editors and other languages."""

from __future__ import annotations

import json
from typing import Any, Dict, Literal

from pydantic import TypeAdapter

from homeostasis.rules.condition import Condition
from homeostasis.rules.loading import SCHEMA_KEY
from homeostasis.rules.rule import Rule
from homeostasis.rules.template import Template

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Kind = Literal["rule", "template"]


def schema(kind: Kind) -> Dict[str, Any]:
    """The JSON Schema of a kind of file."""
    made = (Rule if kind == "rule" else Template).model_json_schema(by_alias=True)
    made = {"$schema": DIALECT, **made, "title": f"Homeostasis {kind}"}
    made["properties"] = {SCHEMA_KEY: {"type": "string", "description": "Ignored; for editors."}, **made["properties"]}
    if kind == "rule":
        _describe_patterns(made)
    else:
        # The text stands in a file of its own.
        del made["properties"]["text"]
        made["required"].remove("text")
    simple: Dict[str, Any] = _simplified(made)
    return simple


def schema_text(kind: Kind) -> str:
    """The same as the text of a file."""
    return json.dumps(schema(kind), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def _describe_patterns(made: Dict[str, Any]) -> None:
    """What `value` must be for each `type`, which the model checks in code."""
    conditions = TypeAdapter(Condition).json_schema(by_alias=True, ref_template="#/$defs/{model}")
    made["$defs"].update(conditions.pop("$defs"))
    made["$defs"]["Condition"] = {"anyOf": conditions["oneOf"]}
    compare = made["$defs"]["Compare"]
    compare.update(minProperties=2, maxProperties=2)
    text = {"type": "string", "maxLength": 500}
    values = {
        "condition": {"$ref": "#/$defs/Condition"},
        "json_path": {"type": "string", "pattern": "^\\$"},
        "regex": {"anyOf": [text, {"type": "object", "additionalProperties": text, "minProperties": 1}]},
    }
    made["$defs"]["Pattern"]["allOf"] = [
        {
            "if": {"properties": {"type": {"const": name}}, "required": ["type"]},
            "then": {"properties": {"value": value}},
        }
        for name, value in values.items()
    ]
    fix = made["$defs"]["RuleFix"]
    fix["oneOf"] = [{"required": ["template"]}, {"required": ["refactor"]}]


def _simplified(value: Any) -> Any:
    """Without what versions of pydantic write differently, and one array where a list and a tuple are accepted."""
    if isinstance(value, list):
        return [_simplified(item) for item in value]
    if not isinstance(value, dict):
        return int(value) if isinstance(value, float) and value.is_integer() else value
    kept = {key: _simplified(item) for key, item in value.items() if not _is_noise(key, item)}
    if "title" in value and "$schema" in value:
        kept["title"] = value["title"]
    options = kept.get("anyOf")
    if isinstance(options, list):
        unique = [option for index, option in enumerate(options) if option not in options[:index]]
        if len(unique) == 1:
            kept.pop("anyOf")
            kept = {**unique[0], **kept}
    return kept


def _is_noise(key: str, item: Any) -> bool:
    return (key == "title" and isinstance(item, str)) or (key == "additionalProperties" and item is True)
