"""The rules and templates that are installed, each with its examples, which are also their tests."""

from __future__ import annotations

import re
from typing import Any, Sequence

from homeostasis.models import Patch
from homeostasis.plugins import discover
from homeostasis.rules import Rule, RuleExample, RuleRegistry, Template, TemplateRegistry
from homeostasis_reference.markdown import code, json_block, label, table
from homeostasis_rules_python.examples import heal_example


def registries() -> tuple[RuleRegistry, TemplateRegistry]:
    """What the installed plugins register."""
    rules, templates = RuleRegistry(), TemplateRegistry()
    for found in discover():
        module: Any = found.load()
        if hasattr(module, "homeostasis_register_rules"):
            module.homeostasis_register_rules(registry=rules)
        if hasattr(module, "homeostasis_register_templates"):
            module.homeostasis_register_templates(registry=templates)
    return rules, templates


def rules_page() -> str:
    """The page of the rules."""
    rules, templates = registries()
    parts = [
        "# Rules\n",
        "When a crash is understood. Each rule shows the crashes that it heals, with the diagnosis and the best patch "
        "as they are made of the example while these pages are built, and near misses that it leaves alone. "
        "[How to write one](../../contributing-rules.md). Editors and other tools can check files against the JSON "
        "Schemas of [rules](rule.schema.json) and [templates](template.schema.json).\n",
        table(
            ("rule", "cause", "effect"),
            (
                (f"[{rule.rule_id}](#{_slug('rule', rule.rule_id)})", rule.description, _effect(rule, templates))
                for rule in rules
            ),
        ),
    ]
    for rule in rules:
        parts += [label("rule", rule.rule_id), f"## {rule.rule_id}\n", f"{rule.description}\n"]
        fix = f"template `{rule.fix.template}`" if rule.fix.template else f"refactor `{rule.fix.refactor}`"
        target = f"{rule.target} {rule.version_range}".strip()
        parts.append(
            f"For {target}; severity {rule.severity}; fixed by the {fix}, which means `{_effect(rule, templates)}`.\n"
        )
        for example in rule.examples:
            parts += _example(rule, example, templates)
    return "\n".join(parts)


def _example(rule: Rule, example: RuleExample, templates: TemplateRegistry) -> list[str]:
    """Before, event, diagnosis and after, as the analysis really makes them of the example."""
    error = example.input.error
    said = f"{_inline(error.type)}: {_inline(error.message)}".rstrip(": ")
    if not example.expected_match:
        return [f"Left alone: `{said}` in\n", code(example.input.code, "text")]
    healed = heal_example(rule, example.input, templates)
    if healed.diagnosis is None:
        raise ValueError(f"an example of {rule.rule_id} does not hold: run homeostasis rules test {rule.rule_id}")
    known = json_block(dict(example.input.locals)) if example.input.locals else ""
    return [
        f"`{said}` in `{example.input.path}`, where `<<<` and `>>>` enclose what fails:\n",
        code(example.input.code, "text"),
        *(["with the local variables\n", known] if known else []),
        f"Diagnosis: {_prose(healed.diagnosis.summary)}.\n",
        *_patch(healed.patches),
    ]


def _patch(patches: Sequence[Patch]) -> list[str]:
    if not patches:
        return ["No patch: this is for a person to decide.\n"]
    return [f"Patch ({patches[0].effect.value}): {_prose(patches[0].summary)}.\n", code(patches[0].diff, "diff")]


def _prose(text: str) -> str:
    """Text that may hold anything, as Markdown that shows it."""
    return re.sub(r"([\\*_\[\]<>#$|])", r"\\\1", " ".join(text.split())) if "`" not in text else " ".join(text.split())


def templates_page() -> str:
    """The page of the templates."""
    _, templates = registries()
    parts = [
        "# Templates\n",
        "How a crash is mended. What is replaced stands between `<<<` and `>>>`. "
        "[How to write one](../../contributing-templates.md).\n",
    ]
    for template in templates:
        parts += [label("template", template.template_id), f"## {template.template_id}\n", f"{template.description}\n"]
        parts.append(f"Effect `{template.effect.value}`, risk `{template.risk.value}`.\n")
        parts += [_parameters(template), code(template.text, "text")]
        for example in template.examples:
            parts += ["Before\n", code(example.before, "text"), "After\n", code(example.after, "text")]
    return "\n".join(parts)


def _parameters(template: Template) -> str:
    if not template.parameters:
        return ""
    rows = (
        (f"`{name}`", f"`{each.type}`", "required" if each.required else "optional", each.description)
        for name, each in template.parameters.items()
    )
    return table(("parameter", "becomes", "", "meaning"), rows)


def _effect(rule: Rule, templates: TemplateRegistry) -> str:
    template = templates.get(rule.fix.template or "")
    return template.effect.value if template else "correct"


def _slug(*parts: str) -> str:
    return label(*parts)[1:].split(")", 1)[0]


def _inline(text: str) -> str:
    return text.replace("`", "'").replace("\n", " ")
