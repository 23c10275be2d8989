"""The plugin `reload`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from homeostasis import hookimpl
from homeostasis_deploy_hotswap import reload
from homeostasis_deploy_hotswap.settings import ReloadTable

if TYPE_CHECKING:
    from pydantic import BaseModel

    from homeostasis.hookspecs import Journal
    from homeostasis.models import Patch, Step
    from homeostasis.project import Project


@hookimpl
def homeostasis_settings() -> type[BaseModel]:
    """`[tool.homeostasis.reload]`."""
    return ReloadTable


@hookimpl
def homeostasis_deploy(patch: Patch, project: Project, settings: ReloadTable, journal: Journal) -> str:
    """Let the servers load the patched files."""
    return reload.deploy(patch, project, settings, journal)


@hookimpl
def homeostasis_undo(step: Step, patch: Patch, project: Project, settings: ReloadTable) -> None:
    """Let the servers load the old files."""
    reload.undo(step, patch, project, settings)
