"""Stage 4: what every sandbox owes the live tree."""

from __future__ import annotations

import tempfile
import uuid
from pathlib import Path
from typing import Callable, Iterator

import pytest

from homeostasis.models import Patch, Trial
from homeostasis.plugins import Plugins
from homeostasis.project import Project
from homeostasis.testing.builders import patch_of
from homeostasis.testing.conformance.plugin import PluginConformance
from homeostasis.testing.fakes import state_of

MakeTrial = Callable[..., Trial]


class SandboxConformance(PluginConformance):
    """The suite for plugins with `homeostasis_sandbox`."""

    edited: str = "shop.py"
    """The file of the project that the sample patch appends a line to."""

    @pytest.fixture
    def patch(self, project: Project) -> Patch:
        """A patch that defines `MARK` in `edited`."""
        before = (project.root / self.edited).read_bytes()
        return patch_of({self.edited: (before, before + b'\nMARK = "patched"\n')})

    @pytest.fixture
    def make_trial(
        self, plugins: Plugins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[Callable[[Patch | None], Trial]]:
        """Makes trials that are closed at the end, whatever happens."""
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(scratch))
        trials: list[Trial] = []

        def make(patch: Patch | None) -> Trial:
            trials.append(plugins.sandbox(patch))
            return trials[-1]

        yield make
        for trial in trials:
            trial.close()

    def test_the_base_is_the_project(self, make_trial: MakeTrial) -> None:
        """Without a patch, commands see the project's files as they are, in the tree's root."""
        done = make_trial(None).run(["{python}", "-c", f"print(open({self.edited!r}).read(), end='')"])
        assert (done.returncode, done.stdout) == (0, self.files[self.edited])

    def test_a_candidate_has_the_patch(self, make_trial: MakeTrial, patch: Patch) -> None:
        """With a patch, commands see the patched file; a base beside it does not."""
        show = ["{python}", "-c", f"print(open({self.edited!r}).read())"]
        assert "MARK" in make_trial(patch).run(show).stdout
        assert "MARK" not in make_trial(None).run(show).stdout

    def test_the_live_tree_is_never_written(self, project: Project, make_trial: MakeTrial, patch: Patch) -> None:
        """Whatever a command does to the files that it sees, the project's stay the same."""
        before = state_of(project)
        vandal = (
            "import pathlib\n"
            "for path in list(pathlib.Path().rglob('*.py')):\n"
            "    path.write_text('ruined')\n"
            "pathlib.Path('new.txt').write_text('new')\n"
        )
        trial = make_trial(patch)
        assert trial.run(["{python}", "-c", vandal]).returncode == 0
        trial.close()
        assert state_of(project) == before

    def test_commands_get_what_they_are_given(self, make_trial: MakeTrial) -> None:
        """Standard input, extra variables, output, errors and the exit status pass through."""
        code = (
            "import os, sys; print(sys.stdin.read() + os.environ['WORD']); print('oops', file=sys.stderr); sys.exit(3)"
        )
        done = make_trial(None).run(["{python}", "-c", code], stdin="hello ", env={"WORD": "world"})
        assert (done.returncode, done.stdout.strip(), done.stderr.strip()) == (3, "hello world", "oops")
        assert not done.timed_out

    def test_secrets_are_not_inherited(self, make_trial: MakeTrial, monkeypatch: pytest.MonkeyPatch) -> None:
        """Variables of the orchestrator do not reach a trial, passwords and tokens least of all."""
        monkeypatch.setenv("DATABASE_PASSWORD", "hunter2")
        monkeypatch.setenv("SERVICE_API_TOKEN", "hunter3")
        done = make_trial(None).run(["{python}", "-c", "import os; print(dict(os.environ))"])
        assert done.returncode == 0
        assert "hunter" not in done.stdout

    def test_a_command_that_hangs_is_killed(self, make_trial: MakeTrial) -> None:
        """A command that outlives its timeout is ended and says so."""
        done = make_trial(None).run(["{python}", "-c", "import time; time.sleep(600)"], timeout=1.0)
        assert done.timed_out
        assert done.returncode != 0

    def test_nothing_outlives_a_trial(self, make_trial: MakeTrial, tmp_path: Path) -> None:
        """Closing ends the processes that commands left behind, and leaves nothing in the temporary directory."""
        mark = f"mark-{uuid.uuid4().hex}"
        sleep = f"[sys.executable, '-c', 'import time; time.sleep(600)', '{mark}']"
        start = f"import subprocess, sys; subprocess.Popen({sleep})"
        trial = make_trial(None)
        assert trial.run(["{python}", "-c", start], timeout=20.0).returncode == 0
        trial.close()
        trial.close()
        assert _running(mark) == []
        assert list((tmp_path / "scratch").iterdir()) == []

    def test_it_says_how_well_it_isolates(self, make_trial: MakeTrial) -> None:
        """The level of isolation that was reached is reported."""
        assert make_trial(None).isolation.strip()


def _running(mark: str) -> list[str]:
    """Processes whose command line holds `mark`, where the system has a list of them."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if mark.encode() in file.read_bytes().split(b"\0"):
                found.append(file.parent.name)
        except OSError:
            continue  # it has just ended
    return found
