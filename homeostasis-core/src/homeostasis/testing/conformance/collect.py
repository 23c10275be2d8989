"""Stage 1: what every collector owes the orchestrator."""

from __future__ import annotations

from typing import Callable

from homeostasis.models import Event
from homeostasis.plugins import Plugins
from homeostasis.project import Project
from homeostasis.testing.collectors import run_collectors
from homeostasis.testing.conformance.plugin import PluginConformance
from homeostasis.testing.fakes import MemorySink


class CollectConformance(PluginConformance):
    """Subclass it and say in `feed` how the source comes to hold an event."""

    def feed(self, project: Project, event: Event) -> None:
        """Make `event` available at the source that the plugin reads."""
        raise NotImplementedError(f"{type(self).__name__}.feed must put an event where the collector finds it")

    def test_it_ends_when_told(self, plugins: Plugins) -> None:
        """Every collector returns soon once `stop` is set."""
        assert plugins.collectors()
        assert not plugins.failures
        _run(plugins, MemorySink(), lambda: True)

    def test_an_event_arrives_whole(self, project: Project, plugins: Plugins, event: Event) -> None:
        """What the source holds reaches the sink with its exceptions."""
        self.feed(project, event)
        sink = MemorySink()
        _run(plugins, sink, lambda: bool(sink.events))
        assert [found.raised.type for found in sink.events] == [event.raised.type]
        assert sink.events[0].raised.message == event.raised.message

    def test_an_event_arrives_once(self, project: Project, plugins: Plugins, event: Event) -> None:
        """A collector that is started again does not deliver again what was read before."""
        self.feed(project, event)
        sink = MemorySink()
        _run(plugins, sink, lambda: bool(sink.events))
        other = event.model_copy(update={"id": f"{event.id}-second", "timestamp": event.timestamp + 1})
        self.feed(project, other)
        _run(plugins, sink, lambda: len(sink.events) > 1)
        assert len(sink.events) == 2

    def test_a_sink_that_fails_loses_nothing(self, project: Project, plugins: Plugins, event: Event) -> None:
        """What the sink did not take is delivered by the next run."""
        self.feed(project, event)
        broken = _BrokenSink()
        _run(plugins, broken, lambda: broken.asked, tolerant=True)
        sink = MemorySink(positions=broken.positions)
        _run(plugins, sink, lambda: bool(sink.events))
        assert len(sink.events) == 1


class _BrokenSink(MemorySink):
    """A sink whose ledger cannot be written."""

    asked = False

    def event(self, event: Event) -> None:  # noqa: ARG002
        self.asked = True
        raise OSError("no space left on device")


def _run(plugins: Plugins, sink: MemorySink, done: Callable[[], bool], *, tolerant: bool = False) -> None:
    run_collectors([collector for _, collector in plugins.collectors()], sink, done, tolerant=tolerant)
