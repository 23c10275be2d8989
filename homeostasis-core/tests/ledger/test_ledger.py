"""The ledger: incidents and their states, what stages found, releases, and what collectors heard."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from homeostasis.errors import LedgerError, UsageError
from homeostasis.ledger import Ledger
from homeostasis.models import (
    Check,
    Diagnosis,
    Effect,
    FileEdit,
    Fix,
    Outcome,
    Patch,
    Request,
    Span,
    State,
    Verdict,
)


@pytest.fixture
def project(make_project):
    return make_project()


@pytest.fixture
def ledger(project):
    with Ledger.open(project) as opened:
        yield opened


def patch_of(identifier, rule="r"):
    edit = FileEdit(path="shop.py", before=b"\xff\x00", after=identifier.encode())
    return Patch(id=identifier, rule_id=rule, edits=(edit,), effect=Effect.CORRECT, summary=identifier)


def diagnosis_of(summary):
    return Diagnosis(rule_id="r", path="shop.py", span=Span(line=5), summary=summary, fix=Fix(kind="template", id="t"))


def test_events_of_one_fingerprint_are_one_incident(ledger, project, event_of):
    """A second event counts; its incident keeps the first event, and survives a new process."""
    incident, new = ledger.record(event_of(project))
    again, new_again = ledger.record(event_of(project, id="e2", timestamp=1005.0))
    ledger.recur({"f" * 16: (40, 1010.0)})
    assert (new, new_again, again.id) == (True, False, incident.id)
    with Ledger.open(project) as later:
        (found,) = later.incidents()
    assert (found.count, found.first_seen, found.last_seen, found.event.id) == (42, 1000.0, 1010.0, "e1")
    assert [entry.state for entry in found.timeline] == [State.OPEN]


def test_the_same_crash_after_healing_is_a_new_incident(ledger, project, event_of):
    """What comes back after it was healed is looked at afresh; what was under way before is only counted."""
    incident, _ = ledger.record(event_of(project))
    ledger.transition(incident.id, State.HEALED, at=2000.0)
    _, late = ledger.record(event_of(project, timestamp=1999.0))
    after, new = ledger.record(event_of(project, timestamp=2001.0))
    assert (late, new) == (False, True)
    assert after.id != incident.id


def test_crash_after_the_clock_was_set_back_is_not_lost_in_a_healed_incident(ledger, project, event_of):
    """It came after the healing, whatever the clock says; and it makes one incident, not one for each event."""
    now = time.time()
    healed, _ = ledger.record(event_of(project, timestamp=now + 86400))
    ledger.transition(healed.id, State.HEALED, at=now + 86500)
    found = [ledger.record(event_of(project, id=f"e{n}", timestamp=now + n)) for n in range(3)]
    assert [new for _, new in found] == [True, False, False]
    assert {incident.id for incident, _ in found} == {found[0][0].id} != {healed.id}
    ledger.recur({"f" * 16: (2, now + 3)})
    assert ledger.incident(found[0][0].id).count == 5


def test_unknown_recurrence_is_nobodys(ledger):
    """A counter for a crash that was never captured makes no incident."""
    assert ledger.recur({"0" * 16: (1, 1.0)}) == {}


def test_find_by_prefix(ledger, project, event_of):
    """A prefix names one incident, or the error says why not."""
    incident, _ = ledger.record(event_of(project))
    assert ledger.find(incident.id[:3]).id == incident.id
    for prefix in ("", "zzz", "%", "_"):
        with pytest.raises(UsageError, match="there is no incident"):
            ledger.find(prefix)


def test_chosen_patch_comes_with_its_diagnosis_and_verdict(ledger, project, event_of):
    """Before a choice the best candidate is shown, after it the chosen one, each with its own diagnosis."""
    incident, _ = ledger.record(event_of(project))
    ledger.set_diagnoses(incident.id, [diagnosis_of("first"), diagnosis_of("second")])
    assert ledger.diagnosis(incident.id).summary == "first"
    assert ledger.patch(incident.id) is None
    patches = [patch_of("one"), patch_of("two")]
    ledger.add_candidates(incident.id, patches, [diagnosis_of("first"), diagnosis_of("second")])
    assert ledger.patch(incident.id) == patches[0]
    checks = (Check(name="c", outcome=Outcome.ACCEPTED, required=True),)
    ledger.set_verdict(incident.id, Verdict.of("two", checks))
    ledger.set_verdict(incident.id, Verdict(patch_id="one", outcome=Outcome.REJECTED))
    ledger.choose(incident.id, "two")
    assert ledger.patch(incident.id) == patches[1]
    assert ledger.diagnosis(incident.id).summary == "second"
    assert ledger.verdict(incident.id).outcome is Outcome.ACCEPTED
    assert ledger.track.of("r") == {"accepted": 1, "rejected": 1}


def test_only_one_of_many_claims_an_incident(ledger, project, event_of):
    """Of 16 threads that claim at once exactly one gets the incident; a dead owner's claim is taken over."""
    incident, _ = ledger.record(event_of(project))
    got = []

    def claim(name):
        got.append(ledger.claims.take(incident.id, name, lambda owner: True))

    threads = [threading.Thread(target=claim, args=(f"p{number}",)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got.count(True) == 1
    assert ledger.claims.take(incident.id, "heir", lambda owner: False)
    ledger.claims.let_go(incident.id, "somebody else")
    assert not ledger.claims.take(incident.id, "next", lambda owner: True)
    ledger.claims.let_go(incident.id, "heir")
    assert ledger.claims.take(incident.id, "next", lambda owner: True)


def test_release_is_written_step_by_step(ledger, project, event_of):
    """Intent, end and facts of each step are there for whoever comes after."""
    incident, _ = ledger.record(event_of(project))
    book = ledger.releases
    release = book.begin(incident.id, "p", ["working-tree", "git-branch"])
    book.intend(release, 0, "working-tree", {"hash": "x"})
    book.end_step(release, 0, "done", "written", {"commit": "abc"})
    book.intend(release, 1, "git-branch", {})
    found = ledger.release(incident.id)
    assert [(step.deployer, step.state) for step in found.steps] == [
        ("working-tree", "done"),
        ("git-branch", "intended"),
    ]
    assert (found.state, found.fact("commit"), found.steps[0].undo) == ("deploying", "abc", {"hash": "x"})
    book.end(release, "live", live_at=5.0)
    assert (ledger.release(incident.id).state, book.since(0.0), book.positions_of(release)) == ("live", 1, [0, 1])


def test_decisions_wait_until_carried_out(ledger, project, event_of):
    """A decision is open until its outcome is written; an empty outcome means done."""
    incident, _ = ledger.record(event_of(project))
    number = ledger.decisions.leave(incident.id, "approve", "user:ann", "fine")
    (row,) = ledger.decisions.open()
    assert (row.decision, row.actor, ledger.decisions.outcome_of(number)) == ("approve", "user:ann", None)
    ledger.decisions.carried_out(number, "")
    assert (ledger.decisions.open(), ledger.decisions.outcome_of(number)) == ([], "")


def test_samples_are_capped_per_route_and_traffic_adds_up(ledger):
    """A busy route does not crowd out the others; traffic adds up."""
    heard = ledger.heard
    for number in range(9):
        heard.keep_sample("shop", Request(path=f"/a/{number}", route="/a/{n}", body=b"\xff"))
    heard.keep_sample("shop", Request(path="/b", route="/b"))
    assert len(heard.samples("shop")) == 6
    assert heard.samples("shop")[0].body == b"\xff"
    heard.add_traffic("shop", "/a", 10, 1, at=120.0)
    heard.add_traffic("shop", "/a", 5, 0, at=130.0)
    assert heard.traffic_since("shop", 120.0) == (15, 1)
    assert heard.traffic_since("shop", 120.5) == (5, 0)


def test_durations_by_route_and_time(ledger):
    """The histograms of seconds, processes and routes add up; a quantile tells how long a share of them took."""
    heard, busy, slow = ledger.heard, [0] * 15, [0] * 15
    busy[0], busy[1], slow[14] = 90, 10, 2
    heard.add_traffic("shop", "/a", 100, 3, 120.0, 0.5, busy)
    heard.add_traffic("shop", "/a", 100, 0, 200.0, 0.25, busy)
    heard.add_traffic("shop", "/b", 2, 0, 130.0, 30.0, slow)
    heard.add_traffic("shop", "/plain", 7, 1, 130.0)
    heard.add_traffic("other", "/a", 1, 0, 130.0, 1.0, busy)
    found = heard.traffic_between("shop", 120.0, 300.0)
    assert {route: one[:3] for route, one in found.items()} == {
        "/a": (200, 3, 0.75),
        "/b": (2, 0, 30.0),
        "/plain": (7, 1, 0.0),
    }
    assert found["/a"].buckets == (180, 20, *[0] * 13)
    assert found["/a"].quantile(0.95) == pytest.approx(0.0075)
    assert found["/a"].quantile(0.5) == pytest.approx(0.005 * 100 / 180)
    assert (found["/b"].quantile(0.95), found["/plain"].quantile(0.95)) == (10.0, None)
    assert heard.traffic_between("shop", 180.0, 240.0)["/a"].requests == 100
    assert heard.traffic_between("shop", 240.0, 300.0) == {}
    with pytest.raises(ValueError, match="3 buckets"):
        heard.add_traffic("shop", "/a", 1, 0, 130.0, 1.0, [1, 0, 0])


def test_old_traffic_is_forgotten(ledger):
    """What is days old, and of a clock that was wrong, does not pile up."""
    heard, now = ledger.heard, time.time()
    for at in (now - 1e6, now + 1e6, now - 3600):
        heard.add_traffic("shop", "/a", 1, 0, at, 0.1, [1] + [0] * 14)
    assert heard.traffic_between("shop", 0, now + 2e6)["/a"].requests == 3
    heard._pruned_at -= 1e4
    heard.add_traffic("shop", "/a", 1, 0, now, 0.1, [1] + [0] * 14)
    (left,) = heard.traffic_between("shop", 0, now + 2e6).values()
    assert (left.requests, left.buckets[0]) == (2, 2)


def test_seconds_become_minutes_after_an_hour(ledger):
    """Nothing is lost, and what is recent stays as fine as it was."""
    heard, now = ledger.heard, time.time()
    hours_ago = (int(now) - 3 * 3600) // 60 * 60
    for second in range(0, 120, 7):
        heard.add_traffic("shop", "/a", 1, 1, hours_ago + second, 0.1, [1] + [0] * 14)
        heard.add_traffic("shop", "/a", 1, 0, now - second, 0.1, [0, 1] + [0] * 13)
    before = heard.traffic_between("shop", 0, now + 1)
    for _ in range(2):
        heard._pruned_at -= 1e4
        heard.add_traffic("shop", "/b", 1, 0, now)
        after = heard.traffic_between("shop", 0, now + 1)
        assert after["/a"] == (*before["/a"][:2], pytest.approx(before["/a"].seconds), before["/a"].buckets)
    assert heard.traffic_between("shop", hours_ago, hours_ago + 60)["/a"].requests == 9
    assert heard.traffic_between("shop", hours_ago + 1, hours_ago + 60) == {}
    assert heard.traffic_since("shop", now - 8) == (4, 0)


def test_a_ledger_of_an_earlier_version_gets_the_tables_that_it_lacks(project):
    """Its traffic stays, and durations are kept from now on."""
    path = f"sqlite:///{project.root / 'old.db'}"
    with Ledger(path) as ledger:
        ledger.heard.add_traffic("shop", "/a", 5, 0, time.time())
        with ledger._engine.begin() as connection:
            connection.exec_driver_sql("DROP TABLE durations")
    with Ledger(path) as ledger:
        ledger.heard.add_traffic("shop", "/a", 1, 0, time.time(), 0.1, [1] + [0] * 14)
        assert ledger.heard.traffic_between("shop", 0, time.time() + 60)["/a"].requests == 6


def test_batch_is_kept_whole_or_not_at_all(project, ledger, event_of):
    """Its own thread sees what is in it; others see it at the end, or never."""

    def interrupted():
        with ledger.batch():
            ledger.record(event_of(project))
            ledger.heard.advance("spool", 7)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (ledger.count(), ledger.heard.position("spool"), ledger.audit.verify().length) == (0, 0, 0)
    with ledger.batch(), ledger.batch():
        incident, _ = ledger.record(event_of(project))
        ledger.heard.advance("spool", 7)
        assert ledger.incident(incident.id).count == 1
        with ThreadPoolExecutor(1) as other:
            assert other.submit(ledger.count).result() == 0
    assert (ledger.count(), ledger.heard.position("spool")) == (1, 7)


def test_file_that_is_no_ledger_is_refused(project):
    """A ledger file with other content is an error that names it, and is left as it is."""
    path = project.state / "ledger.db"
    path.write_bytes(b"this is not a database, but it is long enough to look like one" * 20)
    with pytest.raises(LedgerError, match=r"ledger\.db cannot be used"):
        Ledger.open(project)
    assert path.read_bytes().startswith(b"this is not")
