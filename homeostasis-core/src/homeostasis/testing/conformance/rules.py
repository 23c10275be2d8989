"""What holds for every rule and template that a plugin registers: its examples are true."""

from __future__ import annotations

from typing import Any, Dict, Iterator, Sequence, Tuple, Union

import pytest

from homeostasis.rules import Rule, RuleRegistry, Template, TemplateRegistry
from homeostasis.testing.conformance.plugin import PluginConformance

Item = Union[Rule, Template]
_RESULTS: Dict[Tuple[type, int], Tuple[Item, Sequence[Any]]] = {}
"""By suite and identity of the rule or template, which is kept so that no other takes its place."""


class RulesConformance(PluginConformance):
    """The suite for plugins with `homeostasis_register_rules` or `homeostasis_register_templates`.

    The examples are run by `homeostasis-rules-python`, which must be installed.
    """

    @classmethod
    def registered(cls) -> tuple[RuleRegistry, TemplateRegistry]:
        """What the plugin registers."""
        rules, templates = RuleRegistry(), TemplateRegistry()
        _register(cls.plugin, "rules", rules)
        _register(cls.plugin, "templates", templates)
        return rules, templates

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """One test for each example."""
        if "example_of" in metafunc.fixturenames:
            cases = list(self._cases())
            metafunc.parametrize(
                ("example_of", "number"), [case[1:] for case in cases], ids=[case[0] for case in cases]
            )

    @classmethod
    def _cases(cls) -> Iterator[tuple[str, Item, int]]:
        rules, templates = cls.registered()
        for rule in rules:
            for number, example in enumerate(rule.examples, 1):
                yield f"{rule.rule_id}-{number}-{'match' if example.expected_match else 'near-miss'}", rule, number
        for template in templates:
            for number, _ in enumerate(template.examples, 1):
                yield f"{template.template_id}-{number}", template, number

    def test_it_registers_something(self) -> None:
        """The plugin's folders are found in the installed package too."""
        rules, templates = self.registered()
        assert len(rules) + len(templates)

    def test_every_rule_has_examples_of_both_kinds(self) -> None:
        """Each rule shows a crash that it understands, and a near miss that it leaves alone."""
        rules, _ = self.registered()
        lacking = [rule.rule_id for rule in rules if {each.expected_match for each in rule.examples} != {True, False}]
        assert lacking == []

    def test_every_template_has_an_example(self) -> None:
        """Each template shows what it makes of a piece of code."""
        _, templates = self.registered()
        assert [each.template_id for each in templates if not each.examples] == []

    def test_templates_exist(self) -> None:
        """Each rule names a template that comes with the plugin or with `homeostasis-rules-python`."""
        rules, _ = self.registered()
        wanted = {rule.rule_id: rule.fix.template for rule in rules if rule.fix.template}
        known = self._templates()
        assert {rule: template for rule, template in wanted.items() if template not in known} == {}

    def test_an_example(self, example_of: Item, number: int) -> None:
        """The rule matches, extracts and patches as the example says; the template makes `after` of `before`."""
        result = self._results(example_of)[number - 1]
        assert result.passed, result.detail

    @classmethod
    def _results(cls, item: Item) -> Sequence[Any]:
        """Of all examples of a rule or template, which are run once, when the first of them is asked for."""
        from homeostasis_rules_python.examples import run_rule_examples, run_template_examples

        key = (cls, id(item))
        if key not in _RESULTS:
            if isinstance(item, Rule):
                _RESULTS[key] = item, run_rule_examples(item, cls._templates())
            else:
                _RESULTS[key] = item, run_template_examples(item)
        return _RESULTS[key][1]

    @classmethod
    def _templates(cls) -> TemplateRegistry:
        from homeostasis_rules_python import plugin as founding

        registry = TemplateRegistry()
        for module in dict.fromkeys((founding, cls.plugin)):
            _register(module, "templates", registry)
        return registry


def _register(module: Any, what: str, registry: Any) -> None:
    function = getattr(module, f"homeostasis_register_{what}", None)
    if function is not None:
        function(registry=registry)
