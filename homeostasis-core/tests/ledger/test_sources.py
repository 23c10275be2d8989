"""What was heard from where."""

from __future__ import annotations

import time

import pytest

from homeostasis.ledger import Ledger
from homeostasis.ledger.sources import MAX_SOURCES, OTHERS


@pytest.fixture
def sources(tmp_path):
    with Ledger(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        yield ledger.sources


def test_records_add_up_by_source_and_by_time(sources):
    now = 6_000_000.0
    for at, records in ((now - 7200, 5), (now - 1800, 7), (now - 30, 11)):
        sources.add("collect-logs", "app.log", records, at)
    sources.add("collect-sentry", "sentry", 1, now)
    app, sentry = sources.all(now)
    assert (app["records"], app["first_at"], app["last_at"]) == (23, now - 7200, now - 30)
    assert (app["last_hour"], app["last_minute"]) == (18, 11)
    assert (sentry["collector"], sentry["last_minute"]) == ("collect-sentry", 1)


def test_drops_are_told_by_collector(sources):
    sources.drop("spool", "torn", 2)
    sources.drop("spool", "torn", 1)
    sources.drop("collect-logs", "torn", 1)
    assert [(row["collector"], row["count"]) for row in sources.dropped()] == [("spool", 3), ("collect-logs", 1)]
    assert time.time() - sources.dropped()[0]["last_at"] < 60


def test_a_sender_cannot_fill_the_ledger_with_names(sources, monkeypatch):
    monkeypatch.setattr("homeostasis.ledger.sources.MAX_SOURCES", 3)
    assert MAX_SOURCES > 3
    for number in range(9):
        sources.add("collect-otlp", f"host-{number}", 1, 100.0)
    sources.add("collect-otlp", "host-0", 1, 100.0)
    assert {row["source"]: row["records"] for row in sources.all(100.0)} == {
        "host-0": 2, "host-1": 1, "host-2": 1, OTHERS: 6
    }  # fmt: skip
