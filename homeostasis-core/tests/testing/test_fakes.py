"""Fakes are as strict as what they stand for."""

from __future__ import annotations

import pytest

from homeostasis.testing import (
    Call,
    Killed,
    MemorySink,
    RecordingJournal,
    completed,
    fake_trial,
    patch_of,
    state_of,
    stranger,
)


def test_a_trial_answers_from_the_first_match(tmp_path):
    """Commands end as the first answer says that knows them; others succeed and print nothing."""

    def pytest_fails(call: Call):
        return completed(call, returncode=1, stdout="1 failed") if "pytest" in call.argv else None

    trial = fake_trial(tmp_path, pytest_fails)
    assert trial.run(["{python}", "-m", "pytest"]).stdout == "1 failed"
    assert trial.run(["{python}", "-c", ""], stdin="x").returncode == 0
    assert [call.argv[0] for call in trial.runner.calls] == ["python", "python"]
    assert trial.runner.calls[1].stdin == "x"


def test_a_closed_trial_runs_nothing(tmp_path):
    """A validator that uses a trial after its end is found out."""
    with fake_trial(tmp_path, patch=patch_of({"a.py": (None, b"")})) as trial:
        pass
    with pytest.raises(AssertionError, match="closed already"):
        trial.run(["true"])


def test_a_journal_keeps_only_what_can_be_stored():
    """Undo data that is no JSON fails in the test, not after a crash in production."""
    with pytest.raises(TypeError):
        RecordingJournal().intend({"path": object()})


def test_a_journal_takes_one_intent():
    """A second intent would overwrite what undoing the first change needs."""
    journal = RecordingJournal()
    journal.intend({"a": 1})
    with pytest.raises(AssertionError, match="twice"):
        journal.intend({"b": 2})
    journal.fact("commit", "abc")
    assert (journal.undo, journal.facts) == ({"a": 1}, {"commit": "abc"})


def test_a_journal_can_die_after_the_intent():
    """The intent is recorded when the process "dies", and no `except Exception` hides it."""
    journal = RecordingJournal(die=True)
    with pytest.raises(Killed):
        journal.intend({"a": 1})
    assert journal.undo == {"a": 1}
    assert not issubclass(Killed, Exception)


def test_a_sink_remembers_positions():
    """A source that was never read is at 0; one that was read is where it was left."""
    sink = MemorySink()
    assert sink.position("file") == 0
    sink.event(stranger("/a.py"))
    sink.advance("file", 42)
    assert (sink.position("file"), len(sink.events)) == (42, 1)


def test_the_state_of_a_project_is_its_own_files(project_factory):
    """Git's and our own folders do not count, everything else does."""
    project = project_factory({"a.py": "x\n", "b/c.txt": "y\n"}, git=True)
    (project.state / "ledger.db").write_text("x")
    assert set(state_of(project)) == {"a.py", "b/c.txt", "pyproject.toml"}
