"""What was begun and not ended is taken back or gone on with: at the start, and after an error of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable

from homeostasis.models import Incident, State
from homeostasis.stages.deploy import finish_taking_back, undo_steps

if TYPE_CHECKING:
    from homeostasis.stages.context import Context

MAX_TRIES = 3
"""How often a healing that an error of ours broke off is begun again."""
RESTING = (State.AWAITING_APPROVAL, State.OBSERVING)
"""States in which an incident waits for somebody else."""


class Recovery:
    """Looks after the incidents that nobody works on any more.

    Args:
        context: of the orchestrator that serves the project.
        enqueue: has an incident healed, in another thread.
    """

    def __init__(self, context: Context, enqueue: Callable[[Incident], None]) -> None:
        self._context = context
        self._enqueue = enqueue
        self._tries: dict[str, int] = {}
        self._waiting: dict[str, str] = {}

    def at_start(self) -> None:
        """Take back what a killed orchestrator left half done, and go on with what it was working on."""
        ledger = self._context.ledger
        for identifier in ledger.releases.half_undone():
            finish_taking_back(self._context, identifier)
        for identifier, _ in ledger.unfinished(*(each for each in State if each not in RESTING)):
            self._go_on(ledger.incident(identifier))

    def broke_off(self, identifier: str, owner: str) -> None:
        """An error of ours, such as a full disk, ended a healing; perhaps its `owner` could not even let go of it."""
        self._tries[identifier] = self._tries.get(identifier, 0) + 1
        self._waiting[identifier] = owner

    def ended(self, identifier: str) -> None:
        """A healing came to its end."""
        self._tries.pop(identifier, None)

    def resume(self) -> None:
        """Go on with what was broken off, as soon as the ledger can be written."""
        for identifier, owner in list(self._waiting.items()):
            self._context.ledger.claims.let_go(identifier, owner)
            del self._waiting[identifier]  # before it is begun again: that may break off at once
            try:
                self._go_on(self._context.ledger.incident(identifier))
            except Exception:  # such as a ledger that can no longer be written: the next look tries again
                self._waiting.setdefault(identifier, owner)
                raise

    def _go_on(self, incident: Incident) -> None:
        tries = self._tries.get(incident.id, 0)
        if incident.state.ended or incident.state in RESTING:
            self.ended(incident.id)
        elif incident.state is State.DEPLOYING:
            self._take_back(incident)
        elif tries <= MAX_TRIES:
            self._enqueue(incident)
        else:
            self._context.move(incident, State.FAILED, f"an error of the orchestrator broke it off {tries} times")
            self.ended(incident.id)

    def _take_back(self, incident: Incident) -> None:
        ledger = self._context.ledger
        release, patch = ledger.release(incident.id), ledger.patch(incident.id)
        problems = undo_steps(self._context, release, patch) if release and patch else []
        if release:
            ledger.releases.end(release.id, "failed", "the deployment was broken off")
        if problems:
            left = f"a half-done release could not be undone: {'; '.join(problems)}"
            self._context.move(incident, State.FAILED, left)
        else:
            self._go_on(self._context.move(incident, State.OPEN, "the deployment was broken off: again"))
