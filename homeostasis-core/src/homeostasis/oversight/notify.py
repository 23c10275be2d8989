"""Tells the notifiers what happened to incidents: each of them everything, in order, also after a restart.

The timeline is the queue. A notifier that fails is tried again, then passed over; the others are not held up.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from homeostasis.models import Notification, State

if TYPE_CHECKING:
    from pathlib import Path

    from homeostasis.hookspecs import Stop
    from homeostasis.ledger import Ledger
    from homeostasis.ledger.timeline import Noted
    from homeostasis.models import Incident
    from homeostasis.stages.context import Context

LOG = logging.getLogger("homeostasis.notify")
TOLD = (
    State.AWAITING_APPROVAL,
    State.OBSERVING,
    State.HEALED,
    State.UNFIXABLE,
    State.REJECTED,
    State.ROLLED_BACK,
    State.FAILED,
)
"""The states that notifiers hear of; each picks from these by its own settings."""
TRIES = 5
LONGEST_DIFF = 20_000
_POLL = 0.5


class Notifier:
    """Delivers to one notifying plugin."""

    def __init__(self, context: Context, plugin: str) -> None:
        self._context, self._plugin = context, plugin
        self._failed = 0
        self._again_at = 0.0

    @property
    def _source(self) -> str:
        return f"notify:{self._plugin}"

    def run(self, stop: Stop) -> None:
        """Deliver until `stop` is set; what is left then is delivered by the next orchestrator."""
        heard = self._context.ledger.heard
        if not heard.position(self._source):
            # A notifier that is new hears of what happens from now on.
            heard.advance(self._source, max(1, self._context.ledger.timeline.last()))
        while not stop.wait(_POLL):
            try:
                self.deliver(stop)
            except Exception:
                LOG.exception("notifications of %s go on after an error of our own", self._plugin)

    def deliver(self, stop: Stop) -> None:
        """Deliver what there is, up to the first failure that is worth another try."""
        ledger = self._context.ledger
        if time.monotonic() < self._again_at:
            return
        for noted in ledger.timeline.after(ledger.heard.position(self._source), TOLD):
            if stop.is_set():
                return
            if not self._told(noted):
                return
            self._failed = 0
            ledger.heard.advance(self._source, noted.id)

    def _told(self, noted: Noted) -> bool:
        """Whether the notifier has heard of it, or is not to be bothered with it again."""
        problem = self._context.plugins.notify(self._plugin, notification(self._context.ledger, noted, self._root))
        if problem is None:
            return True
        self._failed += 1
        if self._failed >= TRIES:
            text = f"{self._plugin} could not tell about {noted.incident_id} ({noted.state.value}): {problem}"
            LOG.error("%s", text)
            self._context.tell("note", None, "notify", text)
            return True
        self._again_at = time.monotonic() + 2.0**self._failed
        return False

    @property
    def _root(self) -> Path:
        return self._context.project.root


def notification(ledger: Ledger, noted: Noted, root: Path) -> Notification:
    """An entry of a timeline, with what a person needs to make sense of it."""
    incident, patch = ledger.incident(noted.incident_id), ledger.patch(noted.incident_id)
    raised = incident.event.raised
    return Notification(
        id=noted.id,
        incident_id=incident.id,
        service=incident.service,
        state=noted.state,
        reason=noted.detail,
        actor=noted.actor,
        at=noted.at,
        crash=f"{raised.dotted}: {raised.message}" if raised.message else raised.dotted,
        place=_place(incident, root),
        patch=patch.summary if patch else "",
        effect=patch.effect.value if patch else "",
        diff=patch.diff[:LONGEST_DIFF] if patch else "",
    )


def _place(incident: Incident, root: Path) -> str:
    frame = incident.event.crash_frame
    if frame is None:
        return ""
    path = frame.path
    if path.startswith(f"{root}/"):
        path = path[len(str(root)) + 1 :]
    return f"{path}:{frame.span.line} in {frame.qualname or frame.function}"
