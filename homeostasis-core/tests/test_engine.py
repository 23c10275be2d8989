"""The engine: incidents go through the states of the design, whoever interrupts, breaks or comes second."""

from __future__ import annotations

import threading
import time

import pytest
from sqlalchemy.exc import OperationalError

from homeostasis.engine import Engine
from homeostasis.errors import DeployError, UsageError
from homeostasis.models import Check, Completed, Diagnosis, Effect, FileEdit, Fix, Outcome, Patch, Span, State, Trial
from homeostasis.pipeline import heal
from homeostasis.plugins import Plugins

FIXED = b'PRICES = {"tea": 3}\n\n\ndef price(name):\n    return PRICES.get(name)\n'
AUTO = 'mode = "auto"\ndeploy.chain = ["tree", "second"]\nobserve.window = 0.0\nvalidate.parallel = 2\n'


class EchoRunner:
    """A sandbox in which every command succeeds."""

    def __init__(self):
        self.runs = []
        self.closed = 0

    def run(self, argv, *, stdin, env, cwd, timeout):
        self.runs.append(tuple(argv))
        return Completed(argv=tuple(argv), returncode=0, stdout="", stderr="", seconds=0.0)

    def close(self):
        self.closed += 1


class Parts:
    """Plugins whose behaviour a test changes by setting an attribute."""

    def __init__(self, plugin_of):
        self.runner = EchoRunner()
        self.outcome = Outcome.ACCEPTED
        self.effect = Effect.CORRECT
        self.fail = {}
        self.log = []
        self.analyze = plugin_of(homeostasis_analyze=self._analyze, homeostasis_patch=self._patch)
        self.box = plugin_of(homeostasis_sandbox=self._sandbox)
        self.judge = plugin_of(homeostasis_validate=self._validate)
        self.tree = plugin_of(homeostasis_deploy=self._deploy, homeostasis_undo=self._undo)
        self.second = plugin_of(homeostasis_deploy=self._deploy_second, homeostasis_undo=self._undo_second)

    def modules(self):
        return {name: getattr(self, name) for name in ("analyze", "box", "judge", "tree", "second")}

    def _enter(self, stage):
        self.log.append(stage)
        if stage in self.fail:
            raise self.fail[stage]

    def _analyze(self, incident, source):
        self._enter("analyze")
        return [
            Diagnosis(
                rule_id="r",
                path="shop.py",
                span=incident.event.crash_frame.span if incident.event.crash_frame else Span(line=1),
                summary="the key may be missing",
                fix=Fix(kind="template", id="t"),
            )
        ]

    def _patch(self, diagnosis, source):
        self._enter("patch")
        before = source.read("shop.py")
        return [self.patch_of(before, FIXED)]

    def patch_of(self, before, after):
        edit = FileEdit(path="shop.py", before=before, after=after)
        return Patch(id="p1", rule_id="r", edits=(edit,), effect=self.effect, summary="use get")

    def _sandbox(self, patch, project):
        self._enter("sandbox")
        return Trial(root=project.root, python="python", isolation="echo", patch=patch, runner=self.runner)

    def _validate(self, trial, base):
        self._enter("validate")
        for each in (base, trial):
            each.run(["same", "command"])
            each.run(["same", "command"])
        return Check(name="judge", outcome=self.outcome, required=True, detail="judged")

    def _deploy(self, patch, project, journal):
        self._enter("tree")
        journal.intend({"n": 1})
        patch.apply(project.root)
        journal.fact("commit", "abc123")
        return "written"

    def _undo(self, step, patch, project):
        self._enter("undo tree")
        patch.undo(project.root)

    def _deploy_second(self, journal):
        journal.intend({})
        self._enter("second")
        return "announced"

    def _undo_second(self, step):
        self._enter("undo second")


@pytest.fixture
def parts(plugin_of):
    return Parts(plugin_of)


@pytest.fixture
def engine_of(make_project, context_of, parts):
    def make(settings=AUTO):
        context = context_of(make_project(settings), **parts.modules())
        return Engine(context.project, context.plugins, context.ledger, context.observer)

    return make


def shop(engine):
    return (engine.context.project.root / "shop.py").read_bytes()


def states(incident):
    return [entry.state.value for entry in incident.timeline]


def serve_until(engine, condition):
    """Serve in a thread until a condition holds; fails if it does not within 20 s."""
    stop = threading.Event()
    thread = threading.Thread(target=engine.serve, args=(stop,))
    thread.start()
    deadline = time.monotonic() + 20
    try:
        while not condition():
            assert time.monotonic() < deadline, [states(i) for i in engine.context.ledger.incidents()]
            time.sleep(0.01)
    finally:
        stop.set()
        thread.join(20)


