"""Hook implementations of `collect-http`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from homeostasis import hookimpl
from homeostasis_collect_http.settings import CollectHttpSettings

if TYPE_CHECKING:
    from pydantic import BaseModel

    from homeostasis.hookspecs import Collector
    from homeostasis.project import Project


@hookimpl
def homeostasis_settings() -> type[BaseModel]:
    """The plugin's table."""
    return CollectHttpSettings


@hookimpl
def homeostasis_collect(project: Project, settings: CollectHttpSettings) -> Collector:
    """Receive records of Homeostasis itself."""
    from homeostasis_collect_http.records import receiver

    return receiver(project, settings)
