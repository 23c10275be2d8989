"""The audit trail: what is in it, and that tampering is found."""

from __future__ import annotations

import re
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
import sqlalchemy as sa

from homeostasis.ledger import Ledger
from homeostasis.ledger.audit import BEGINNING
from homeostasis.models import State


@pytest.fixture
def project(make_project):
    return make_project()


@pytest.fixture
def ledger(project, event_of):
    """A ledger with one incident that went through a release."""
    with Ledger.open(project) as opened:
        incident, _ = opened.record(event_of(project))
        opened.transition(incident.id, State.DEPLOYING, "tree", "user:ann")
        release = opened.releases.begin(incident.id, "p1", ["tree"], ["shop.py"])
        opened.releases.intend(release, 0, "tree", {"n": 1})
        opened.releases.end_step(release, 0, "done", "written", {"commit": "abc"})
        opened.releases.end(release, "live", live_at=1.0)
        opened.audit.note("pause", "user:bob", reason="sale")
        yield opened


def tamper(project, *statements):
    """What somebody with the file can do: drop what protects the table, then change it."""
    with closing(sqlite3.connect(str(project.state / "ledger.db"))) as connection, connection:
        connection.execute("drop trigger if exists audit_no_update")
        connection.execute("drop trigger if exists audit_no_delete")
        for statement in statements:
            connection.execute(statement)


def test_every_side_effect_is_in_the_trail(ledger):
    """In order, with who and what."""
    assert [(entry.actor, entry.action) for entry in ledger.audit.entries()] == [
        ("homeostasis", "state"),
        ("user:ann", "state"),
        ("homeostasis", "release.begin"),
        ("homeostasis", "step.intended"),
        ("homeostasis", "step.done"),
        ("homeostasis", "release.end"),
        ("user:bob", "pause"),
    ]
    done = next(entry for entry in ledger.audit.entries() if entry.action == "step.done")
    assert done.detail["facts"] == {"commit": "abc"}


def test_untouched_trail_is_unbroken(ledger):
    """And goes on from the head that was noted before."""
    before = ledger.audit.verify()
    assert (before.length, before.problems) == (7, ())
    ledger.audit.note("resume", "user:bob")
    after = ledger.audit.verify(before.head)
    assert (after.length, after.problems) == (8, ())


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ("update audit set actor = 'user:eve' where id = 2", "entry 2 .* does not follow"),
        ("update audit set detail = '{}' where id = 5", "entry 5 .* does not follow"),
        ("update audit set at = at + 1 where id = 3", "entry 3 .* does not follow"),
        ("delete from audit where id = 4", "entry 4 is missing"),
        ("delete from audit where id = 7", "ends after 6 entries, but 7 were written"),
        ("insert into audit select 8, at, actor, action, incident_id, detail, hash from audit where id = 1", "entry 8"),
        ("update audit_head set hash = 'x'", "ends after"),
        ("update transitions set actor = 'user:eve' where id = 2", "timeline of incident .* does not agree"),
        ("delete from transitions where id = 1", "timeline of incident .* does not agree"),
        ("update transitions set detail = 'nothing happened'", "timeline of incident .* does not agree"),
    ],
)
def test_tampering_is_found(ledger, project, statement, complaint):
    """Changed, removed, added, cut off; and timelines that say something else."""
    tamper(project, statement)
    problems = ledger.audit.verify().problems
    assert problems
    assert any(re.search(complaint, problem) for problem in problems), problems


def test_rewritten_trail_is_found_by_its_old_head(ledger, project, tmp_path):
    """Who rewrites the whole chain cannot keep the hash that somebody noted."""
    noted = ledger.audit.verify().head
    tamper(project, "delete from audit where id = 7")
    with ledger.connect() as connection:
        last = connection.execute(sa.text("select hash from audit where id = 6")).scalar()
    tamper(project, f"update audit_head set length = 6, hash = '{last}'")
    assert ledger.audit.verify().problems == ()
    assert "no part of the trail" in ledger.audit.verify(noted).problems[0]


def test_trail_is_append_only(ledger, project):
    """A mistaken statement is refused by the database itself."""
    with closing(sqlite3.connect(str(project.state / "ledger.db"))) as connection, connection:
        for statement in ("update audit set actor = 'x'", "delete from audit"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(statement)


def test_threads_and_processes_make_one_chain(project):
    """Nobody's entry is lost, and none follows the same one as another."""

    def write(name):
        with Ledger.open(project) as own:
            for number in range(25):
                own.audit.note("note", name, number=number)

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(write, f"user:{n}") for n in range(4)]:
            done.result()
    with Ledger.open(project) as ledger:
        found = ledger.audit.verify()
        assert (found.length, found.problems) == (100, ())


def test_empty_trail_is_unbroken(project):
    """A new project has nothing to hide."""
    with Ledger.open(project) as ledger:
        assert ledger.audit.verify(BEGINNING) == (0, BEGINNING, ())
