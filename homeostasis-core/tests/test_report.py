"""The incident JSON: the contract that others script against."""

from __future__ import annotations

import json

from homeostasis.models import (
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
from homeostasis.report import incident_report, is_validated


def test_report_has_the_documented_keys(context_of, make_project, event_of):
    """Before anything is known the keys are there and empty; afterwards they hold what the stages found."""
    context = context_of(make_project('service = "shop"\n'))
    ledger = context.ledger
    incident, _ = ledger.record(event_of(context.project))
    report = incident_report(ledger, incident)
    assert list(report) == [
        "id",
        "fingerprint",
        "service",
        "exception_type",
        "message",
        "location",
        "source",
        "losses",
        "count",
        "first_seen",
        "last_seen",
        "state",
        "reason",
        "rule_id",
        "diagnosis",
        "patch",
        "verdict",
        "release",
        "timeline",
    ]
    assert (report["patch"], report["verdict"], report["release"], report["rule_id"]) == (None,) * 4
    assert report["location"]["line"] == 5
    assert report["location"]["function"] == "price"

    edit = FileEdit(path="shop.py", before=b"a\n", after=b"b\n")
    patch = Patch(id="p", rule_id="r", edits=(edit,), effect=Effect.CORRECT, summary="do it")
    diagnosis = Diagnosis(
        rule_id="r", path="shop.py", span=Span(line=5), summary="why", fix=Fix(kind="template", id="t")
    )
    ledger.set_diagnoses(incident.id, [diagnosis])
    ledger.add_candidates(incident.id, [patch], [diagnosis])
    ledger.set_verdict(
        incident.id, Verdict.of("p", (Check(name="c", outcome=Outcome.ACCEPTED, required=True),), "rlimits")
    )
    ledger.choose(incident.id, "p")
    release = ledger.releases.begin(incident.id, "p", ["tree"])
    ledger.releases.intend(release, 0, "tree", {})
    ledger.releases.end_step(release, 0, "done", "written", {"commit": "abc"})
    incident = ledger.transition(incident.id, State.OBSERVING)
    report = json.loads(json.dumps(incident_report(ledger, incident)))
    assert report["patch"] == {
        "id": "p",
        "effect": "correct",
        "risk": "low",
        "summary": "do it",
        "files": [{"path": "shop.py", "diff": "--- a/shop.py\n+++ b/shop.py\n@@ -1 +1 @@\n-a\n+b\n"}],
    }
    assert report["verdict"]["checks"] == [{"name": "c", "outcome": "accepted", "seconds": 0.0, "detail": ""}]
    assert (report["release"]["commit"], report["release"]["deployers"]) == ("abc", ["tree"])
    assert [entry["state"] for entry in report["timeline"]] == ["open", "observing"]
    assert is_validated(incident)