def test_one_shot_goes_to_the_verdict(engine_of, event_of, parts):
    """Without deploy the incident stops at `validated`, with patch and verdict, and no file is written."""
    engine = engine_of()
    before = shop(engine)
    incident = engine.heal(event_of(engine.context.project), deploy=False)
    assert states(incident) == ["open", "diagnosed", "patched", "validated"]
    assert shop(engine) == before
    assert engine.context.ledger.verdict(incident.id).checks[0].name == "judge"
    assert parts.runner.runs == [("same", "command")] * 2, "each trial answers a repeated command from memory"
    assert parts.runner.closed == 2


def test_one_shot_applies(engine_of, event_of):
    """With deploy the chain runs; the release knows its steps and their facts."""
    engine = engine_of('mode = "observe"\ndeploy.chain = ["tree", "second"]\n')
    incident = engine.heal(event_of(engine.context.project), deploy=True)
    assert states(incident)[-2:] == ["deploying", "observing"]
    assert shop(engine) == FIXED
    release = engine.context.ledger.release(incident.id)
    assert [(step.deployer, step.state, step.summary) for step in release.steps] == [
        ("tree", "done", "written"),
        ("second", "done", "announced"),
    ]
    assert release.fact("commit") == "abc123"


def test_notices_tell_the_stages_in_order(engine_of, event_of):
    """Whoever shows progress hears each stage begin and end."""
    engine = engine_of()
    engine.heal(event_of(engine.context.project), deploy=True)
    heard = [(n.kind, n.stage) for n in engine.context.observer.notices if n.kind in ("started", "finished")]
    stages = ["analyze", "patch", "sandbox", "validate", "deploy"]
    assert heard == [(kind, stage) for stage in stages for kind in ("started", "finished")]


@pytest.mark.parametrize("stage", ["analyze", "patch", "sandbox", "validate", "tree", "second"])
@pytest.mark.parametrize("error", [RuntimeError("broken part"), SystemExit(3), DeployError("broken part")])
def test_any_failing_stage_leaves_the_files_as_they_were(engine_of, event_of, parts, stage, error):
    """Whatever a plugin raises in whichever stage: the bytes are the old ones, and the incident says where and why."""
    parts.fail = {stage: error}
    engine = engine_of()
    before = shop(engine)
    incident = engine.heal(event_of(engine.context.project), deploy=True)
    assert incident.state in (State.UNFIXABLE, State.FAILED)
    assert shop(engine) == before
    reason = engine.context.ledger.reason(incident.id)
    assert {"analyze": "analyze", "patch": "patch"}.get(stage, stage) in reason
    assert "broken part" in reason or "SystemExit" in reason


def test_failing_second_step_undoes_the_first(engine_of, event_of, parts):
    """The chain is undone in reverse order, the failed step included, since it may have begun."""
    parts.fail = {"second": DeployError("the wire is cut")}
    engine = engine_of()
    incident = engine.heal(event_of(engine.context.project), deploy=True)
    assert parts.log[-2:] == ["undo second", "undo tree"]
    assert incident.state is State.FAILED
    assert engine.context.ledger.reason(incident.id) == "second: the wire is cut; everything was taken back"
    assert [step.state for step in engine.context.ledger.release(incident.id).steps] == ["undone", "undone"]


def test_rejected_candidate_is_not_deployed(engine_of, event_of, parts):
    """A veto ends in `unfixable`, with the veto's words, and nothing is written."""
    parts.outcome = Outcome.REJECTED
    engine = engine_of()
    incident = engine.heal(event_of(engine.context.project), deploy=True)
    assert incident.state is State.UNFIXABLE
    assert "rejected: judge: judged" in engine.context.ledger.reason(incident.id)
    assert "tree" not in parts.log


@pytest.mark.parametrize(
    ("settings", "effect", "state"),
    [
        (AUTO, Effect.CORRECT, State.OBSERVING),
        (AUTO, Effect.INVENT, State.AWAITING_APPROVAL),
        (AUTO.replace("auto", "propose"), Effect.CORRECT, State.AWAITING_APPROVAL),
        (AUTO.replace("auto", "observe"), Effect.CORRECT, State.VALIDATED),
        (AUTO + 'policy.effects = ["refuse"]\n', Effect.CORRECT, State.AWAITING_APPROVAL),
        (AUTO + 'policy.ask_paths = ["shop*"]\n', Effect.CORRECT, State.AWAITING_APPROVAL),
        (AUTO + "policy.max_per_hour = 0\n", Effect.CORRECT, State.AWAITING_APPROVAL),
    ],
)
def test_policy_decides(engine_of, event_of, parts, settings, effect, state):
    """Mode, effect, path and rate decide whether a patch goes live, waits for a person, or stays where it is."""
    parts.effect = effect
    engine = engine_of(settings)
    ledger = engine.context.ledger
    incident, _ = ledger.record(event_of(engine.context.project))
    seen = (State.OBSERVING, State.HEALED) if state is State.OBSERVING else (state,)
    engine._enqueue(incident)
    serve_until(engine, lambda: ledger.incident(incident.id).state in seen and not _owned(ledger, incident.id))
    assert (shop(engine) == FIXED) == (state is State.OBSERVING)


