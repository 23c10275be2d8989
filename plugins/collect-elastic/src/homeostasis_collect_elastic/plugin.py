"""Hook implementations of `collect-elastic`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from homeostasis import hookimpl
from homeostasis_collect_elastic.settings import CollectElasticSettings

if TYPE_CHECKING:
    from pydantic import BaseModel

    from homeostasis.hookspecs import Collector
    from homeostasis.project import Project


@hookimpl
def homeostasis_settings() -> type[BaseModel]:
    """The plugin's table."""
    return CollectElasticSettings


@hookimpl
def homeostasis_collect(project: Project, settings: CollectElasticSettings) -> Collector:
    """One collector for the query of the settings."""
    from homeostasis_collect_elastic.store import elastic_collector

    return elastic_collector(project, settings)
