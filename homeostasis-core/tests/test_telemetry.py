"""Homeostasis' own telemetry: a span per stage, through the OpenTelemetry API."""

from __future__ import annotations

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from homeostasis.models import State
from homeostasis.pipeline import heal


@pytest.fixture
def spans(monkeypatch):
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    return exporter.get_finished_spans


def test_each_stage_is_a_span(spans, context_of, make_project, event_of, plugin_of):
    """A stage's span names the stage, the incident and the service; one that ends the incident is marked as an error."""
    context = context_of(make_project('service = "shop"\n'), mute=plugin_of(homeostasis_analyze=lambda incident: []))
    incident, _ = context.ledger.record(event_of(context.project))
    assert heal(context, incident).state is State.UNFIXABLE
    (span,) = spans()
    assert span.name == "homeostasis.analyze"
    assert dict(span.attributes) == {"homeostasis.incident.id": incident.id, "service.name": "shop"}
    assert span.status.status_code is StatusCode.ERROR
    assert "no rule knows this KeyError" in span.status.description
