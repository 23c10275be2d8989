"""Stage 2: what every analysis owes the stages after it."""

from __future__ import annotations

from homeostasis.models import Diagnosis, Event, Incident
from homeostasis.plugins import Plugins
from homeostasis.project import Project
from homeostasis.source import SourceTree
from homeostasis.testing.builders import incident_of, stranger
from homeostasis.testing.conformance.plugin import PluginConformance
from homeostasis.testing.fakes import state_of


class AnalyzeConformance(PluginConformance):
    """The suite for plugins with `homeostasis_analyze`; `crash` must be one that the plugin understands."""

    def test_it_understands_the_crash(self, plugins: Plugins, incident: Incident, source: SourceTree) -> None:
        """The sample crash gets at least one diagnosis, and no failure."""
        assert plugins.analyze(incident, source)
        assert not plugins.failures

    def test_it_writes_nothing(
        self, project: Project, plugins: Plugins, incident: Incident, source: SourceTree
    ) -> None:
        """Analyzing changes no file of the project."""
        before = state_of(project)
        plugins.analyze(incident, source)
        assert state_of(project) == before

    def test_it_gives_the_same_answer_twice(
        self, project: Project, plugins: Plugins, incident: Incident, source: SourceTree
    ) -> None:
        """The same incident on the same source has the same diagnoses: a restarted engine goes on where it was."""
        assert plugins.analyze(incident, source) == plugins.analyze(incident, SourceTree(project))

    def test_causes_lie_in_code_that_may_be_changed(
        self, plugins: Plugins, incident: Incident, source: SourceTree
    ) -> None:
        """Each diagnosis names a file of the project's `source` and a line that the file has."""
        for diagnosis in plugins.analyze(incident, source):
            assert source.refusal(diagnosis.path) is None
            assert 1 <= diagnosis.span.line <= len(source.read(diagnosis.path).splitlines())

    def test_diagnoses_survive_storage(self, plugins: Plugins, incident: Incident, source: SourceTree) -> None:
        """A diagnosis is the same after a way through JSON, so that the ledger can keep it."""
        for diagnosis in plugins.analyze(incident, source):
            assert Diagnosis.model_validate_json(diagnosis.model_dump_json()) == diagnosis

    def test_it_says_nothing_about_strangers(self, plugins: Plugins, source: SourceTree) -> None:
        """An unknown exception, raised in files that are not the project's, gets no diagnosis and no failure."""
        assert plugins.analyze(incident_of(stranger("/etc/passwd", "../../outside.py", "\\0")), source) == []
        assert not plugins.failures

    def test_it_bears_an_event_without_frames(self, plugins: Plugins, event: Event, source: SourceTree) -> None:
        """A crash whose traceback was lost is no failure of the plugin's."""
        bare = event.raised.model_copy(update={"frames": ()})
        plugins.analyze(incident_of(event.model_copy(update={"exceptions": (bare,)})), source)
        assert not plugins.failures
