"""The collector `spool`: reads what the app's monitoring leaves in `.homeostasis/spool/`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from homeostasis import hookimpl
from homeostasis.spool import SpoolReader

if TYPE_CHECKING:
    from homeostasis.hookspecs import Collector
    from homeostasis.project import Project


@hookimpl
def homeostasis_collect(project: Project) -> Collector:
    """Read the spool of the project."""
    return SpoolReader(project.spool, longest_line=4 * project.config.monitoring.max_event_bytes)
