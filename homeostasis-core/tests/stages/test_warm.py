"""Runs that are forked from a warm interpreter: when they are asked for, and that base and candidate are treated alike."""

from __future__ import annotations

import json
import threading

import pytest

from homeostasis.attempts import Attempt, Observed, attempts, observe_base
from homeostasis.builtin import healthy_traffic, reproduction
from homeostasis.engine import Engine
from homeostasis.models import Completed, Effect, FileEdit, Outcome, Patch, Request, Trial
from homeostasis.models.trial import WarmRunner, Warmth
from homeostasis.replay import NotReplayed, replay_call, replay_command, replay_requests
from homeostasis.stages.sandbox import Preparation, RememberingRunner, Temperature, prepare, sandbox
from homeostasis.testing import fake_trial

REQUEST = Request(method="GET", path="/tea")


ENDED = object()
"""Instead of an answer: the zygote has ended."""


class Warm:
    """A sandbox's runner with a zygote. `answers(patched, warm)` gives the answer of the replay, None for no answer."""

    def __init__(self, answers, patched=False, warmth=Warmth(ready=True)):
        self.answers, self.patched, self.state = answers, patched, warmth
        self.calls, self.warmed = [], []

    def run(self, argv, *, stdin, env, cwd, timeout):
        return self._answer(argv, warm=False)

    def run_warm(self, argv, *, stdin, env, cwd, timeout):
        return self._answer(argv, warm=True)

    def warmth(self):
        return self.state

    def warm_up(self, argv, *, stdin, env, cwd, timeout):
        self.warmed.append((list(argv), json.loads(stdin)))

    def close(self):
        pass

    def _answer(self, argv, warm):
        self.calls.append("warm" if warm else "fresh")
        answer = self.answers(self.patched, warm)
        if answer is ENDED:
            return None
        stdout = "" if answer is None else json.dumps(answer)
        return Completed(argv=tuple(argv), returncode=0, stdout=stdout, stderr="", seconds=0.0, warm=warm)


@pytest.fixture
def incident(make_project, event_of, context_of):
    project = make_project('app = "shop:app"')
    context = context_of(project)
    found, _ = context.ledger.record(event_of(project, request=REQUEST))
    return context, found


def trials_of(context, answers, temperature=None):
    """A base and a candidate that share a temperature."""
    edit = FileEdit(path="shop.py", before=b"", after=b"1")
    patch = Patch(id="p", rule_id="r", edits=(edit,), effect=Effect.CORRECT, summary="s")
    shared = temperature or Temperature()
    shared.warm = True
    runners = [Warm(answers), Warm(answers, patched=True)]
    base, trial = (
        Trial(
            root=context.project.root,
            python="python",
            isolation="fake",
            patch=given,
            runner=RememberingRunner(r, shared),
        )
        for given, r in zip((None, patch), runners)
    )
    return base, trial, runners, patch


def crash_of(incident):
    """The answer of an app that crashes as recorded."""
    event = json.loads(incident.event.model_dump_json())
    return {"requests": [{"status": 500, "headers": [], "body": "", "events": [event], "error": "KeyError"}]}


WELL = {"requests": [{"status": 200, "headers": [], "body": "", "events": [], "error": None}]}


def judge(context, incident, answers):
    base, trial, runners, patch = trials_of(context, answers)
    found = reproduction.homeostasis_validate(
        trial=trial, base=base, incident=incident, patch=patch, project=context.project
    )
    return found.outcome, [runner.calls for runner in runners]


def test_a_crash_that_the_fork_shows_is_judged_by_forks(incident):
    """No fresh process is started."""
    context, found = incident
    outcome, calls = judge(context, found, lambda patched, warm: WELL if patched else crash_of(found))
    assert (outcome, calls) == (Outcome.ACCEPTED, [["warm"], ["warm"]])


@pytest.mark.parametrize("shown", [WELL, None, {"import_error": "broken"}], ids=["another answer", "none", "nonsense"])
def test_a_base_that_differs_under_the_zygote_is_asked_again_without(incident, shown):
    """And so is the candidate: both under the same conditions."""
    context, found = incident

    def answers(patched, warm):
        if warm:
            return shown
        return WELL if patched else crash_of(found)

    assert judge(context, found, answers) == (Outcome.ACCEPTED, [["warm", "fresh"], ["fresh"]])


