"""Carries out what people decided: approvals, rejections, rollbacks and further tries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable

from homeostasis.errors import HomeostasisError, UsageError
from homeostasis.ledger import track
from homeostasis.models import Incident, State
from homeostasis.oversight.approval import approvers_of
from homeostasis.stages.context import Ended, Outdated
from homeostasis.stages.deploy import deploy, roll_back

if TYPE_CHECKING:
    from homeostasis.stages.context import Context

UNDECIDED = (State.AWAITING_APPROVAL, State.VALIDATED)
"""States in which a patch can be approved or rejected."""


class Decider:
    """Works on the decisions that the ledger holds, in the process that serves the project.

    Args:
        context: the project with its ledger.
        enqueue: has an incident healed that is open again.
    """

    def __init__(self, context: Context, enqueue: Callable[[Incident], None]) -> None:
        self._context, self._enqueue = context, enqueue

    def carry_out(self) -> None:
        """Carry out all open decisions, and write down what became of each."""
        decisions = self._context.ledger.decisions
        for row in decisions.open():
            outcome = ""
            try:
                incident = self._context.ledger.incident(row.incident_id)
                if not (row.decision == "rollback" and _rolled_back_since(incident, row.at)):
                    self._carry_out(incident, row.decision, row.actor, row.reason)
            except (HomeostasisError, Ended) as problem:
                outcome = str(problem) or type(problem).__name__
            decisions.carried_out(row.id, outcome)

    def _carry_out(self, incident: Incident, decision: str, actor: str, reason: str) -> None:
        if decision == "rollback":
            roll_back(self._context, incident, reason or "asked for by a person", actor)
        elif decision == "retry":
            self._retry(incident, actor, reason)
        elif incident.state not in UNDECIDED:
            raise UsageError(f"incident {incident.id} is {incident.state.value}: there is nothing to {decision}")
        elif decision == "reject":
            self._count(incident, track.REFUSED)
            self._context.move(incident, State.REJECTED, reason or "rejected by a person", actor)
        else:
            self._approved(incident, actor)

    def _retry(self, incident: Incident, actor: str, reason: str) -> None:
        if not incident.state.ended or incident.state is State.HEALED:
            raise UsageError(f"incident {incident.id} is {incident.state.value}: there is nothing to try again")
        self._enqueue(self._context.move(incident, State.OPEN, reason or "to be tried again", actor))

    def _approved(self, incident: Incident, actor: str) -> None:
        """Deploy what enough people approved; else write down who did so far."""
        context, policy = self._context, self._context.project.config.policy
        patch, verdict = context.ledger.patch(incident.id), context.ledger.verdict(incident.id)
        if patch is None or verdict is None:
            raise UsageError(f"incident {incident.id} has no validated patch")
        people = approvers_of(context.ledger, policy, incident, patch, actor)
        if len(people) < policy.approvals:
            count = f"approved by {', '.join(people)}: {len(people)} of {policy.approvals}"
            context.move(incident, State.AWAITING_APPROVAL, count, actor)
            return
        self._count(incident, track.APPROVED)
        try:
            deploy(context, incident, patch, verdict, approved_by=", ".join(people))
        except Outdated as change:
            again = context.move(incident, State.OPEN, f"{change}: a new patch is made, and asked about again", actor)
            self._enqueue(again)
            raise UsageError(f"{change}: a new patch is being made; approve that one") from change
        except Ended as end:
            context.move(incident, end.state, end.reason)
            raise

    def _count(self, incident: Incident, what: str) -> None:
        patch = self._context.ledger.patch(incident.id)
        if patch is not None:
            self._context.ledger.track.add(patch.rule_id, what)


def _rolled_back_since(incident: Incident, moment: float) -> bool:
    """Whether somebody else's decision, or one that was interrupted, has done it meanwhile."""
    last = incident.timeline[-1]
    return last.state is State.ROLLED_BACK and last.at >= moment
