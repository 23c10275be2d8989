"""`Diagnosis`: why an incident happened, and which fix is called for."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from homeostasis.models.base import Model
from homeostasis.models.event import Span


class Fix(Model):
    """The template or refactor that a rule calls for, with the parameters that the rule extracted."""

    kind: Literal["template", "refactor"]
    id: str
    parameters: dict[str, Any] = Field(default_factory=dict, description="JSON values; source text for code.")


class Diagnosis(Model):
    """One cause that one rule proposes."""

    rule_id: str
    plugin: str = Field(default="", description="Filled in by the stage: the plugin that proposed it.")
    path: str = Field(description="File of the cause, relative to the project root, with forward slashes.")
    span: Span = Field(description="The node to change; may lie in another frame than the crash.")
    function: str | None = Field(default=None, description="Qualified name of the function around the span.")
    summary: str = Field(description="The cause in a sentence that a person understands.")
    evidence: tuple[str, ...] = Field(default=(), description="What speaks for it, a sentence each.")
    confidence: float = Field(default=0.5, ge=0, le=1)
    category: str = "runtime"
    severity: Literal["low", "medium", "high", "critical"] = "medium"
    fix: Fix