def test_a_crash_that_happens_nowhere_is_inconclusive(incident):
    """After both ways have been tried."""
    context, found = incident
    outcome, calls = judge(context, found, lambda patched, warm: WELL)
    assert outcome is Outcome.INCONCLUSIVE
    assert calls[0][:2] == ["warm", "fresh"]


def test_a_zygote_that_ends_before_the_candidate_is_asked(incident):
    """The base is asked again: it crashes in a fork only, so that the candidate's good answer proves nothing."""
    context, found = incident

    def answers(patched, warm):
        if warm:
            return ENDED if patched else crash_of(found)
        return WELL

    outcome, calls = judge(context, found, answers)
    assert (outcome, [made[:2] for made in calls]) == (Outcome.INCONCLUSIVE, [["warm", "fresh"], ["warm", "fresh"]])


def test_a_zygote_that_ends_between_healthy_answers(incident):
    """What differs between forks and fresh processes is not taken for a change of the patch."""
    context, found = incident
    healthy = found.model_copy(update={"healthy": (REQUEST,)})

    def answers(patched, warm):
        if warm and patched:
            return ENDED
        one = {"status": 200 if warm else 204, "headers": [], "body": "", "events": [], "error": None}
        return {"requests": [one, *crash_of(found)["requests"]]}

    base, trial, runners, patch = trials_of(context, answers)
    check = healthy_traffic.homeostasis_validate(
        trial=trial, base=base, incident=healthy, patch=patch, project=context.project
    )
    assert check.outcome is Outcome.ACCEPTED, check.detail
    assert [runner.calls[-1] for runner in runners] == ["fresh", "fresh"]


def test_who_asked_while_it_was_warm_hears_of_the_cold_answer(incident):
    """Candidates are tried side by side: one that finds out late must not believe the fork."""
    context, found = incident
    base, _, runners, _ = trials_of(context, lambda patched, warm: WELL if warm else crash_of(found))
    both = threading.Barrier(2, timeout=30)
    results = []

    def observe(trial):
        answer = replay_requests(trial, found, context.project)
        if trial.warmth().ready:
            both.wait()
        return Observed(answer.crash.events)

    def one():
        results.append(observe_base(Attempt("GET /tea", observe), base, found))

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(result.events) for result in results] == [1, 1]
    assert runners[0].calls == ["warm", "fresh"]


def test_only_replays_are_forked(incident):
    """The crash of a command may depend on how its process was started."""
    context, found = incident
    base, _, runners, _ = trials_of(context, lambda patched, warm: {"returncode": 0})
    replay_command(base, ("python", "job.py"), None, context.project)
    replay_call(base, found.event.raised.frames[0], context.project)
    base.run(["{python}", "-m", "pytest"])
    assert runners[0].calls == ["fresh", "warm", "fresh"]


def test_a_runner_without_a_zygote_is_asked_as_ever(incident):
    """Third parties implement `run` and `close`, and nothing else."""
    context, found = incident
    trial = fake_trial(context.project.root)
    assert not isinstance(trial.runner, WarmRunner)
    with pytest.raises(NotReplayed):
        next(attempts(found, context.project)).observe(trial)
    assert len(trial.runner.calls) == 1
    assert trial.warmth() == (False, "this sandbox has no warm interpreter")
    trial.warm_up(["x"])
    trial.cool()
    remembering = trial.model_copy(update={"runner": RememberingRunner(trial.runner)})
    remembering.run(["y"], warm=True)
    remembering.run(["y"])
    assert len(trial.runner.calls) == 2, "the memory is the same for both"


@pytest.fixture
def stage(make_project, context_of, plugin_of, event_of):
    """Enters the sandbox stage with a runner of that warmth; returns the base, the runner and what the stage said."""

    def go(warmth, serving):
        project = make_project('app = "shop:app"')
        runner = Warm(lambda patched, warm: WELL, warmth=warmth)
        made = Trial(root=project.root, python="python", isolation="walls", runner=runner)
        context = context_of(project, box=plugin_of(homeostasis_sandbox=lambda patch: made))
        object.__setattr__(context, "serving", serving)
        found, _ = context.ledger.record(event_of(project, request=REQUEST))
        with sandbox(context, found) as trials:
            trials.base.run(["x"], warm=True)
        said = next(n.text for n in context.observer.notices if n.kind == "finished" and n.stage == "sandbox")
        return runner, said

    return go


