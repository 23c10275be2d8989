"""The rules and templates that a command works on: those of the project's plugins and the project's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Optional, Tuple

if TYPE_CHECKING:
    from homeostasis.project import Project
    from homeostasis.rules import RuleRegistry, TemplateRegistry


class Catalog(NamedTuple):
    """What is in force in a project."""

    project: Project
    rules: RuleRegistry
    templates: TemplateRegistry
    at_hand: RuleRegistry
    """All rules, the disabled ones too."""
    disabled: Tuple[str, ...]
    """Ids that the settings disable; some may be nobody's."""


def load_catalog(directory: Optional[Path]) -> Catalog:
    """Everything that the project's plugins register and its own directories hold.

    Raises:
        ConfigError: the project's settings are wrong.
        RuleError: a rule or template of the project is malformed.
    """
    from homeostasis.cli.terminal import load_project
    from homeostasis.plugins import load_plugins
    from homeostasis_rules_python.catalog import rules_at_hand, rules_in_force, templates_in_force
    from homeostasis_rules_python.settings import RulesPythonSettings

    project = load_project(directory)
    plugins = load_plugins(project)
    given = plugins.settings("rules-python")
    settings = given if isinstance(given, RulesPythonSettings) else RulesPythonSettings()
    return Catalog(
        project,
        rules_in_force(plugins.rules, settings, project.root),
        templates_in_force(plugins.templates, settings, project.root),
        rules_at_hand(plugins.rules, settings, project.root),
        settings.disable,
    )
