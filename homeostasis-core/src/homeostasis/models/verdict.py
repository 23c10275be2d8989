"""`Verdict`: whether a candidate may be deployed, with every check that led to it."""

from __future__ import annotations

from enum import Enum

from pydantic import Field

from homeostasis.models.base import Model


class Outcome(str, Enum):
    """What a check, or all of them together, say."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    INCONCLUSIVE = "inconclusive"


class Check(Model):
    """What one validator found. `rejected` is a veto; `inconclusive` claims nothing."""

    name: str
    outcome: Outcome
    seconds: float = Field(default=0.0, description="Filled in by the stage if the validator leaves it at 0.")
    detail: str = Field(default="", description="What was seen, for a person.")
    plugin: str = Field(default="", description="Filled in by the stage.")
    required: bool = Field(default=False, description="An inconclusive result makes the verdict inconclusive.")


class Verdict(Model):
    """All checks of one candidate. Accepted: no veto, and every required check was accepted."""

    patch_id: str
    outcome: Outcome
    checks: tuple[Check, ...] = ()
    isolation: str = ""

    @classmethod
    def of(cls, patch_id: str, checks: tuple[Check, ...], isolation: str = "") -> Verdict:
        """The verdict that follows from the checks; without any required check it is inconclusive."""
        required = [check.outcome for check in checks if check.required]
        if any(check.outcome is Outcome.REJECTED for check in checks):
            outcome = Outcome.REJECTED
        elif required and all(found is Outcome.ACCEPTED for found in required):
            outcome = Outcome.ACCEPTED
        else:
            outcome = Outcome.INCONCLUSIVE
        return cls(patch_id=patch_id, outcome=outcome, checks=checks, isolation=isolation)

    @property
    def reason(self) -> str:
        """The checks that decided, in a sentence."""
        mine = [check for check in self.checks if check.outcome is self.outcome]
        decisive = [check for check in mine if check.required or self.outcome is Outcome.REJECTED]
        return "; ".join(f"{check.name}: {check.detail}" for check in decisive) or "no required check gave a result"
