"""Hook implementations of `rules-python`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterable

from homeostasis import hookimpl
from homeostasis_rules_python.settings import RulesPythonSettings

if TYPE_CHECKING:
    import typer
    from pydantic import BaseModel

    from homeostasis.models import Diagnosis, Incident, Patch
    from homeostasis.project import Project
    from homeostasis.rules import RuleRegistry, TemplateRegistry
    from homeostasis.source import SourceTree


@hookimpl
def homeostasis_settings() -> type[BaseModel]:
    """The plugin's table."""
    return RulesPythonSettings


@hookimpl
def homeostasis_register_cli(app: typer.Typer) -> None:
    """Add `homeostasis rules`."""
    from homeostasis_rules_python.cli import rules_app

    app.add_typer(rules_app(), name="rules")


@hookimpl
def homeostasis_register_rules(registry: RuleRegistry) -> None:
    """Add the rules of this package."""
    from homeostasis_rules_python.catalog import RULES

    registry.add_directory(RULES)


@hookimpl
def homeostasis_register_templates(registry: TemplateRegistry) -> None:
    """Add the templates of this package."""
    from homeostasis_rules_python.catalog import TEMPLATES

    registry.add_directory(TEMPLATES)


@hookimpl
def homeostasis_analyze(
    incident: Incident,
    source: SourceTree,
    rules: RuleRegistry,
    project: Project,
    settings: RulesPythonSettings | None,
) -> Iterable[Diagnosis]:
    """Match the rules on the incident."""
    from homeostasis_rules_python.analyze import diagnose
    from homeostasis_rules_python.catalog import index_of

    return diagnose(incident, source, index_of(rules, settings or RulesPythonSettings(), project.root))


@hookimpl
def homeostasis_patch(
    diagnosis: Diagnosis,
    incident: Incident,
    source: SourceTree,
    templates: TemplateRegistry,
    settings: RulesPythonSettings | None,
) -> Iterable[Patch]:
    """Make the patches that the diagnosis calls for."""
    from homeostasis_rules_python.catalog import templates_of
    from homeostasis_rules_python.patching import patches

    known = templates_of(templates, settings or RulesPythonSettings(), source.project.root)
    return list(patches(diagnosis, incident, source, known))
