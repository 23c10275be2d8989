"""Many crashes that happened again are counted as if one after the other."""

from __future__ import annotations

import pytest

from homeostasis.ledger import Ledger
from homeostasis.models import State


@pytest.fixture
def project(make_project):
    return make_project()


@pytest.fixture
def ledger(project):
    with Ledger.open(project) as ledger:
        yield ledger


def test_counts_times_and_states(ledger, project, event_of):
    """Of several incidents of one crash the one that is not healed counts; unknown crashes are left out."""
    first, _ = ledger.record(event_of(project, fingerprint="a" * 16))
    ledger.transition(first.id, State.HEALED, at=1500.0)
    again, _ = ledger.record(event_of(project, id="e2", fingerprint="a" * 16, timestamp=1600.0))
    other, _ = ledger.record(event_of(project, id="e3", fingerprint="b" * 16))
    found = ledger.recur({"a" * 16: (3, 1700.0), "b" * 16: (2, 900.0), "c" * 16: (1, 1.0)})
    assert found == {"a" * 16: (again.id, State.OPEN), "b" * 16: (other.id, State.OPEN)}
    counted = {incident.id: (incident.count, incident.last_seen) for incident in ledger.incidents()}
    assert counted == {first.id: (1, 1000.0), again.id: (4, 1700.0), other.id: (3, 1000.0)}


def test_more_than_one_query_holds(ledger, project, event_of):
    names = [f"{number:016}" for number in range(520)]
    with ledger.batch():
        for number, name in enumerate(names):
            ledger.record(event_of(project, id=f"e{number}", fingerprint=name))
    assert len(ledger.recur(dict.fromkeys(names, (1, 2000.0)))) == 520
    assert {incident.count for incident in ledger.incidents()} == {2}


def test_nothing_is_nothing(ledger):
    assert ledger.recur({}) == {}
