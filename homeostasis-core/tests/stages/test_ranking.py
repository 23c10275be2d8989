"""Which candidate is tried first, and which one wins."""

from __future__ import annotations

import threading

import pytest

from homeostasis.models import (
    Check,
    Completed,
    Diagnosis,
    Effect,
    FileEdit,
    Fix,
    Outcome,
    Patch,
    Span,
    State,
    Trial,
    Verdict,
)
from homeostasis.pipeline import heal
from homeostasis.stages.sandbox import RememberingRunner

DIAGNOSIS = Diagnosis(rule_id="r", path="shop.py", span=Span(line=5), summary="s", fix=Fix(kind="template", id="t"))


def candidate(source, name, effect=Effect.CORRECT, confidence=0.5, rule="r"):
    before = source.read("shop.py")
    edit = FileEdit(path="shop.py", before=before, after=before + f"# {name}\n".encode())
    return Patch(id=name, rule_id=rule, edits=(edit,), effect=effect, confidence=confidence, summary=name)


@pytest.fixture
def run(context_of, make_project, event_of, plugin_of):
    """Heals with the given candidates and verdicts by name; returns context, incident and the names tried."""

    def go(candidates, outcomes, settings=""):
        tried = []

        def sandbox(patch, project):
            return Trial(root=project.root, python="python", isolation="none", patch=patch, runner=Silent())

        def validate(patch):
            tried.append(patch.id)
            return Check(name="judge", outcome=outcomes(patch.id), required=True, detail=patch.id)

        project = make_project(settings)
        context = context_of(
            project,
            proposer=plugin_of(
                homeostasis_analyze=lambda incident: [DIAGNOSIS],
                homeostasis_patch=lambda diagnosis, source: candidates(source),
            ),
            box=plugin_of(homeostasis_sandbox=sandbox),
            judge=plugin_of(homeostasis_validate=validate),
        )
        incident, _ = context.ledger.record(event_of(project))
        return context, heal(context, incident, apply=False), tried

    return go


class Silent:
    def run(self, argv, **_):
        return Completed(argv=tuple(argv), returncode=0, stdout="", stderr="", seconds=0.0)

    def close(self):
        pass


def test_effect_confidence_and_size_rank(run):
    """What restores the intent comes before what refuses, and what invents a value last, however sure it is."""

    def candidates(source):
        return [
            candidate(source, "invent", Effect.INVENT, 1.0),
            candidate(source, "recover", Effect.RECOVER),
            candidate(source, "refuse", Effect.REFUSE),
            candidate(source, "correct", Effect.CORRECT),
            candidate(source, "sure", Effect.RECOVER, 0.9),
        ]

    _, _, tried = run(candidates, lambda name: Outcome.REJECTED, "validate.parallel = 1\n")
    assert tried == ["sure", "correct", "refuse", "recover", "invent"]


def test_track_record_of_the_rule_counts(context_of, make_project, event_of):
    """Of two equal candidates the one whose rule has been accepted before comes first."""
    from homeostasis.source import SourceTree
    from homeostasis.stages.patch import score

    context = context_of(make_project())
    source = SourceTree(context.project)
    incident, _ = context.ledger.record(event_of(context.project))
    proven, failed, fresh = (candidate(source, name, rule=name) for name in ("proven", "failed", "fresh"))
    context.ledger.add_candidates(incident.id, [proven, failed], [DIAGNOSIS, DIAGNOSIS])
    context.ledger.set_verdict(incident.id, Verdict(patch_id="proven", outcome=Outcome.ACCEPTED))
    context.ledger.set_verdict(incident.id, Verdict(patch_id="failed", outcome=Outcome.REJECTED))
    assert score(context, proven) > score(context, fresh) > score(context, failed)


def test_best_accepted_candidate_wins_whoever_is_quicker(run):
    """A lower candidate that is accepted first does not beat a higher one that is accepted later."""
    second_done = threading.Event()

    def outcomes(name):
        if name == "first":
            assert second_done.wait(10)
        else:
            second_done.set()
        return Outcome.ACCEPTED

    def candidates(source):
        return [candidate(source, "first", confidence=0.9), candidate(source, "second", confidence=0.5)]

    context, incident, _ = run(candidates, outcomes, "validate.parallel = 2\n")
    assert incident.state is State.VALIDATED
    assert context.ledger.patch(incident.id).id == "first"


def test_survivor_behind_rejected_ones_is_found(run):
    """Rejected candidates are kept with their verdicts, and the next is chosen."""

    def candidates(source):
        return [candidate(source, f"c{n}", confidence=0.9 - n / 10) for n in range(4)]

    context, incident, tried = run(
        candidates,
        lambda name: Outcome.ACCEPTED if name == "c2" else Outcome.REJECTED,
        "validate.parallel = 1\n",
    )
    assert tried == ["c0", "c1", "c2"]
    assert context.ledger.patch(incident.id).id == "c2"
    assert context.ledger.track.of("r") == {"accepted": 1, "rejected": 2}


def test_number_of_candidates_is_bounded(run):
    """No more than validate.max_candidates are tried."""
    _, incident, tried = run(
        lambda source: [candidate(source, f"c{n}") for n in range(9)],
        lambda name: Outcome.INCONCLUSIVE,
        "validate.max_candidates = 3\n",
    )
    assert len(tried) == 3
    assert incident.state is State.UNFIXABLE


def test_same_change_from_two_rules_is_one_candidate(run):
    """Equal changes are tried once."""
    _, _, tried = run(
        lambda source: [candidate(source, "same"), candidate(source, "same").model_copy(update={"rule_id": "other"})],
        lambda name: Outcome.REJECTED,
    )
    assert tried == ["same"]


@pytest.mark.parametrize("path", ["vendor/x.py", "../x.py", "notes.txt"])
def test_patch_of_a_forbidden_file_is_dropped(run, path):
    """A plugin that proposes to write where nothing may be written gets nowhere."""

    def candidates(source):
        (source.root / "vendor").mkdir(exist_ok=True)
        (source.root / "vendor/x.py").write_bytes(b"")
        (source.root / "notes.txt").write_bytes(b"")
        edit = FileEdit(path=path, before=b"", after=b"import os\n")
        return [Patch(id="evil", rule_id="r", edits=(edit,), effect=Effect.CORRECT, summary="s")]

    context, incident, tried = run(candidates, lambda name: Outcome.ACCEPTED)
    assert (incident.state, tried) == (State.UNFIXABLE, [])
    assert context.ledger.reason(incident.id)


def test_memory_of_a_trial_tells_commands_apart():
    """The same command with other input or environment is another command."""

    class Counting(Silent):
        count = 0

        def run(self, argv, **more):
            self.count += 1
            return super().run(argv, **more)

    counting = Counting()
    runner = RememberingRunner(counting)
    for stdin, env, cwd in [("", {}, "."), ("", {}, "."), ("x", {}, "."), ("", {"A": "1"}, "."), ("", {}, "sub")]:
        runner.run(["same"], stdin=stdin, env=env, cwd=cwd, timeout=1.0)
    assert counting.count == 4
