"""Hook implementations of `collect-otlp`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from homeostasis import hookimpl
from homeostasis_collect_otlp.settings import CollectOtlpSettings

if TYPE_CHECKING:
    from pydantic import BaseModel

    from homeostasis.hookspecs import Collector
    from homeostasis.project import Project


@hookimpl
def homeostasis_settings() -> type[BaseModel]:
    """The plugin's table."""
    return CollectOtlpSettings


@hookimpl
def homeostasis_collect(project: Project, settings: CollectOtlpSettings) -> list[Collector]:
    """One collector for each protocol, and one for what waits."""
    from homeostasis_collect_otlp.receivers import receivers

    return receivers(project, settings)
