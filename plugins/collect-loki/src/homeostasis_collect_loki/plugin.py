"""Hook implementations of `collect-loki`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from homeostasis import hookimpl
from homeostasis_collect_loki.settings import CollectLokiSettings

if TYPE_CHECKING:
    from pydantic import BaseModel

    from homeostasis.hookspecs import Collector
    from homeostasis.project import Project


@hookimpl
def homeostasis_settings() -> type[BaseModel]:
    """The plugin's table."""
    return CollectLokiSettings


@hookimpl
def homeostasis_collect(project: Project, settings: CollectLokiSettings) -> Collector:
    """One collector for the query of the settings."""
    from homeostasis_collect_loki.store import loki_collector

    return loki_collector(project, settings)
