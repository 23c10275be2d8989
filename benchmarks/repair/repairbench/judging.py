"""What a repair is worth: *plausible* and *correct*, from the outcomes of probes."""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple

from repairbench.cases import Case

MALFORMED = (400, 422)
"""Status codes that say the same: the request is malformed. Frameworks differ in which one they use."""


class Judgement(NamedTuple):
    """Whether a repair holds."""

    plausible: bool
    correct: bool
    spoilt: str | None
    """The first probe that speaks against it, for cases that may be shown."""


def judge(case: Case, expected: Mapping[str, Any], found: Mapping[str, Any], crash: Mapping[str, Any]) -> Judgement:
    """Judge a repaired project.

    Args:
        case: the case.
        expected: outcome of each probe on the reference.
        found: outcome of each probe on the repaired code.
        crash: outcome of the trigger on the unrepaired code.
    """
    trigger = found[case.trigger]
    gone = agrees(expected[case.trigger], trigger) or not (is_crash(trigger) or trigger == crash)
    unhealthy = [probe for probe in case.healthy if not agrees(expected[probe], found[probe])]
    wrong = [probe for probe in (case.trigger, *case.held) if not agrees(expected[probe], found[probe])]
    plausible = gone and not unhealthy
    spoilt = None if gone else case.trigger
    return Judgement(plausible, plausible and not wrong, spoilt or next(iter([*unhealthy, *wrong]), None))


def is_crash(outcome: Mapping[str, Any]) -> bool:
    """Whether an outcome is an uncaught exception, a server error, or no answer at all."""
    return "raises" in outcome or outcome.get("status", 0) >= 500 or "timeout" in outcome or "died" in outcome


def agrees(expected: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Whether an outcome is the expected one.

    A value must have the same representation, an exception the same type. Of an answer the status must be the same, and
    below 400 the body too: how an error is worded is left to the repairer, and 400 and 422 say the same.
    """
    if "status_in" in expected:
        return found.get("status") in expected["status_in"]
    if "status" not in expected:
        return dict(expected) == dict(found)
    status = expected["status"]
    if status in MALFORMED:
        return found.get("status") in MALFORMED
    if found.get("status") != status:
        return False
    return status >= 400 or found.get("body") == expected["body"]
