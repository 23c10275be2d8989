"""Built-in validator `healthy-traffic`: recorded healthy requests are answered as before."""

from __future__ import annotations

import json
import re
from typing import Any, Iterator

from homeostasis import hookimpl
from homeostasis.models import Check, Incident, Outcome, Patch, Request, Trial
from homeostasis.project import Project
from homeostasis.replay import Answer, Answers, NotReplayed, compared, healthy_requests, replay_requests

NAME = "healthy-traffic"
HEADERS = ("content-type", "location", "allow", "www-authenticate", "cache-control", "content-disposition", "vary")
"""Headers that clients act upon. Others, such as dates and cookies, change by themselves."""
BASE_RUNS = 3
"""Runs of the base from which volatile parts, such as times and ids, are learnt when something differs."""


@hookimpl
def homeostasis_validate(trial: Trial, base: Trial, incident: Incident, patch: Patch, project: Project) -> Check:  # noqa: ARG001
    """Compare the answers to the healthy requests, leaving out what differs between runs of the base itself."""
    return compared(base, lambda: _compare(trial, base, incident, project))


def _compare(trial: Trial, base: Trial, incident: Incident, project: Project) -> Check:
    requests = healthy_requests(trial, incident)
    if not requests:
        return _check(Outcome.INCONCLUSIVE, "no healthy request was recorded that may be sent again")
    try:
        runs = [replay_requests(base, incident, project).started()]
        after = replay_requests(trial, incident, project).started()
        differing = _differing(runs, after, base, trial)
        while differing and len(runs) < BASE_RUNS:
            # A run of the base after the candidate's also shows what merely changes with time.
            runs.append(replay_requests(base, incident, project, attempt=len(runs)).started())
            differing = _differing(runs, after, base, trial)
    except NotReplayed as reason:
        return _check(Outcome.INCONCLUSIVE, str(reason))
    if differing:
        first = dict(reversed(differing))  # one part of each answer tells enough
        shown = "; ".join(
            _sentence(requests[index], part, runs, after, index) for index, part in sorted(first.items())[:3]
        )
        return _check(Outcome.REJECTED, f"{len(first)} of {len(requests)} answers changed: {shown}")
    return _check(Outcome.ACCEPTED, f"{len(requests)} recorded requests are answered as before")


def _check(outcome: Outcome, detail: str) -> Check:
    return Check(name=NAME, outcome=outcome, detail=detail)


def _differing(runs: list[Answers], after: Answers, base: Trial, trial: Trial) -> list[tuple[int, str]]:
    """Index of the request and name of the part, for each stable part that changed."""
    found = []
    for index, answer in enumerate(after.healthy):
        before = [dict(_parts(run.healthy[index], str(base.root))) for run in runs]
        now = dict(_parts(answer, str(trial.root)))
        for part in {**before[0], **now}:
            values = {run.get(part) for run in before}
            if len(values) == 1 and now.get(part) not in values and not _within_volatile(part, before):
                found.append((index, part))
    return found


def _within_volatile(part: str, before: list[Any]) -> bool:
    """Whether the part belongs to a body that comes in different shapes, so that positions mean nothing."""
    return (
        part.startswith("body") and len({tuple(name for name in run if name.startswith("body")) for run in before}) > 1
    )


def _parts(answer: Answer, root: str) -> Iterator[tuple[str, str]]:
    """The parts of an answer that are compared, each under a name."""
    yield "status", str(answer.status)
    for name, value in answer.headers:
        if name.lower() in HEADERS:
            yield f"header {name.lower()}", value.replace(root, "<root>")
    text = answer.body.decode("utf-8", "replace").replace(root, "<root>")
    try:
        yield from _json_parts("body", json.loads(text))
    except (ValueError, RecursionError):
        # A word is as small as an id or a time can be told from what surrounds it.
        yield from ((f"body word {number}", word) for number, word in enumerate(re.split(r"(\W+)", text)))


def _json_parts(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key in sorted(value):
            yield from _json_parts(f"{name}.{key}", value[key])
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from _json_parts(f"{name}[{index}]", item)
    else:
        yield name, json.dumps(value, sort_keys=True)


def _sentence(request: Request, part: str, runs: list[Answers], after: Answers, index: int) -> str:
    if part == "status":
        change = f"status {runs[0].healthy[index].status} became {after.healthy[index].status}"
    else:
        change = f"its {part} changed"
    return f"{request.method} {request.path}: {change}"
