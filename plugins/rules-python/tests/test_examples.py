"""Every example of the shipped rules and templates holds, also where no column is known.

With columns they are run one by one by the conformance suite, in `tests/conformance/test_rules_python.py`.
"""

from __future__ import annotations

import pytest

from homeostasis.rules import Rule, Template
from homeostasis_rules_python.catalog import RULES, TEMPLATES, shipped_rules, shipped_templates
from homeostasis_rules_python.checking import mistakes
from homeostasis_rules_python.examples import run_rule_examples, run_template_examples

ALL_RULES = list(shipped_rules())
ALL_TEMPLATES = list(shipped_templates())


@pytest.mark.once("the rules are the same, and with columns the examples are tried on each")
@pytest.mark.parametrize("rule", ALL_RULES, ids=lambda rule: rule.rule_id)
def test_rule_examples_hold_by_lines_only(rule: Rule) -> None:
    """A rule matches what it shows, leaves alone what it shows to be different, and its patch brings what it says."""
    failed = [result for result in run_rule_examples(rule, columns=False) if not result.passed]
    assert failed == []


@pytest.mark.parametrize("template", ALL_TEMPLATES, ids=lambda template: template.template_id)
def test_template_examples_hold(template: Template) -> None:
    """A template makes of its examples what it says."""
    assert template.examples
    assert [result for result in run_template_examples(template) if not result.passed] == []


@pytest.mark.parametrize("rule", ALL_RULES, ids=lambda rule: rule.rule_id)
def test_rules_show_enough(rule: Rule) -> None:
    """Each rule has at least three crashes that it heals and two that it leaves alone."""
    matching = [example.expected_match for example in rule.examples]
    assert matching.count(True) >= 3
    assert matching.count(False) >= 2


def test_shipped_files_have_no_mistakes() -> None:
    """What rules name exists, and templates are Python."""
    files = [*RULES.rglob("*.json"), *TEMPLATES.rglob("*.json")]
    assert len(files) >= 15
    assert [mistake for file in files for mistake in mistakes(file)] == []
