"""The hooks of the sandbox."""

from __future__ import annotations

from pydantic import BaseModel

from homeostasis import hookimpl
from homeostasis.models import Patch, Trial
from homeostasis.project import Project
from homeostasis_sandbox_venv.runner import make_trial
from homeostasis_sandbox_venv.settings import Settings


@hookimpl
def homeostasis_settings() -> type[BaseModel]:
    """The table `[tool.homeostasis.sandbox-venv]`."""
    return Settings


@hookimpl
def homeostasis_sandbox(patch: Patch | None, project: Project, settings: Settings | None) -> Trial:
    """A copy of the tree with the patch, in an overlay of the app's environment."""
    return make_trial(patch, project, settings or Settings())