def _owned(ledger, identifier):
    """Whether someone still works on the incident (a claim refused)."""
    free = ledger.claims.take(identifier, "probe", lambda owner: True)
    if free:
        ledger.claims.let_go(identifier, "probe")
    return not free


def test_approval_deploys_and_rejection_does_not(engine_of, event_of):
    """A person's decision is carried out, and stands in the timeline under their name."""
    engine = engine_of(AUTO.replace("auto", "propose"))
    ledger, project = engine.context.ledger, engine.context.project
    first, _ = ledger.record(event_of(project))
    engine._heal_claimed(first.id)
    approved = engine.approve(first.id, "user:ann", "looks right")
    assert (shop(engine), approved.state) == (FIXED, State.OBSERVING)
    assert next(entry.actor for entry in approved.timeline if entry.state is State.DEPLOYING) == "user:ann"
    rolled = engine.rollback(first.id, "user:bob")
    assert (rolled.state, shop(engine) == FIXED) == (State.ROLLED_BACK, False)
    second, _ = ledger.record(event_of(project, fingerprint="a" * 16))
    engine._heal_claimed(second.id)
    assert engine.reject(second.id, "user:ann", "not like this").state is State.REJECTED
    assert ledger.reason(second.id) == "not like this"
    with pytest.raises(UsageError, match="is rejected: there is nothing to approve"):
        engine.approve(second.id, "user:ann")


def test_rollback_restores_the_bytes_and_latches(engine_of, event_of):
    """After a rollback the old bytes are there, and the same crash does not deploy the patch again."""
    engine = engine_of()
    ledger, project = engine.context.ledger, engine.context.project
    before = shop(engine)
    incident = engine.heal(event_of(project), deploy=True)
    engine.rollback(incident.id, "user:ann", "no")
    assert shop(engine) == before
    _, new = ledger.record(event_of(project, timestamp=time.time()))
    assert not new
    with pytest.raises(DeployError, match="nothing to roll back"):
        engine.rollback(incident.id, "user:ann")


def test_recurrence_after_release_rolls_back(engine_of, event_of):
    """A crash that comes back while the release is watched undoes it."""
    engine = engine_of(AUTO.replace("0.0", "60.0"))
    ledger = engine.context.ledger
    before = shop(engine)
    incident = engine.heal(event_of(engine.context.project), deploy=True)
    engine._recurred(incident, time.time() + 1)
    serve_until(engine, lambda: ledger.incident(incident.id).state is State.ROLLED_BACK)
    assert shop(engine) == before
    assert ledger.reason(incident.id) == "the crash came back after the release"


def test_late_report_of_an_old_crash_does_not_roll_back(engine_of, event_of):
    """A crash of before the release that is heard of afterwards is no harm of the release."""
    engine = engine_of(AUTO.replace("0.0", "0.5"))
    ledger = engine.context.ledger
    incident = engine.heal(event_of(engine.context.project), deploy=True)
    engine._recurred(incident, ledger.release(incident.id).live_at - 0.1)
    serve_until(engine, lambda: ledger.incident(incident.id).state.ended)
    assert ledger.incident(incident.id).state is State.HEALED


def test_half_done_release_is_taken_back_by_the_next_orchestrator(engine_of, event_of, parts):
    """After a kill between two steps the files are restored first, and then the incident is healed anew, once."""
    engine = engine_of()
    ledger, project = engine.context.ledger, engine.context.project
    incident = engine.heal(event_of(project), deploy=False)
    patch = ledger.patch(incident.id)
    release = ledger.releases.begin(incident.id, patch.id, ["tree", "second"])
    ledger.transition(incident.id, State.DEPLOYING)
    ledger.releases.intend(release, 0, "tree", {})
    patch.apply(project.root)
    parts.log.clear()
    serve_until(engine, lambda: ledger.incident(incident.id).state is State.HEALED)
    assert parts.log[0] == "undo tree"
    assert parts.log.count("tree") == 1
    assert shop(engine) == FIXED


