"""Homeostasis' own telemetry: one span per stage, through the OpenTelemetry API. Without an SDK it costs nothing."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Iterator

from opentelemetry import trace
from opentelemetry.trace import Span, Status, StatusCode


@contextmanager
def stage_span(stage: str, incident_id: str, service: str) -> Iterator[Span]:
    """A span named `homeostasis.<stage>` around one stage of one incident."""
    tracer = trace.get_tracer("homeostasis")
    attributes = {"homeostasis.incident.id": incident_id, "service.name": service}
    # The tracer of the moment is asked for each time: a provider may be set after this module was imported.
    with tracer.start_as_current_span(f"homeostasis.{stage}", attributes=attributes) as span:
        try:
            yield span
        except Exception as error:
            span.set_status(Status(StatusCode.ERROR, str(error)))
            raise
