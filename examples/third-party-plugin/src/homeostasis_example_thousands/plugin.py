"""The hooks of the plugin `example-thousands`."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field

from homeostasis import hookimpl
from homeostasis.config import Table
from homeostasis.models import Check, Outcome, Patch
from homeostasis.rules import RuleRegistry, TemplateRegistry

HERE = Path(__file__).parent


class Settings(Table):
    """`[tool.homeostasis.example-thousands]`."""

    max_lines: int = Field(default=20, ge=1, description="Lines that a patch may add and remove, taken together.")


@hookimpl
def homeostasis_settings() -> type[BaseModel]:
    """The table of this plugin."""
    return Settings


@hookimpl
def homeostasis_register_rules(registry: RuleRegistry) -> None:
    """When: `int` of a text with thousands separators."""
    registry.add_directory(HERE / "rules")


@hookimpl
def homeostasis_register_templates(registry: TemplateRegistry) -> None:
    """How: take the separators out first."""
    registry.add_directory(HERE / "templates")


@hookimpl
def homeostasis_validate(patch: Patch, settings: Settings) -> Check:
    """Veto patches that are larger than the project wants to have without looking."""
    lines = [line for line in patch.diff.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    outcome = Outcome.ACCEPTED if len(lines) <= settings.max_lines else Outcome.REJECTED
    detail = f"{len(lines)} lines added and removed, {settings.max_lines} allowed"
    return Check(name="small-change", outcome=outcome, detail=detail)