def test_ledger_that_cannot_be_written_leaves_nothing_live(engine_of, event_of, parts, monkeypatch):
    """The disk is full in the middle of a release: what was done is undone at once, not only at the next start."""
    engine = engine_of()
    ledger, project = engine.context.ledger, engine.context.project
    before, full = shop(engine), OperationalError("insert", {}, Exception("database or disk is full"))

    def end_step(*_arguments):
        monkeypatch.setattr(ledger.releases, "end_step", refuse)
        monkeypatch.setattr(ledger, "transition", refuse)
        raise full

    def refuse(*_arguments):
        raise full

    monkeypatch.setattr(ledger.releases, "end_step", end_step)
    with pytest.raises(OperationalError):
        engine.heal(event_of(project), deploy=True)
    assert parts.log[-1] == "undo tree"
    assert shop(engine) == before
    monkeypatch.undo()
    serve_until(engine, lambda: [each.state for each in ledger.incidents()] == [State.HEALED])
    assert shop(engine) == FIXED


@pytest.mark.parametrize("begun", ["deployment", "rollback"])
def test_undo_that_was_not_complete_is_gone_on_with_at_the_next_start(engine_of, event_of, parts, begun):
    """What stood in its way, such as a full disk, may be gone. A rollback latches, as it would have."""
    engine = engine_of()
    ledger, project = engine.context.ledger, engine.context.project
    before = shop(engine)
    if begun == "deployment":
        parts.fail = {"second": DeployError("no"), "undo tree": DeployError("the disk is full")}
        incident = engine.heal(event_of(project), deploy=True)
    else:
        incident = engine.heal(event_of(project), deploy=True)
        parts.fail = {"undo tree": DeployError("the disk is full")}
        with pytest.raises(DeployError, match="the disk is full"):
            engine.rollback(incident.id, "user:ann")
    assert (ledger.incident(incident.id).state, shop(engine)) == (State.FAILED, FIXED)
    parts.fail = {}
    serve_until(engine, lambda: shop(engine) == before)
    ended = ledger.incident(incident.id)
    assert ended.state is (State.FAILED if begun == "deployment" else State.ROLLED_BACK)
    assert ledger.releases.half_undone() == []


@pytest.mark.parametrize("state", [State.OPEN, State.DIAGNOSED, State.PATCHED, State.VALIDATED])
def test_interrupted_incident_is_gone_on_with(engine_of, event_of, state):
    """An incident that a killed orchestrator was working on is healed by the next one."""
    engine = engine_of()
    ledger = engine.context.ledger
    incident, _ = ledger.record(event_of(engine.context.project))
    ledger.claims.take(incident.id, "999999999:1/1", lambda owner: True)
    ledger.transition(incident.id, state)
    serve_until(engine, lambda: ledger.incident(incident.id).state is State.HEALED)
    assert shop(engine) == FIXED


def test_second_orchestrator_is_refused(engine_of, make_project):
    """One project is served once; the refusal names the process that serves it."""
    engine = engine_of()
    second = Engine(engine.context.project, Plugins(engine.context.project), engine.context.ledger, lambda notice: None)
    with engine._serving() as alone:
        assert alone
        with pytest.raises(UsageError, match=r"another orchestrator \(process \d+\) serves"):
            second.serve(threading.Event())


def test_changed_file_is_patched_afresh(engine_of, event_of, parts):
    """When the file changes between patch and deployment, a new patch is made; the change is not overwritten."""
    engine = engine_of()
    file = engine.context.project.root / "shop.py"
    touched = []

    def edit_once(notice):
        if notice.stage == "validate" and notice.kind == "finished" and not touched:
            touched.append(True)
            file.write_bytes(b"# a person was here\n" + file.read_bytes())

    busy = Engine(engine.context.project, engine.context.plugins, engine.context.ledger, edit_once)
    incident = busy.heal(event_of(engine.context.project), deploy=True)
    assert parts.log.count("analyze") == 2
    assert incident.state is State.OBSERVING
    assert engine.context.ledger.patch(incident.id).edits[0].before.startswith(b"# a person was here")


def test_excluded_events_make_no_incident(make_project, context_of, event_of):
    """`exclude_modules` and `exclude_error_types` bind whatever collector an event comes by."""
    from homeostasis.stages.collect import LedgerSink

    for setting in (
        'exclude_modules = ["shop"]',
        'exclude_error_types = ["LookupError"]',
        'exclude_error_types = ["Key*"]',
    ):
        context = context_of(make_project(f"[tool.homeostasis.monitoring]\n{setting}\n"))
        opened = []
        LedgerSink(context, opened.append, lambda incident, seen: None).event(event_of(context.project))
        assert (opened, context.ledger.incidents()) == ([], [])


