"""The observation: harm is undone, silence is no success, and success is what enough requests show."""

from __future__ import annotations

import time

import pytest

from homeostasis.models import Check, Diagnosis, Effect, FileEdit, Fix, Outcome, Patch, Request, Span, State, Verdict
from homeostasis.stages.deploy import deploy
from homeostasis.stages.observe import look, recurred

ROUTE = "/price"
AGO = 30.0
"""Seconds that the release is live already when a test begins."""


@pytest.fixture
def live(make_project, context_of, plugin_of, event_of):
    """A context with a release that went live a while ago, and its incident."""

    def homeostasis_deploy(patch, project, journal):
        journal.intend({})
        patch.apply(project.root)
        return "written"

    def homeostasis_undo(patch, project):
        patch.undo(project.root)

    def make(settings="", request=Request(path=ROUTE, route=ROUTE), count=1, span=0.0):
        project = make_project(f'deploy.chain = ["tree"]\nobserve.window = 10.0\n{settings}')
        tree = plugin_of(homeostasis_deploy=homeostasis_deploy, homeostasis_undo=homeostasis_undo)
        context = context_of(project, tree=tree)
        now = time.time()
        incident, _ = context.ledger.record(event_of(project, timestamp=now - 3000, request=request))
        if count > 1:
            context.ledger.recur({incident.fingerprint: (count - 1, now - 3000 + span)})
        before = (project.root / "shop.py").read_bytes()
        edit = FileEdit(path="shop.py", before=before, after=before.replace(b"[name]", b".get(name)"))
        patch = Patch(id="p1", rule_id="r", edits=(edit,), effect=Effect.CORRECT, summary="fix")
        fix = Fix(kind="template", id="t")
        diagnosis = Diagnosis(rule_id="r", path="shop.py", span=Span(line=1), summary="s", fix=fix)
        ledger = context.ledger
        ledger.set_diagnoses(incident.id, [diagnosis])
        ledger.add_candidates(incident.id, [patch], [diagnosis])
        verdict = Verdict.of("p1", (Check(name="c", outcome=Outcome.ACCEPTED, required=True),))
        ledger.set_verdict(incident.id, verdict)
        ledger.choose(incident.id, "p1")
        deploy(context, ledger.incident(incident.id), patch, verdict, approved_by="user:ann")
        release = ledger.release(incident.id)
        ledger.releases.end(release.id, "live", live_at=now - AGO)
        return context, ledger.incident(incident.id)

    return make


def traffic(context, before=(0, 0), after=(0, 0), slow=None, route=ROUTE):
    """Requests and errors before and after; `slow` gives the buckets of both."""
    now, service = time.time(), context.project.config.service
    buckets = slow or ((), ())
    for (requests, errors), at, counts in ((before, now - 600, buckets[0]), (after, now - 5, buckets[1])):
        if requests:
            context.ledger.heard.add_traffic(service, route, requests, errors, at, 1.0, counts)


def histogram(**counts):
    """Buckets with so many values in each: `b3=100`."""
    return [counts.get(f"b{number}", 0) for number in range(15)]


def is_patched(context):
    return b".get(name)" in (context.project.root / "shop.py").read_bytes()


def test_enough_good_requests_heal(live):
    """Half of the requests crashed before; six good ones are no accident."""
    context, incident = live()
    traffic(context, before=(2, 1), after=(6, 0))
    healed = look(context, incident)
    assert healed.state is State.HEALED
    assert "6 requests, 0 server errors" in context.ledger.reason(incident.id)
    assert context.ledger.track.of("r")["healed"] == 1


@pytest.mark.parametrize(
    ("before", "after"), [((1000, 1), (100, 0)), ((2, 1), (4, 0)), ((2, 1), (0, 0))], ids=["rare", "few", "none"]
)
def test_too_little_traffic_is_inconclusive(live, before, after):
    """People are told once, it is watched on, and more requests settle it."""
    context, incident = live()
    traffic(context, before=before, after=after)
    for _ in range(3):
        incident = look(context, incident)
        assert incident.state is State.OBSERVING
    told = [entry.detail for entry in incident.timeline if entry.detail.startswith("inconclusive")]
    assert len(told) == 1
    assert f"requests of {ROUTE} came" in told[0]
    traffic(context, after=(5000, 0))
    assert look(context, incident).state is State.HEALED


def test_window_is_waited_for(live):
    """Enough requests within the first second say nothing about the next minute."""
    context, incident = live()
    release = context.ledger.release(incident.id)
    context.ledger.releases.end(release.id, "live", live_at=time.time() - 5)
    traffic(context, before=(1, 1), after=(50, 0))
    assert look(context, incident).state is State.OBSERVING


def test_window_of_nothing_heals_at_once(live):
    """Who does not want to watch is not told that nothing was seen."""
    context, incident = live()
    object.__setattr__(context.project.config.observe, "window", 0.0)
    assert look(context, incident).state is State.HEALED


def test_app_that_counts_no_requests_is_judged_by_the_crash_alone(live):
    """Events may come from a log, which knows no traffic."""
    context, incident = live()
    assert look(context, incident).state is State.HEALED


@pytest.mark.parametrize(
    ("count", "span", "state"), [(2, 2000.0, State.OBSERVING), (500, 100.0, State.HEALED), (1, 0.0, State.HEALED)]
)
def test_crash_without_a_request_is_judged_by_its_rate(live, count, span, state):
    """What came twice in half an hour is not gone after half a minute; what came five times a second is."""
    context, incident = live(request=None, count=count, span=span)
    assert look(context, incident).state is state


