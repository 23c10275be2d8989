"""After the release: is it better than before? Harm is undone, and silence is not taken for success.

Harm is the crash itself, a new crash in a function that the patch changed, more server errors on a route, or a route
that has become slow. Without harm a release counts as healed once enough requests came for the crash to have shown.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from homeostasis.comparison import requests_needed, seconds_needed, worse
from homeostasis.errors import DeployError
from homeostasis.ledger import track
from homeostasis.models import Incident, Patch, Release, State
from homeostasis.stages.deploy import roll_back
from homeostasis.touched import lies_in, touched_functions

if TYPE_CHECKING:
    from homeostasis.stages.context import Context

IN_FLIGHT = 0.25
"""Seconds after going live in which a crash is blamed on requests that were under way in the old code."""
SETTLED = 1.25
"""Seconds after going live from which on what is told about a route is about the new code: apps tell once a second."""
BEFORE = 3600.0
"""Seconds before the release that it is compared with."""
INCONCLUSIVE = "inconclusive"
CLOCK_STEP = 2.0
"""Seconds that the clock must be put forward or back at once to count as having been set."""
MAX_CLOCKS = 1000
"""Releases whose last look is remembered."""

_clocks: dict[str, float] = {}  # by release: the clock less the time that really passes, at the last look
_clocks_lock = threading.Lock()


class Watched(NamedTuple):
    """A release with what it belongs to; `live_at` is in seconds since the epoch."""

    incident: Incident
    release: Release
    patch: Patch
    live_at: float


def recurred(context: Context, incident: Incident, last_seen: float) -> Incident:
    """A crash of a known incident happened again at `last_seen`; a watched release is rolled back."""
    watched = _watched(context, incident) if incident.state is State.OBSERVING else None
    if watched is None or last_seen <= watched.live_at + IN_FLIGHT:
        return incident
    return _harmful(context, incident, "the crash came back after the release")


def look(context: Context, incident: Incident) -> Incident:
    """Undo a release that does harm; end the observation of one that has shown itself to do good."""
    watched = _watched(context, incident)
    if watched is None:
        return context.move(incident, State.FAILED, "the release is not in the ledger")
    now, window = time.time(), context.project.config.observe.window
    if window > 0:
        harm = _harm(context, watched, now)
        if harm is not None:
            return _harmful(context, incident, harm)
    if now < watched.live_at + window:
        return incident
    missing = _missing(context, watched, now) if window > 0 else None
    return _healed(context, watched, now) if missing is None else _inconclusive(context, incident, missing)


def _watched(context: Context, incident: Incident) -> Watched | None:
    release, patch = context.ledger.release(incident.id), context.ledger.patch(incident.id)
    if release is None or release.live_at is None or patch is None:
        return None
    return Watched(incident, release, patch, _by_this_clock(context, incident, release.id, release.live_at))


def _by_this_clock(context: Context, incident: Incident, release_id: str, live_at: float) -> float:
    """When the release went live. A clock that is set is followed: the window is neither skipped nor endless."""
    now = time.time()
    with _clocks_lock:
        clock = now - time.monotonic()
        if len(_clocks) >= MAX_CLOCKS:
            _clocks.clear()
        before, _clocks[release_id] = _clocks.get(release_id), clock
    step = min(0.0, now - live_at) if before is None else clock - before
    if abs(step) <= CLOCK_STEP:
        return live_at
    context.ledger.releases.follow_clock(release_id, live_at + step)
    context.tell(
        "note", incident, "observe", f"the clock was set by {step:+.0f} s: the release is watched by the new time"
    )
    return live_at + step


def _harmful(context: Context, incident: Incident, harm: str) -> Incident:
    if not context.project.config.observe.rollback:
        if context.ledger.reason(incident.id) != harm:
            incident = context.move(incident, State.OBSERVING, harm)
            context.tell("note", incident, "observe", f"{harm}; observe.rollback is off")
        return incident
    try:
        return roll_back(context, incident, harm)
    except DeployError as error:
        context.tell("failed", incident, "observe", str(error))
        return context.ledger.incident(incident.id)


def _healed(context: Context, watched: Watched, now: float) -> Incident:
    requests, errors = context.ledger.heard.traffic_since(watched.incident.service, watched.live_at)
    seen = f"{requests} requests, {errors} server errors" if requests else "no request was counted"
    observation = f"no recurrence in {now - watched.live_at:.0f} s ({seen})"
    with context.ledger.batch():
        context.ledger.releases.end(watched.release.id, "live", observation)
        context.ledger.track.add(watched.patch.rule_id, track.HEALED)
        healed = context.move(watched.incident, State.HEALED, observation)
    context.tell("finished", healed, "observe", observation, context.ledger.release(healed.id))
    return healed


def _inconclusive(context: Context, incident: Incident, missing: str) -> Incident:
    """Tell people once that it cannot be told yet, and go on watching."""
    if context.ledger.reason(incident.id).startswith(INCONCLUSIVE):
        return incident
    told = f"{INCONCLUSIVE}: {missing}; it is watched on"
    context.tell("note", incident, "observe", told)
    return context.move(incident, State.OBSERVING, told)


# --- harm


def _harm(context: Context, watched: Watched, now: float) -> str | None:
    """What the release has done, in a sentence; None if nothing is to be seen."""
    crash = _new_crash(context, watched)
    if crash is not None:
        return crash
    service, heard = watched.incident.service, context.ledger.heard
    after = heard.traffic_between(service, watched.live_at + SETTLED, now + 1)
    if not after:
        return None
    before = heard.traffic_between(service, watched.live_at - BEFORE, watched.live_at)
    both = [(route, before[route], after[route]) for route in after if route in before]
    settings = context.project.config.observe
    for route, then, since in both:
        # The more routes are looked at, the more often one looks bad by accident.
        found = worse(then, since, settings.significance / len(both), settings.max_slowdown, "before it were")
        if found is not None:
            return f"{route}: {found}"
    return None


def _new_crash(context: Context, watched: Watched) -> str | None:
    """A crash that was never seen before the release, in a function that the patch changed."""
    opened = context.ledger.opened_since(watched.live_at + IN_FLIGHT)
    touched = touched_functions(watched.patch) if opened else frozenset()
    for other in opened:
        frame = other.event.crash_frame
        if other.id == watched.incident.id or frame is None or not lies_in(frame, str(context.project.root), touched):
            continue
        function, crash = frame.qualname or frame.function, other.event.raised.dotted
        return f"a new crash in {function}, which the patch changed: {crash}"
    return None


# --- success


def _missing(context: Context, watched: Watched, now: float) -> str | None:
    """What must still be seen before silence says something; None if nothing."""
    doubt, incident = context.project.config.observe.doubt, watched.incident
    request = incident.event.request
    if request is None:
        seconds = seconds_needed(incident.count, incident.last_seen - incident.first_seen, doubt)
        left = watched.live_at + seconds - now
        return None if left <= 0 else f"the crash is so rare that nothing is known before {left:.0f} s more have passed"
    route, heard = request.route or request.path, context.ledger.heard
    before = heard.traffic_between(incident.service, watched.live_at - BEFORE, watched.live_at + SETTLED).get(route)
    if before is None:  # whoever told of the crash counts no requests
        return None
    after = heard.traffic_between(incident.service, watched.live_at + SETTLED, now + 1).get(route)
    seen = after.requests if after else 0
    needed = requests_needed(min(incident.count, max(before.errors, 1)), before.requests, doubt)
    if seen >= needed:
        return None
    return f"{seen} of the {needed} requests of {route} came that would show whether the crash is gone"
