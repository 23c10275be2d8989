"""Whether a patch has been approved by as many people as the policy wants."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from homeostasis.errors import UsageError
from homeostasis.oversight.identity import may_decide

if TYPE_CHECKING:
    from homeostasis.config import PolicyTable
    from homeostasis.ledger import Ledger
    from homeostasis.models import Incident, Patch


def refuse_stranger(policy: PolicyTable, actor: str, decision: str) -> None:
    """Let only approvers approve and reject; anybody may take a release back.

    Raises:
        UsageError: `actor` is none of them.
    """
    if decision in ("approve", "reject", "retry") and not may_decide(policy, actor):
        raise UsageError(f"{actor} may not {decision}: policy.approvers are {', '.join(policy.approvers)}")


def approve(ledger: Ledger, incident: Incident, actor: str, reason: str) -> None:
    """Write down an approval of exactly the patch that the incident has now.

    Raises:
        UsageError: it has none.
    """
    patch = ledger.patch(incident.id)
    if patch is None:
        raise UsageError(f"incident {incident.id} has no patch to approve")
    ledger.approvals.add(incident.id, patch.full_digest, actor, reason)


def approvers_of(ledger: Ledger, policy: PolicyTable, incident: Incident, patch: Patch, actor: str) -> tuple[str, ...]:
    """Who has approved this very change, each once, the first to do so first.

    Raises:
        UsageError: `actor`, whose approval is being acted upon, approved another change.
    """
    since = time.time() - policy.approval_expiry
    given = ledger.approvals.of(incident.id, patch.full_digest, since)
    people = tuple(dict.fromkeys(approval.actor for approval in given if may_decide(policy, approval.actor)))
    if actor not in people:
        raise UsageError(
            f"the patch of {incident.id} has changed since {actor} approved it: look at it again and approve anew"
        )
    return people
