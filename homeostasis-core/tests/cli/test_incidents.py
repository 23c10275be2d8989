"""`incidents`, `show`, `approve`, `reject` and `rollback` on a ledger with incidents."""

from __future__ import annotations

import getpass
import json

import pytest

from homeostasis.ledger import Ledger
from homeostasis.models import (
    Breadcrumb,
    Check,
    Diagnosis,
    Effect,
    FileEdit,
    Fix,
    Outcome,
    Patch,
    Span,
    State,
    Verdict,
)

BEFORE = b'PRICES = {"tea": 3}\n\n\ndef price(name):\n    return PRICES[name]\n'
AFTER = BEFORE.replace(b"PRICES[name]", b"PRICES.get(name)")


@pytest.fixture
def awaiting(make_project, event_of):
    """A project with one incident that awaits approval; its patch is not deployed by anything but the test plugin."""
    project = make_project('plugins = ["tree"]\ndeploy.chain = ["tree"]')
    event = event_of(project, exceptions=(event_of(project).raised.model_copy(update={"message": "'\x1b[31mmilk'"}),))
    diagnosis = Diagnosis(
        rule_id="key-error",
        path="shop.py",
        span=Span(line=5),
        summary="the key may be missing",
        fix=Fix(kind="template", id="t"),
    )
    patch = Patch(
        id="p1",
        rule_id="key-error",
        edits=(FileEdit(path="shop.py", before=BEFORE, after=AFTER),),
        effect=Effect.CORRECT,
        summary="read the price with a default",
    )
    checks = (
        Check(name="reproduction", outcome=Outcome.ACCEPTED, detail="crashed before, answers now", required=True),
    )
    with Ledger.open(project) as ledger:
        incident, _ = ledger.record(event)
        ledger.set_diagnoses(incident.id, [diagnosis])
        ledger.add_candidates(incident.id, [patch], [diagnosis])
        ledger.set_verdict(incident.id, Verdict.of("p1", checks))
        ledger.choose(incident.id, "p1")
        ledger.transition(incident.id, State.AWAITING_APPROVAL, "mode is propose")
    return project, incident.id


@pytest.fixture
def tree(publish):
    """A deployer that writes the patch into the tree."""
    publish(
        "tree",
        """
        from homeostasis import hookimpl

        @hookimpl
        def homeostasis_deploy(patch, project, journal):
            journal.intend({})
            patch.apply(project.root)
            return "wrote the files"

        @hookimpl
        def homeostasis_undo(patch, project):
            patch.undo(project.root)
        """,
    )


def test_incidents_are_listed_and_filtered(run_cli, awaiting):
    """The list shows id, state and crash; --state filters; --json is the report of each."""
    project, identifier = awaiting
    done = run_cli("incidents", "--project", project.root)
    assert identifier in done.out
    assert "awaiting approval" in done.out
    assert "shop.py:5 in price" in done.out
    assert "\x1b" not in done.out
    [report] = json.loads(run_cli("incidents", "--json", "--project", project.root).out)
    assert (report["id"], report["state"]) == (identifier, "awaiting_approval")
    assert json.loads(run_cli("incidents", "--json", "--state", "healed", "--project", project.root).out) == []


def test_show_tells_what_the_source_could_not_tell(run_cli, make_project, event_of):
    """Where the event came from, what is missing, and what the app did before; the JSON has the first two as well."""
    project = make_project("")
    crumbs = (Breadcrumb(at=1.0, category="query", message="select 1"), Breadcrumb(message="\x1b[31mred"))
    event = event_of(project, source="sentry:event", losses=("no columns",), breadcrumbs=crumbs)
    with Ledger.open(project) as ledger:
        incident, _ = ledger.record(event)
    shown = run_cli("show", incident.id, "--project", project.root).out
    for part in ("event, from sentry:event", "missing: no columns", "query: select 1", "\\x1b[31mred"):
        assert part in shown
    told = json.loads(run_cli("show", incident.id, "--project", project.root, "--json").out)
    assert (told["source"], told["losses"]) == ("sentry:event", ["no columns"])


def test_show_tells_the_whole_story(run_cli, awaiting):
    """Diagnosis, diff, checks, timeline and the next command are shown; nothing of the app steers the terminal."""
    project, identifier = awaiting
    done = run_cli("show", identifier[:4], "--project", project.root)
    for part in (
        "the key may be missing",
        "+    return PRICES.get(name)",
        "accepted",
        "reproduction",
        "timeline",
        f"homeostasis approve {identifier}",
        "\\x1b[31mmilk",
    ):
        assert part in done.out
    assert "\x1b" not in done.out
    report = json.loads(run_cli("show", identifier, "--json", "--project", project.root).out)
    assert report["patch"]["files"][0]["path"] == "shop.py"
    assert report["verdict"]["outcome"] == "accepted"


def test_approve_deploys_and_rollback_restores(run_cli, awaiting, tree):
    """Approving writes the patch under the user's name; rolling back restores the bytes."""
    project, identifier = awaiting
    done = run_cli("approve", identifier, "--reason", "looks right", "--json", "--project", project.root)
    assert done.status == 0, done.err
    report = json.loads(done.out)
    assert report["state"] == "observing"
    assert any(entry["actor"] == f"user:{getpass.getuser()}" for entry in report["timeline"])
    assert (project.root / "shop.py").read_bytes() == AFTER
    done = run_cli("rollback", identifier, "--project", project.root)
    assert done.status == 0, done.err
    assert "rolled back" in done.out
    assert (project.root / "shop.py").read_bytes() == BEFORE


def test_reject_ends_the_incident(run_cli, awaiting, tree):
    """A rejected patch is not deployed, and cannot be approved afterwards."""
    project, identifier = awaiting
    done = run_cli("reject", identifier, "--reason", "the client is wrong", "--project", project.root)
    assert done.status == 0
    assert "the client is wrong" in done.out
    for word in ("approve", "rollback"):
        done = run_cli(word, identifier, "--project", project.root)
        assert done.status == 2
        assert "there is nothing to" in done.err
    assert (project.root / "shop.py").read_bytes() == BEFORE
