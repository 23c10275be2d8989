"""Stage 6: what every deployer owes the person who wants it undone."""

from __future__ import annotations

import contextlib
import subprocess
from typing import Any

import pytest

from homeostasis.errors import DeployError, HomeostasisError
from homeostasis.hookspecs import Journal
from homeostasis.models import Check, Incident, Outcome, Patch, Release, Step, Verdict
from homeostasis.plugins import Plugins
from homeostasis.project import Project
from homeostasis.testing.builders import patch_of
from homeostasis.testing.conformance.plugin import PluginConformance
from homeostasis.testing.conformance.validate import SAMPLE_FIX
from homeostasis.testing.fakes import Killed, RecordingJournal, state_of


class DeployConformance(PluginConformance):
    """The suite for plugins with `homeostasis_deploy` and `homeostasis_undo`.

    Override `world` for a deployer that changes something else than files and git, and `setup_project` for what it
    needs.
    """

    fixed: str = SAMPLE_FIX
    """What the sample patch makes of the first of `files`."""

    def world(self, project: Project) -> Any:
        """All that the deployer may change, as a value that can be compared: files, branches, HEAD and index."""
        git = ["git", "-C", str(project.root)]
        questions = (["for-each-ref"], ["symbolic-ref", "-q", "HEAD"], ["status", "--porcelain"], ["diff", "--cached"])
        answers = [subprocess.run([*git, *words], capture_output=True, check=False).stdout for words in questions]
        return state_of(project), answers

    @pytest.fixture
    def patch(self, project: Project) -> Patch:
        """A patch that was accepted."""
        path = next(iter(self.files))
        return patch_of({path: ((project.root / path).read_bytes(), self.fixed.encode())})

    def deploy(self, plugins: Plugins, patch: Patch, incident: Incident, journal: Journal) -> str:
        """Run the hook as the engine does."""
        check = Check(name="reproduction", outcome=Outcome.ACCEPTED, required=True, detail="crashed before, not after")
        return plugins.deploy(self.name, patch, Verdict.of(patch.id, (check,)), incident, journal)

    def undo(self, plugins: Plugins, patch: Patch, journal: RecordingJournal, state: str = "done") -> None:
        """Undo what the journal says was intended, as the engine does."""
        step = Step.model_validate(
            {"deployer": self.name, "state": state, "undo": journal.undo or {}, "facts": journal.facts}
        )
        release = Release(
            id="release-1",
            incident_id="incident-1",
            patch_id=patch.id,
            state="deploying",
            steps=(step,),
            started_at=1.0,
        )
        plugins.undo(step, release, patch)

    def test_it_has_both_hooks(self, plugins: Plugins) -> None:
        """What deploys must also undo."""
        assert {"deploy", "undo"} <= set(plugins.hooks_of(self.name))

    def test_it_says_what_it_did(self, plugins: Plugins, patch: Patch, incident: Incident) -> None:
        """The hook returns a sentence and has recorded an intent."""
        journal = RecordingJournal()
        assert self.deploy(plugins, patch, incident, journal).strip()
        assert journal.undo is not None

    def test_the_intent_comes_first(self, project: Project, plugins: Plugins, patch: Patch, incident: Incident) -> None:
        """When `journal.intend` is called, nothing has been changed yet."""
        before, seen = self.world(project), []
        self.deploy(plugins, patch, incident, RecordingJournal(lambda: seen.append(self.world(project))))
        assert seen == [before]

    def test_undo_restores_the_world(
        self, project: Project, plugins: Plugins, patch: Patch, incident: Incident
    ) -> None:
        """Undoing a finished step leaves everything as it was, byte for byte; undoing it again changes nothing."""
        before, journal = self.world(project), RecordingJournal()
        self.deploy(plugins, patch, incident, journal)
        self.undo(plugins, patch, journal)
        assert self.world(project) == before
        self.undo(plugins, patch, journal, "undone")
        assert self.world(project) == before

    def test_a_step_that_never_happened_can_be_undone(
        self, project: Project, plugins: Plugins, patch: Patch, incident: Incident
    ) -> None:
        """A process that dies between the intent and the change leaves an intent that undoes nothing."""
        before, journal = self.world(project), RecordingJournal(die=True)
        with pytest.raises(Killed):
            self.deploy(plugins, patch, incident, journal)
        assert self.world(project) == before
        self.undo(plugins, patch, journal, "intended")
        assert self.world(project) == before

    def test_edits_of_the_user_survive(
        self, project: Project, plugins: Plugins, patch: Patch, incident: Incident
    ) -> None:
        """A file that was edited after the patch was made keeps its bytes, whether the deployer refuses or goes on."""
        target = project.root / patch.edits[0].path
        edited = target.read_bytes() + b"\n# edited meanwhile\n"
        target.write_bytes(edited)
        journal = RecordingJournal()
        with contextlib.suppress(HomeostasisError):
            self.deploy(plugins, patch, incident, journal)
        assert target.read_bytes() == edited

    def test_undo_spares_later_edits(
        self, project: Project, plugins: Plugins, patch: Patch, incident: Incident
    ) -> None:
        """What was added after the release survives the undo: beside the old bytes, or because it refused."""
        journal = RecordingJournal()
        self.deploy(plugins, patch, incident, journal)
        target = project.root / patch.edits[0].path
        later = b"\n# edited meanwhile\n"
        edited = target.read_bytes() + later
        target.write_bytes(edited)
        with contextlib.suppress(DeployError):
            self.undo(plugins, patch, journal)
        assert target.read_bytes() in (edited, (patch.edits[0].before or b"") + later)
