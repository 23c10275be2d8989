"""Hook implementations of `collect-trackers`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from homeostasis import hookimpl
from homeostasis_collect_trackers.settings import CollectTrackersSettings

if TYPE_CHECKING:
    from pydantic import BaseModel

    from homeostasis.hookspecs import Collector
    from homeostasis.project import Project


@hookimpl
def homeostasis_settings() -> type[BaseModel]:
    """The plugin's table."""
    return CollectTrackersSettings


@hookimpl
def homeostasis_collect(project: Project, settings: CollectTrackersSettings) -> Collector:
    """One endpoint for all formats."""
    from homeostasis_collect_trackers.receiver import receiver

    return receiver(project, settings)
