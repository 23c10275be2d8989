"""Hook implementations of `collect-sentry`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from homeostasis import hookimpl
from homeostasis_collect_sentry.settings import CollectSentrySettings

if TYPE_CHECKING:
    from pydantic import BaseModel

    from homeostasis.hookspecs import Collector
    from homeostasis.project import Project


@hookimpl
def homeostasis_settings() -> type[BaseModel]:
    """The plugin's table."""
    return CollectSentrySettings


@hookimpl
def homeostasis_collect(project: Project, settings: CollectSentrySettings) -> Collector:
    """Receive what Sentry's SDKs send."""
    from homeostasis_collect_sentry.receiver import SentryReceiver

    return SentryReceiver(project, settings)
