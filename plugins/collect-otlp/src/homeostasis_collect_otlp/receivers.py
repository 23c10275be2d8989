"""The collectors of the plugin: they share what they know of traces."""

from __future__ import annotations

from typing import TYPE_CHECKING, List

from homeostasis_collect_http.endpoint import HttpReceiver
from homeostasis_collect_otlp.grpc_receiver import GrpcReceiver
from homeostasis_collect_otlp.intake import Intake
from homeostasis_collect_otlp.routes import routes
from homeostasis_collect_otlp.settling import Settling

if TYPE_CHECKING:
    from homeostasis.hookspecs import Collector
    from homeostasis.project import Project
    from homeostasis_collect_otlp.settings import CollectOtlpSettings


def receivers(project: Project, settings: CollectOtlpSettings) -> List[Collector]:
    """What the settings ask for.

    Raises:
        ConfigError: there is no token in the environment, or no certificate at its place.
    """
    intake = Intake(project, settings)
    found: List[Collector] = [Settling(project, settings, intake)]
    if "http" in settings.protocols:
        found.append(HttpReceiver(project, settings, routes(intake), "otlp"))
    if "grpc" in settings.protocols:
        found.append(GrpcReceiver(project, settings, intake))
    return found
