"""`pause`, `resume`, `retry`, `stats` and `audit` on the command line."""

from __future__ import annotations

import json
import os
import pwd
import sqlite3
from contextlib import closing

import pytest

from homeostasis.ledger import Ledger
from homeostasis.models import State

ME = f"user:{pwd.getpwuid(os.getuid()).pw_name}"


@pytest.fixture
def healed(healer, event_of, run_cli):
    """A project whose incident was deployed and taken back, by a person, through the command line."""
    with Ledger.open(healer) as ledger:
        incident, _ = ledger.record(event_of(healer))
    event = healer.state / "event.json"
    event.write_text(event_of(healer).model_dump_json())
    assert run_cli("heal", "--apply", "--event", str(event), "--project", str(healer.root)).status == 0
    assert run_cli("rollback", incident.id, "--reason", "no", "--project", str(healer.root)).status == 0
    return healer, incident.id


def test_pause_holds_an_approval_back(healer, event_of, run_cli):
    """The person who approves hears who paused and why; after `resume` the same command works."""
    at = ("--project", str(healer.root))
    event = healer.state / "event.json"
    event.write_text(event_of(healer).model_dump_json())
    assert run_cli("heal", "--event", str(event), *at).status == 0
    with Ledger.open(healer) as ledger:
        identifier = ledger.incidents()[0].id
    assert run_cli("pause", "--reason", "sale", *at).status == 0
    held = run_cli("approve", identifier, *at)
    assert held.status != 0
    assert f"paused ({ME}: sale)" in " ".join(held.err.split())
    assert json.loads(run_cli("resume", "--json", *at).out) == {"paused": False, "was_paused": True}
    assert run_cli("approve", identifier, *at).status == 0
    assert "were not paused" in run_cli("resume", *at).out


def test_retry_opens_an_ended_incident(healed, run_cli):
    """In the name of the user, and only if it has ended."""
    project, identifier = healed
    assert run_cli("retry", identifier, "--reason", "again", "--project", str(project.root)).status == 0
    with Ledger.open(project) as ledger:
        found = ledger.incident(identifier)
    assert (found.state, found.timeline[-1].actor, found.timeline[-1].detail) == (State.OPEN, ME, "again")
    again = run_cli("retry", identifier, "--project", str(project.root))
    assert (again.status, "nothing to try again" in again.err) == (2, True)


def test_stats_tell_what_became_of_it(healed, run_cli):
    """As text and as JSON; an empty project has statistics too."""
    project, _ = healed
    found = json.loads(run_cli("stats", "--json", "--project", str(project.root)).out)
    assert found["incidents"] == {"rolled_back": 1}
    assert found["releases"] == {"rolled_back": 1}
    assert found["heal_rate"] == 0
    assert found["rules"] == {"key-error": {"accepted": 1, "deployed": 1, "rolled_back": 1}}
    text = run_cli("stats", "--project", str(project.root)).out
    assert "1 rolled back" in text
    assert "key-error" in text


def test_stats_of_a_project_without_incidents(make_project, run_cli):
    """Nothing is divided by zero."""
    found = json.loads(run_cli("stats", "--json", "--project", str(make_project().root)).out)
    assert (found["heal_rate"], found["incidents"], found["seconds_to_live"]["median"]) == (None, {}, None)


def test_audit_shows_and_verifies(healed, run_cli):
    """`log` exports everything, `verify` ends with 1 if something is wrong."""
    project, identifier = healed
    at = ("--project", str(project.root))
    shown = run_cli("audit", "log", *at)
    assert (shown.status, f"{ME}" in shown.out, "release.begin" in shown.out) == (0, True, True)
    exported = json.loads(run_cli("audit", "log", "--incident", identifier, "--json", *at).out)
    assert {entry["incident_id"] for entry in exported} == {identifier}
    good = run_cli("audit", "verify", *at)
    assert (good.status, "unbroken" in good.out) == (0, True)
    with closing(sqlite3.connect(str(project.state / "ledger.db"))) as connection, connection:
        connection.execute("drop trigger audit_no_update")
        connection.execute("update audit set actor = 'user:eve' where id = 2")
    bad = run_cli("audit", "verify", "--json", *at)
    assert (bad.status, json.loads(bad.out)["ok"]) == (1, False)
