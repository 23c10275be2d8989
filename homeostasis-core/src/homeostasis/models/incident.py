"""`Incident`: all events of one fingerprint, and how far the healing of them has come."""

from __future__ import annotations

from enum import Enum

from pydantic import Field

from homeostasis.models.base import Model
from homeostasis.models.event import Event, Request


class State(str, Enum):
    """How far an incident has come. The last five are ends."""

    OPEN = "open"
    DIAGNOSED = "diagnosed"
    PATCHED = "patched"
    VALIDATED = "validated"
    AWAITING_APPROVAL = "awaiting_approval"
    DEPLOYING = "deploying"
    OBSERVING = "observing"
    HEALED = "healed"
    UNFIXABLE = "unfixable"
    REJECTED = "rejected"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """Whether nothing more happens to the incident by itself."""
        return self in _ENDS


_ENDS = frozenset((State.HEALED, State.UNFIXABLE, State.REJECTED, State.ROLLED_BACK, State.FAILED))


class Transition(Model):
    """One entry of an incident's timeline."""

    state: State
    at: float = Field(description="Seconds since the epoch, UTC.")
    detail: str = Field(default="", description="Why, in a sentence.")
    actor: str = Field(default="homeostasis", description="Who: `homeostasis`, or `user:NAME`.")


class Incident(Model):
    """What the analyze stage gets."""

    id: str
    fingerprint: str
    service: str
    event: Event = Field(description="The representative event.")
    count: int = 1
    first_seen: float
    last_seen: float
    state: State = State.OPEN
    timeline: tuple[Transition, ...] = ()
    healthy: tuple[Request, ...] = Field(default=(), description="Recorded requests that were answered well.")
