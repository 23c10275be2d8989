"""Hook implementations of `collect-logs`."""

from __future__ import annotations

from typing import TYPE_CHECKING, List

from homeostasis import hookimpl
from homeostasis_collect_logs.settings import CollectLogsSettings

if TYPE_CHECKING:
    import typer
    from pydantic import BaseModel

    from homeostasis.hookspecs import Collector
    from homeostasis.project import Project


@hookimpl
def homeostasis_settings() -> type[BaseModel]:
    """The plugin's table."""
    return CollectLogsSettings


@hookimpl
def homeostasis_register_cli(app: typer.Typer) -> None:
    """Add `homeostasis ingest`."""
    from homeostasis_collect_logs.cli.ingest import ingest

    app.command("ingest")(ingest)


@hookimpl
def homeostasis_collect(project: Project, settings: CollectLogsSettings) -> List[Collector]:
    """One collector for all files, and one for all addresses."""
    from homeostasis_collect_logs.collector import LogCollector

    collectors: List[Collector] = [LogCollector(project, settings)]
    if settings.listen:
        from homeostasis_collect_logs.listening.listener import LogListener

        collectors.append(LogListener(project, settings))
    return collectors
