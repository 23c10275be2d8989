"""`homeostasis sources`."""

from __future__ import annotations

import json
import time

import pytest

from homeostasis.ledger import Ledger


@pytest.fixture
def listening(make_project):
    """A project whose collector `spool` has heard something, and dropped something."""
    project = make_project('plugins = ["collect-logs"]\n[tool.homeostasis.collect-logs]\nfiles = ["*.log"]')
    with Ledger.open(project) as ledger:
        ledger.sources.add("spool", "spool", 1234, time.time() - 120)
        ledger.sources.drop("spool", "torn \x1b[31mline", 2)
    return project


def test_people_see_who_is_heard_and_who_is_silent(listening, run_cli):
    ended = run_cli("sources", "--project", listening.root)
    assert ended.status == 0
    lines = [line.split() for line in ended.out.splitlines()]
    assert ["spool", "spool", "2", "min", "1,234", "1,234", "0"] in lines
    assert ["collect-logs", "nothing", "heard", "yet"] in lines
    assert "dropped by spool: torn" in ended.out
    assert "\x1b" not in ended.out


def test_scripts_get_the_same(listening, run_cli):
    found = json.loads(run_cli("sources", "--project", listening.root, "--json").out)
    assert [(row["source"], row["last_hour"]) for row in found["sources"]] == [("spool", 1234)]
    assert "collect-logs" in found["silent"]
    assert found["dropped"][0]["count"] == 2