def test_unfixable_is_tried_again_when_the_code_changes(make_project, context_of, event_of, plugin_of):
    """The same crash in unchanged code is only counted; after an edit it is looked at again."""
    from homeostasis.stages.collect import LedgerSink

    context = context_of(make_project())
    opened = []
    sink = LedgerSink(context, opened.append, lambda incident, seen: None)
    sink.event(event_of(context.project))
    context.ledger.transition(opened[0].id, State.UNFIXABLE, "no rule")
    sink.event(event_of(context.project))
    assert len(opened) == 1
    (context.project.root / "shop.py").write_bytes(b"# changed\n")
    sink.event(event_of(context.project))
    assert [incident.state for incident in opened] == [State.OPEN, State.OPEN]


def test_ending_orchestrator_leaves_the_incident_to_the_next(engine_of, event_of, parts):
    """When told to stop during validation nothing is deployed, and the next orchestrator heals the incident."""
    engine = engine_of()
    ledger = engine.context.ledger
    incident, _ = ledger.record(event_of(engine.context.project))
    stop = threading.Event()

    def stop_in_sandbox(notice):
        if notice.stage == "sandbox" and notice.kind == "finished":
            stop.set()

    ending = Engine(engine.context.project, engine.context.plugins, ledger, stop_in_sandbox)
    ending._enqueue(incident)
    ending.serve(stop)
    assert ledger.incident(incident.id).state is State.PATCHED
    assert "tree" not in parts.log
    serve_until(engine, lambda: ledger.incident(incident.id).state is State.HEALED)
    assert shop(engine) == FIXED


def test_healing_that_a_full_disk_broke_off_goes_on_in_the_same_orchestrator(engine_of, event_of, monkeypatch, caplog):
    """Once there is room again nothing waits for a restart, and what happened meanwhile was logged, but not each time."""
    monkeypatch.setattr("homeostasis.engine.RESUME", 0.05)
    engine = engine_of()
    ledger, project = engine.context.ledger, engine.context.project
    before, full = shop(engine), OperationalError("insert", {}, Exception("database or disk is full"))
    refused, meanwhile = [], []

    def refuse(*arguments):
        refused.append(arguments)
        raise full

    def fill(*arguments):
        disk.setattr(ledger, "transition", refuse)
        refuse(*arguments)

    def healed():
        if len(refused) > 4 and not meanwhile:
            meanwhile.append((shop(engine), [each.state for each in ledger.incidents()]))
            disk.undo()
        return [each.state for each in ledger.incidents()] == [State.HEALED]

    with monkeypatch.context() as disk:
        disk.setattr(ledger.releases, "end_step", fill)
        disk.setattr(ledger.claims, "let_go", refuse)
        engine._enqueue(ledger.record(event_of(project))[0])
        serve_until(engine, healed)
    assert meanwhile == [(before, [State.DEPLOYING])]
    assert shop(engine) == FIXED
    assert [record.message for record in caplog.records].count(
        "the orchestrator goes on after an error of its own"
    ) == 1


def test_healing_that_goes_on_is_not_begun_twice(engine_of, event_of, monkeypatch):
    """It may take longer than the time between two looks at what was broken off."""
    monkeypatch.setattr("homeostasis.engine.RESUME", 0.02)
    tried, whole = [], threading.Event()
    real = heal

    def slow_after_an_error(context, incident):
        tried.append(incident.id)
        if len(tried) == 1:
            raise RuntimeError("no space left")
        whole.wait(0.5)
        return real(context, incident)

    monkeypatch.setattr("homeostasis.engine.heal", slow_after_an_error)
    engine = engine_of()
    ledger = engine.context.ledger
    engine._enqueue(ledger.record(event_of(engine.context.project))[0])
    serve_until(engine, lambda: [each.state for each in ledger.incidents()] == [State.HEALED])
    assert len(tried) == 2


def test_healing_that_breaks_off_again_and_again_is_given_up(engine_of, event_of, monkeypatch):
    """A defect of ours does not keep the orchestrator busy for ever."""
    monkeypatch.setattr("homeostasis.engine.RESUME", 0.02)
    tried = []

    def broken(_context, incident):
        tried.append(incident.id)
        raise RuntimeError("a defect")

    monkeypatch.setattr("homeostasis.engine.heal", broken)
    engine = engine_of()
    ledger = engine.context.ledger
    engine._enqueue(ledger.record(event_of(engine.context.project))[0])
    serve_until(engine, lambda: [each.state for each in ledger.incidents()] == [State.FAILED])
    assert 2 <= len(tried) <= 5
