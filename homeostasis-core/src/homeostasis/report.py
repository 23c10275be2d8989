"""The incident as JSON: the contract that scripts rely on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from homeostasis.models.incident import State

if TYPE_CHECKING:
    from homeostasis.ledger import Ledger
    from homeostasis.models import Incident, Patch, Release, Verdict


def incident_report(ledger: Ledger, incident: Incident) -> dict[str, Any]:
    """All that is known of an incident, as JSON values.

    Keys: id, fingerprint, service, exception_type, message, location, source, losses, count, first_seen, last_seen,
    state, reason, rule_id, diagnosis, patch, verdict, release, timeline. What does not exist yet is None. Times are
    seconds since the epoch.
    """
    patch, diagnosis = ledger.patch(incident.id), ledger.diagnosis(incident.id)
    raised, frame = incident.event.raised, incident.event.crash_frame
    location = None
    if frame is not None:
        location = {"path": frame.path, "line": frame.span.line, "function": frame.qualname or frame.function}
    return {
        "id": incident.id,
        "fingerprint": incident.fingerprint,
        "service": incident.service,
        "exception_type": raised.dotted,
        "message": raised.message,
        "location": location,
        "source": incident.event.source,
        "losses": list(incident.event.losses),
        "count": incident.count,
        "first_seen": incident.first_seen,
        "last_seen": incident.last_seen,
        "state": incident.state.value,
        "reason": ledger.reason(incident.id),
        "rule_id": patch.rule_id if patch else diagnosis.rule_id if diagnosis else None,
        "diagnosis": diagnosis.summary if diagnosis else None,
        "patch": _patch(patch),
        "verdict": _verdict(ledger.verdict(incident.id)),
        "release": _release(ledger.release(incident.id)),
        "timeline": [
            {"state": entry.state.value, "at": entry.at, "detail": entry.detail, "actor": entry.actor}
            for entry in incident.timeline
        ],
    }


def is_validated(incident: Incident) -> bool:
    """Whether a patch for the incident passed validation, deployed or not."""
    good = (State.VALIDATED, State.AWAITING_APPROVAL, State.DEPLOYING, State.OBSERVING, State.HEALED)
    return incident.state in good


def _patch(patch: Patch | None) -> dict[str, Any] | None:
    if patch is None:
        return None
    return {
        "id": patch.id,
        "effect": patch.effect.value,
        "risk": patch.risk.value,
        "summary": patch.summary,
        "files": [{"path": edit.path, "diff": edit.diff} for edit in patch.edits],
    }


def _verdict(verdict: Verdict | None) -> dict[str, Any] | None:
    if verdict is None:
        return None
    return {
        "outcome": verdict.outcome.value,
        "isolation": verdict.isolation,
        "checks": [
            {"name": c.name, "outcome": c.outcome.value, "seconds": round(c.seconds, 4), "detail": c.detail}
            for c in verdict.checks
        ],
    }


def _release(release: Release | None) -> dict[str, Any] | None:
    if release is None:
        return None
    return {
        "id": release.id,
        "deployers": [step.deployer for step in release.steps],
        "commit": release.fact("commit"),
        "state": release.state,
        "live_at": release.live_at,
        "steps": [{"deployer": s.deployer, "state": s.state, "summary": s.summary} for s in release.steps],
        "observation": release.observation,
    }