def test_an_incident_is_warm_if_the_zygote_was_ready_at_its_start(stage):
    """It does not change its ways in between."""
    runner, said = stage(Warmth(ready=True), serving=True)
    assert (runner.calls, runner.warmed, said) == (["warm"], [], "isolated by walls, forked from a warm interpreter")


def test_an_orchestrator_that_stays_prepares_for_the_next_incident(stage):
    """By the request of this one, and says why this one is cold."""
    runner, said = stage(Warmth(ready=False, reason="lib starts a thread"), serving=True)
    assert (runner.calls, said) == (["fresh"], "isolated by walls, in fresh processes: lib starts a thread")
    [(argv, question)] = runner.warmed
    assert argv == ["python", "-m", "homeostasis.monitoring.replay"]
    assert (question["app"], question["requests"][0]["path"]) == ("shop:app", "/tea")


def test_an_orchestrator_prepares_when_it_begins(make_project, context_of, plugin_of):
    """By a request that any app answers; without knowing the app, and without a sandbox, it waits for an incident."""
    runner = Warm(lambda patched, warm: WELL)

    def box(project):
        made = Trial(root=project.root, python="python", isolation="walls", runner=runner)
        return plugin_of(homeostasis_sandbox=lambda patch: made)

    for project in (make_project(""), make_project('app = "shop:app"')):
        prepare(context_of(project, box=box(project)))
    [(_, question)] = runner.warmed
    assert (question["app"], question["requests"]) == ("shop:app", [{"method": "GET", "path": "/"}])
    prepare(context_of(project))


def test_serving_begins_with_it(make_project, context_of, plugin_of):
    """Before the first crash, so that it is healed as quickly as those that follow."""
    project, stop, runner = make_project('app = "shop:app"'), threading.Event(), Warm(lambda patched, warm: WELL)
    made = Trial(root=project.root, python="python", isolation="walls", runner=runner)
    context = context_of(project, box=plugin_of(homeostasis_sandbox=lambda patch: made))
    stop.set()
    Engine(project, context.plugins, context.ledger, context.observer).serve(stop)
    assert len(runner.warmed) == 1


def test_one_incident_alone_prepares_nothing(stage):
    """It would cost more than it brings."""
    runner, said = stage(Warmth(ready=False, reason="none was started"), serving=False)
    assert (runner.warmed, said) == ([], "isolated by walls")


def test_what_somebody_else_has_changed_is_prepared_for_once_it_has_settled(make_project, context_of, plugin_of):
    """Not while files are still being written, and not again and again."""
    project, made_trials = make_project('app = "shop:app"'), []

    def make(patch):
        made_trials.append(patch)
        runner = Warm(lambda patched, warm: WELL)
        return Trial(root=project.root, python="python", isolation="walls", runner=runner)

    preparation = Preparation(context_of(project, box=plugin_of(homeostasis_sandbox=make)))
    preparation.now()
    (project.root / "new.py").touch()
    seen = []
    for content in (None, "a = 1\n", None, None, None):
        if content:
            (project.root / "new.py").write_text(content)
        preparation.once_settled()
        seen.append(len(made_trials))
    assert seen == [1, 1, 2, 2, 2]


def test_first_crashes_at_the_same_time_find_all_rules(make_project, context_of, plugin_of):
    """Who asks while they are being read waits until they are."""
    begun, go_on = threading.Event(), threading.Event()

    def register(registry):
        begun.set()
        go_on.wait(30)
        registry.add("rule")

    class Registry(list):
        add = list.append

    plugins = context_of(make_project(""), rules=plugin_of(homeostasis_register_rules=register)).plugins
    with pytest.MonkeyPatch.context() as patching:
        patching.setattr("homeostasis.rules.RuleRegistry", Registry)
        found = []
        threads = [threading.Thread(target=lambda: found.append(list(plugins.rules))) for _ in range(2)]
        threads[0].start()
        assert begun.wait(30)
        threads[1].start()
        go_on.set()
        for thread in threads:
            thread.join()
    assert found == [["rule"], ["rule"]]
