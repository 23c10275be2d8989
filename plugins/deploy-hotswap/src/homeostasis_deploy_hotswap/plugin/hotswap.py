"""The plugin `hotswap`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from homeostasis import hookimpl
from homeostasis_deploy_hotswap import hotswap
from homeostasis_deploy_hotswap.settings import HotswapTable

if TYPE_CHECKING:
    from pydantic import BaseModel

    from homeostasis.hookspecs import Journal
    from homeostasis.models import Patch, Step
    from homeostasis.project import Project


@hookimpl
def homeostasis_settings() -> type[BaseModel]:
    """`[tool.homeostasis.hotswap]`."""
    return HotswapTable


@hookimpl
def homeostasis_deploy(patch: Patch, project: Project, settings: HotswapTable, journal: Journal) -> str:
    """Swap the function bodies in all live workers."""
    return hotswap.deploy(patch, project, settings, journal)


@hookimpl
def homeostasis_undo(step: Step, patch: Patch, project: Project, settings: HotswapTable) -> None:
    """Put the old function bodies back."""
    hotswap.undo(step, patch, project, settings)
