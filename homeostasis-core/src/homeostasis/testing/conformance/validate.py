"""Stage 5: what every validator owes the verdict."""

from __future__ import annotations

from pathlib import Path

import pytest

from homeostasis.models import Check, Completed, Incident, Outcome, Patch, Trial
from homeostasis.plugins import Plugins
from homeostasis.project import Project
from homeostasis.testing.builders import patch_of
from homeostasis.testing.conformance.plugin import PluginConformance
from homeostasis.testing.fakes import Answer, Call, completed, fake_trial, state_of

SAMPLE_FIX = """\
PRICES = {"tea": 3, "milk": 2}


def price(name):
    return PRICES.get(name, 0)


def total(names):
    return sum(price(name) for name in names)
"""


class ValidateConformance(PluginConformance):
    """The suite for plugins with `homeostasis_validate`. Trials are fakes: commands succeed and print nothing."""

    fixed: str = SAMPLE_FIX
    """What the sample patch makes of the first of `files`."""

    @pytest.fixture
    def patch(self, project: Project) -> Patch:
        """A patch that is right."""
        path = next(iter(self.files))
        return patch_of({path: ((project.root / path).read_bytes(), self.fixed.encode())})

    def trials(self, patch: Patch, tmp_path: Path, *answers: Answer) -> tuple[Trial, Trial]:
        """A candidate and a base in copies of the project, in which commands end as `answers` say."""
        roots = []
        for name in ("candidate", "base"):
            root = tmp_path / name
            for path, text in self.files.items():
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_bytes(text.encode())
            roots.append(root)
        patch.apply(roots[0])
        return fake_trial(roots[0], *answers, patch=patch), fake_trial(roots[1], *answers)

    @pytest.fixture
    def checks(self, plugins: Plugins, incident: Incident, patch: Patch, tmp_path: Path) -> list[Check]:
        """What the validator says of the sample patch."""
        candidate, base = self.trials(patch, tmp_path)
        found = plugins.validate(self.name, candidate, base, incident, patch)
        assert not plugins.failures
        return found

    def test_checks_are_named_and_explained(self, checks: list[Check]) -> None:
        """Each check has a name of its own and says what was seen; a person reads it before approving."""
        assert len({check.name for check in checks}) == len(checks)
        assert all(check.name.strip() and check.detail.strip() for check in checks)

    def test_checks_survive_storage(self, checks: list[Check]) -> None:
        """A check is the same after a way through JSON, so that the ledger can keep it."""
        for check in checks:
            assert Check.model_validate_json(check.model_dump_json()) == check

    def test_it_writes_nothing(
        self, project: Project, plugins: Plugins, incident: Incident, patch: Patch, tmp_path: Path
    ) -> None:
        """Validating changes no file of the live project."""
        before = state_of(project)
        plugins.validate(self.name, *self.trials(patch, tmp_path), incident, patch)
        assert state_of(project) == before

    def test_it_leaves_the_trials_open(
        self, plugins: Plugins, incident: Incident, patch: Patch, tmp_path: Path
    ) -> None:
        """The trials belong to the engine, and the next validator uses them."""
        candidate, base = self.trials(patch, tmp_path)
        plugins.validate(self.name, candidate, base, incident, patch)
        assert not candidate.runner.closed
        assert not base.runner.closed

    @pytest.mark.parametrize("ending", ["fails", "hangs", "babbles", "vanishes"])
    def test_a_broken_trial_is_no_proof(
        self, ending: str, plugins: Plugins, incident: Incident, patch: Patch, tmp_path: Path
    ) -> None:
        """When the commands that it runs fail, hang, print rubbish or cannot be run, nothing required is accepted."""
        candidate, base = self.trials(patch, tmp_path, _ENDINGS[ending])
        found = plugins.validate(self.name, candidate, base, incident, patch)
        if candidate.runner.calls or base.runner.calls:
            assert [check for check in found if check.required and check.outcome is Outcome.ACCEPTED] == []


def _fails(call: Call) -> Completed:
    return completed(call, returncode=1, stderr="Traceback: it broke")


def _hangs(call: Call) -> Completed:
    return completed(call, returncode=-9, timed_out=True)


def _babbles(call: Call) -> Completed:
    return completed(call, returncode=1, stdout='{"status": \x00 200, ' * 50)


def _vanishes(call: Call) -> Completed:
    raise OSError(f"{call.argv[0]}: cannot be run")


_ENDINGS: dict[str, Answer] = {"fails": _fails, "hangs": _hangs, "babbles": _babbles, "vanishes": _vanishes}
