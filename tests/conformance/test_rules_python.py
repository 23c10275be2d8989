"""The founding rules keep the contracts of analysis, patch and rules."""

from __future__ import annotations

import homeostasis_rules_python.plugin
from homeostasis.testing.conformance import AnalyzeConformance, PatchConformance, RulesConformance

CHANGED = {"shop.py": "def prune(cart):\n    for name in cart:\n        cart.pop(name)\n"}


class TestAnalyze(AnalyzeConformance):
    name = "rules-python"
    plugin = homeostasis_rules_python.plugin
    files = CHANGED
    crash = "import shop; shop.prune({'tea': 1, 'milk': 2})"


class TestPatch(PatchConformance):
    name = "rules-python"
    plugin = homeostasis_rules_python.plugin
    files = CHANGED
    crash = "import shop; shop.prune({'tea': 1, 'milk': 2})"


class TestRules(RulesConformance):
    name = "rules-python"
    plugin = homeostasis_rules_python.plugin
