"""`Notification`: something about an incident that people may want to hear of."""

from __future__ import annotations

from pydantic import Field

from homeostasis.models.base import Model
from homeostasis.models.incident import State


class Notification(Model):
    """What a notifier gets. All texts may hold what the app's users sent: treat them as text, never as markup."""

    id: int = Field(description="Number of the entry in the timeline; the same one may come twice.")
    incident_id: str
    service: str
    state: State = Field(description="What the incident has become.")
    reason: str = Field(default="", description="Why, in a sentence.")
    actor: str = "homeostasis"
    at: float = Field(description="Seconds since the epoch, UTC.")
    crash: str = Field(description="The exception in a line: `KeyError: 'sku'`.")
    place: str = Field(default="", description="Where it crashed: `shop/cart.py:12 in Cart.total`.")
    patch: str = Field(default="", description="What the patch does, in a sentence; empty if there is none.")
    effect: str = Field(default="", description="The patch's effect, such as `refuse`.")
    diff: str = Field(default="", description="Unified diff of the patch.")

    @property
    def title(self) -> str:
        """A line that tells most: `shop: awaiting approval: KeyError: 'sku'`."""
        return f"{self.service}: {self.state.value.replace('_', ' ')}: {self.crash}"

    @property
    def next_step(self) -> str:
        """The command that a person would use now; empty if nothing is to be done."""
        steps = {
            State.AWAITING_APPROVAL: f"homeostasis approve {self.incident_id}",
            State.OBSERVING: f"homeostasis rollback {self.incident_id}",
            State.FAILED: f"homeostasis show {self.incident_id}",
            State.UNFIXABLE: f"homeostasis show {self.incident_id}",
        }
        return steps.get(self.state, "")
