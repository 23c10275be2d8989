"""The format of rules and templates, and the registries that hold them.

A rule is a JSON file and says *when* a crash is understood; a template (or a refactor, which is Python) says *how* it
is mended. Third parties write against this package: a plugin calls `registry.add_directory(...)` in
`homeostasis_register_rules` and `homeostasis_register_templates`.
"""

from __future__ import annotations

from homeostasis.rules.condition import OPERATORS, ROOTS, All, Any_, Compare, Condition, Not
from homeostasis.rules.loading import load_rule, load_template, parse_rule, parse_template
from homeostasis.rules.mistake import Mistake
from homeostasis.rules.registry import RuleRegistry, TemplateRegistry
from homeostasis.rules.rule import ContextRequirements, Pattern, Rule, RuleExample, RuleFix
from homeostasis.rules.schema import schema_text
from homeostasis.rules.template import Applicability, Parameter, Template, TemplateExample, TemplateValidation

__all__ = [
    "OPERATORS",
    "ROOTS",
    "All",
    "Any_",
    "Applicability",
    "Compare",
    "Condition",
    "ContextRequirements",
    "Mistake",
    "Not",
    "Parameter",
    "Pattern",
    "Rule",
    "RuleExample",
    "RuleFix",
    "RuleRegistry",
    "Template",
    "TemplateExample",
    "TemplateRegistry",
    "TemplateValidation",
    "load_rule",
    "load_template",
    "parse_rule",
    "parse_template",
    "schema_text",
]
