"""Stage 3: what every patch owes the user's files."""

from __future__ import annotations

import ast

import pytest

from homeostasis.errors import PatchConflict
from homeostasis.models import Diagnosis, Fix, Incident, Patch
from homeostasis.plugins import Plugins
from homeostasis.project import Project
from homeostasis.source import SourceTree
from homeostasis.testing.conformance.plugin import PluginConformance
from homeostasis.testing.fakes import state_of


class PatchConformance(PluginConformance):
    """The suite for plugins with `homeostasis_patch`.

    By default the plugin's own analysis gives the diagnosis; override `diagnose` for a plugin that only patches.
    """

    def diagnose(self, plugins: Plugins, incident: Incident, source: SourceTree) -> Diagnosis:
        """A diagnosis that the plugin can patch."""
        return plugins.analyze(incident, source)[0]

    @pytest.fixture
    def diagnosis(self, plugins: Plugins, incident: Incident, source: SourceTree) -> Diagnosis:
        """What `diagnose` says."""
        return self.diagnose(plugins, incident, source)

    @pytest.fixture
    def patches(self, plugins: Plugins, diagnosis: Diagnosis, incident: Incident, source: SourceTree) -> list[Patch]:
        """The candidates of the diagnosis; there is at least one."""
        patches = plugins.patch(diagnosis, incident, source)
        assert not plugins.failures
        assert patches
        return patches

    def test_it_writes_nothing(
        self, project: Project, plugins: Plugins, diagnosis: Diagnosis, incident: Incident, source: SourceTree
    ) -> None:
        """Making candidates changes no file of the project."""
        before = state_of(project)
        plugins.patch(diagnosis, incident, source)
        assert state_of(project) == before

    def test_patches_change_files_that_may_be_changed(self, patches: list[Patch], source: SourceTree) -> None:
        """Each edit changes something in a file of `source`, and starts from the bytes that the file has."""
        for edit in (edit for patch in patches for edit in patch.edits):
            assert edit.after != edit.before
            assert source.project.covers(edit.path)
            if edit.before is not None:
                assert source.refusal(edit.path) is None
                assert edit.before == source.read(edit.path)

    def test_patched_files_are_valid_python(self, patches: list[Patch]) -> None:
        """What comes out parses."""
        for edit in (edit for patch in patches for edit in patch.edits if edit.path.endswith(".py")):
            ast.parse(edit.after)

    def test_undo_after_apply_restores_the_bytes(self, project: Project, patches: list[Patch]) -> None:
        """A patch that was applied and undone leaves every byte as it was; so does undoing twice."""
        before = state_of(project)
        for patch in patches:
            patch.apply(project.root)
            assert state_of(project) != before
            patch.undo(project.root)
            patch.undo(project.root)
            assert state_of(project) == before

    def test_a_file_that_changed_since_is_never_overwritten(self, project: Project, patches: list[Patch]) -> None:
        """A patch refuses a file that somebody edited after it was made."""
        for patch in patches:
            edit = next(edit for edit in patch.edits if edit.before is not None)
            target = project.root / edit.path
            target.write_bytes((edit.before or b"") + b"\\n# edited meanwhile\\n")
            before = state_of(project)
            with pytest.raises(PatchConflict):
                patch.apply(project.root)
            assert state_of(project) == before
            target.write_bytes(edit.before or b"")

    def test_it_makes_the_same_patches_twice(
        self, project: Project, plugins: Plugins, diagnosis: Diagnosis, incident: Incident, patches: list[Patch]
    ) -> None:
        """The same diagnosis gives the same changes: a restarted engine does not propose something else."""
        again = plugins.patch(diagnosis, incident, SourceTree(project))
        assert [patch.digest for patch in again] == [patch.digest for patch in patches]

    def test_patches_survive_storage(self, patches: list[Patch]) -> None:
        """A patch is the same after a way through JSON, so that the ledger can keep it."""
        for patch in patches:
            assert Patch.model_validate_json(patch.model_dump_json()) == patch

    def test_patches_explain_themselves(self, patches: list[Patch]) -> None:
        """Each candidate has a one-line summary, which becomes the commit's subject."""
        for patch in patches:
            assert patch.summary.strip()
            assert "\\n" not in patch.summary

    def test_it_leaves_fixes_of_others_alone(
        self, plugins: Plugins, diagnosis: Diagnosis, incident: Incident, source: SourceTree
    ) -> None:
        """A fix that the plugin does not know gives no candidate and no failure."""
        foreign = diagnosis.model_copy(update={"fix": Fix(kind="refactor", id="no-such-refactor")})
        assert plugins.patch(foreign, incident, source) == []
        assert not plugins.failures
