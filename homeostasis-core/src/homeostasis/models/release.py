"""`Release`: what was changed where, by which deployers, and how each step is undone."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from homeostasis.models.base import Model

StepState = Literal["intended", "done", "undone", "failed"]


class Step(Model):
    """One deployer's part. `undo` was written down before anything was changed."""

    deployer: str = Field(description="Name of the plugin.")
    state: StepState
    undo: dict[str, Any] = Field(default_factory=dict, description="JSON values: all that `homeostasis_undo` needs.")
    summary: str = Field(default="", description="What was done, in a sentence.")
    facts: dict[str, Any] = Field(default_factory=dict, description="JSON values, such as `commit` or `workers`.")


class Release(Model):
    """A deployed patch."""

    id: str
    incident_id: str
    patch_id: str
    state: Literal["deploying", "live", "rolled_back", "failed"]
    steps: tuple[Step, ...] = ()
    started_at: float = Field(description="Seconds since the epoch, UTC.")
    live_at: float | None = None
    observation: str = Field(default="", description="What was seen after it went live, in a sentence.")

    def fact(self, name: str) -> Any:
        """The first step's fact of that name, or None."""
        return next((step.facts[name] for step in self.steps if name in step.facts), None)
