"""The contracts of the hooks as test suites: subclass the ones of the stages that your plugin takes part in.

One class in a test module of yours is a whole suite::

    # tests/test_conformance.py
    import homeostasis_todo_guard.plugin
    from homeostasis.testing.conformance import ValidateConformance

    class TestTodoGuard(ValidateConformance):
        name = "todo-guard"
        plugin = homeostasis_todo_guard.plugin

Each suite runs the plugin through the same facade that the engine uses, on a small project with a crash in it. Set
`files`, `crash` and `settings` to use a project of your own, and `setup_project` for what files alone cannot say. The
fixtures come from `homeostasis.testing.fixtures`: name it in `pytest_plugins` of your root `conftest.py`.
"""

from __future__ import annotations

from homeostasis.testing.conformance.analyze import AnalyzeConformance
from homeostasis.testing.conformance.collect import CollectConformance
from homeostasis.testing.conformance.deploy import DeployConformance
from homeostasis.testing.conformance.patch import PatchConformance
from homeostasis.testing.conformance.plugin import PluginConformance
from homeostasis.testing.conformance.rules import RulesConformance
from homeostasis.testing.conformance.sandbox import SandboxConformance
from homeostasis.testing.conformance.validate import ValidateConformance

__all__ = [
    "AnalyzeConformance",
    "CollectConformance",
    "DeployConformance",
    "PatchConformance",
    "PluginConformance",
    "RulesConformance",
    "SandboxConformance",
    "ValidateConformance",
]
