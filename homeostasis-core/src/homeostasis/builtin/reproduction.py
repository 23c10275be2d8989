"""Built-in validator `reproduction`: the crash happens on the base and no longer on the candidate."""

from __future__ import annotations

from homeostasis import hookimpl
from homeostasis.attempts import Attempt, Observed, attempts, observe_base
from homeostasis.models import Check, Effect, Event, Incident, Outcome, Patch, Trial
from homeostasis.project import Project
from homeostasis.recognition import brief, crashes
from homeostasis.replay import NotReplayed, compared

NAME = "reproduction"


@hookimpl
def homeostasis_validate(trial: Trial, base: Trial, incident: Incident, patch: Patch, project: Project) -> Check:
    """Take the first way in which the base crashes as recorded, and look at the candidate."""
    return compared(base, lambda: _compare(trial, base, incident, patch, project))


def _compare(trial: Trial, base: Trial, incident: Incident, patch: Patch, project: Project) -> Check:
    reasons = []
    for attempt in attempts(incident, project):
        try:
            before = observe_base(attempt, base, incident)
        except NotReplayed as reason:
            reasons.append(f"{attempt.name}: {reason}")
            continue
        if not crashes(before.events, incident.event):
            seen = ", ".join(brief(event) for event in before.events) or "no exception"
            reasons.append(f"{attempt.name}: the unpatched app showed {seen}")
            continue
        return _judge(attempt, trial, before, incident, patch)
    detail = "the crash could not be reproduced: " + (
        "; ".join(reasons) or "neither request, command nor call was recorded"
    )
    return Check(name=NAME, outcome=Outcome.INCONCLUSIVE, detail=detail, required=True)


def _judge(attempt: Attempt, trial: Trial, before: Observed, incident: Incident, patch: Patch) -> Check:
    try:
        after = attempt.observe(trial)
    except NotReplayed as reason:
        # The base gave an answer to the same question, so it is the patch that prevents one.
        return _verdict(Outcome.REJECTED, f"{attempt.name}: with the patch, {reason}")
    same = crashes(after.events, incident.event)
    known = {event.fingerprint for event in before.events}
    new = [event for event in after.events if event.fingerprint not in known and not _refuses(event, incident, patch)]
    if same:
        return _verdict(Outcome.REJECTED, f"{attempt.name}: the crash still happens: {brief(same[0])}")
    if new:
        return _verdict(Outcome.REJECTED, f"{attempt.name}: another exception is raised instead: {brief(new[0])}")
    complaint = _complaint(before, after, incident, patch)
    if complaint is not None:
        return _verdict(Outcome.REJECTED, f"{attempt.name}: the crash is gone, but {complaint}")
    return _verdict(Outcome.ACCEPTED, f"{attempt.name}: crashes without the patch, and not with it")


def _refuses(event: Event, incident: Incident, patch: Patch) -> bool:
    """Whether the candidate refuses its input, as it says, with an exception that its own line or handler raises."""
    if patch.effect is not Effect.REFUSE or incident.event.request is not None or not event.raised.frames:
        return False
    last = event.raised.frames[-1]
    path, line = last.path.replace("\\", "/"), last.source_line or ""
    handled = _handles(event, incident)
    return line.startswith("raise ") and any(
        path.endswith(f"/{edit.path}") and (handled or _lines(edit.after).count(line) > _lines(edit.before).count(line))
        for edit in patch.edits
    )


def _handles(event: Event, incident: Incident) -> bool:
    """Whether the crash still happens inside, and what escapes is raised by a handler that takes it now."""
    crash = incident.event.raised
    inner = [each for each in event.exceptions if each is not event.raised]
    return any((each.dotted, each.message) == (crash.dotted, crash.message) for each in inner)


def _lines(content: bytes | None) -> list[str]:
    return [line.strip() for line in (content or b"").decode("utf-8", "replace").splitlines()]


def _complaint(before: Observed, after: Observed, incident: Incident, patch: Patch) -> str | None:
    """What is still wrong with the candidate although nothing crashes."""
    if before.failures:  # a run of pytest: its status also tells of tests that failed for other reasons all the time
        same = {event.fingerprint for event in crashes(before.events, incident.event)}
        excused = {failure.test for failure in before.failures if failure.fingerprint not in same}
        failing = [failure.test for failure in after.failures if failure.test not in excused]
        return f"{', '.join(failing[:5])} fails" if failing else None
    refused = patch.effect is Effect.REFUSE and incident.event.request is None
    return None if refused else after.complaint  # a command that refuses its input ends with an error, and rightly


def _verdict(outcome: Outcome, detail: str) -> Check:
    return Check(name=NAME, outcome=outcome, detail=detail, required=True)