def test_more_server_errors_are_harm(live):
    """On any route, if it is no accident; the bytes come back and the incident is latched."""
    context, incident = live()
    traffic(context, before=(1000, 1), after=(1000, 0))
    traffic(context, before=(1000, 2), after=(100, 20), route="/other")
    assert look(context, incident).state is State.ROLLED_BACK
    assert context.ledger.reason(incident.id) == "/other: 20 of 100 requests failed, before it were 2 of 1000"
    assert not is_patched(context)
    assert context.ledger.track.of("r")["rolled_back"] == 1


@pytest.mark.parametrize(
    ("before", "after"), [((1000, 2), (1000, 4)), ((10, 0), (10, 2)), ((1000, 100), (1000, 105)), ((0, 0), (10, 10))]
)
def test_accidents_are_no_harm(live, before, after):
    """Few errors more, or a route that nobody called before."""
    context, incident = live()
    traffic(context, before=before, after=after, route="/other")
    traffic(context, before=(1, 1), after=(50, 0))
    assert look(context, incident).state is State.HEALED


@pytest.mark.parametrize(
    ("slow", "state"),
    [
        ((histogram(b1=200), histogram(b6=200)), State.ROLLED_BACK),
        ((histogram(b1=200), histogram(b2=200)), State.HEALED),
        ((histogram(b1=20), histogram(b6=20)), State.HEALED),
        ((histogram(b1=200), histogram(b1=196, b9=4)), State.HEALED),
    ],
    ids=["slow", "a little", "few", "a tail"],
)
def test_slow_route_is_harm(live, slow, state):
    """By the 95th percentile, if there are enough durations to have one."""
    context, incident = live()
    traffic(context, before=(1, 1), after=(50, 0))
    traffic(context, before=(200, 0), after=(200, 0), slow=slow, route="/other")
    assert look(context, incident).state is state
    assert is_patched(context) is (state is State.HEALED)


def test_slowness_can_be_ignored(live):
    """`max_slowdown = 0`."""
    context, incident = live("observe.max_slowdown = 0.0\n")
    traffic(context, before=(1, 1), after=(50, 0))
    traffic(context, before=(200, 0), after=(200, 0), slow=(histogram(b1=200), histogram(b14=200)), route="/other")
    assert look(context, incident).state is State.HEALED


def crash(context, event_of, seconds_ago, qualname="price", path="shop.py"):
    """Another crash, seen for the first time so long ago."""
    event = event_of(context.project, timestamp=time.time() - seconds_ago, fingerprint="b" * 16)
    frame = event.crash_frame.model_copy(update={"qualname": qualname, "path": str(context.project.root / path)})
    raised = event.raised.model_copy(update={"type": "TypeError", "frames": (frame,)})
    context.ledger.record(event.model_copy(update={"exceptions": (raised,)}))


@pytest.mark.parametrize(
    ("where", "state"),
    [
        ({"seconds_ago": AGO - 5}, State.ROLLED_BACK),
        ({"seconds_ago": AGO + 5}, State.HEALED),
        ({"seconds_ago": AGO - 5, "qualname": "other"}, State.HEALED),
        ({"seconds_ago": AGO - 5, "path": "lib.py"}, State.HEALED),
    ],
    ids=["after", "before", "other function", "other file"],
)
def test_new_crash_in_the_changed_function_is_harm(live, event_of, where, state):
    """Elsewhere, or before, it is somebody else's."""
    context, incident = live()
    traffic(context, before=(1, 1), after=(50, 0))
    crash(context, event_of, **where)
    assert look(context, incident).state is state
    if state is State.ROLLED_BACK:
        assert context.ledger.reason(incident.id) == "a new crash in price, which the patch changed: TypeError"


def test_harm_is_only_told_if_rollback_is_off(live):
    """Once, in the timeline, where notifiers find it."""
    context, incident = live("observe.rollback = false\n")
    for _ in range(3):
        incident = recurred(context, incident, time.time())
    assert (incident.state, is_patched(context)) == (State.OBSERVING, True)
    told = [entry for entry in incident.timeline if entry.detail == "the crash came back after the release"]
    assert len(told) == 1


def test_crash_that_was_under_way_is_no_recurrence(live):
    """The request had begun in the old code."""
    context, incident = live()
    live_at = context.ledger.release(incident.id).live_at
    assert recurred(context, incident, live_at + 0.1).state is State.OBSERVING
    assert recurred(context, incident, time.time()).state is State.ROLLED_BACK


@pytest.mark.parametrize("step", [86400.0, -86400.0])
def test_clock_that_is_set_neither_ends_the_observation_nor_makes_it_endless(live, monkeypatch, step):
    """The window goes on by the new time: nothing is healed early, and a crash that comes is still harm."""
    context, incident = live()
    real = time.time
    context.ledger.releases.end(context.ledger.release(incident.id).id, "live", live_at=real())
    assert look(context, incident).state is State.OBSERVING
    monkeypatch.setattr(time, "time", lambda: real() + step)
    assert look(context, incident).state is State.OBSERVING
    assert context.ledger.release(incident.id).live_at == pytest.approx(real() + step, abs=5)
    assert recurred(context, incident, real() + step + 1).state is State.ROLLED_BACK


def test_release_from_the_future_is_watched_from_now_on(live):
    """The clock was set back while no orchestrator ran."""
    context, incident = live()
    context.ledger.releases.end(context.ledger.release(incident.id).id, "live", live_at=time.time() + 86400)
    assert look(context, incident).state is State.OBSERVING
    assert context.ledger.release(incident.id).live_at == pytest.approx(time.time(), abs=5)
    assert recurred(context, incident, time.time() + 1).state is State.ROLLED_BACK
