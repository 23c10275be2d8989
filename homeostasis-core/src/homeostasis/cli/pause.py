"""`homeostasis pause` and `homeostasis resume`: the kill switch."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from homeostasis.cli.decision import REASON
from homeostasis.cli.terminal import JSON, NO_COLOR, PROJECT, console, load_project, print_json


def pause(
    reason: str = REASON, project: Optional[Path] = PROJECT, as_json: bool = JSON, no_color: bool = NO_COLOR
) -> None:
    """Stop all deployments, also approved ones.

    Incidents are still diagnosed and patches validated; rollbacks still work. The same as making the file
    .homeostasis/paused.

    Example: homeostasis pause --reason "sale starts at noon"
    """
    from homeostasis.ledger import Ledger
    from homeostasis.oversight import pause as switch
    from homeostasis.oversight.identity import identify

    place = load_project(project)
    actor = identify(place.config.policy)
    switch.pause(place, actor, reason)
    with Ledger.open(place) as ledger:
        ledger.audit.note("pause", actor, reason=reason)
    if as_json:
        print_json({"paused": True, "reason": switch.paused(place)})
    else:
        console(no_color).print("deployments are paused; `homeostasis resume` allows them again")


def resume(
    reason: str = REASON, project: Optional[Path] = PROJECT, as_json: bool = JSON, no_color: bool = NO_COLOR
) -> None:
    """Allow deployments again.

    What was held back meanwhile waits for approval: `homeostasis incidents --state awaiting_approval`.

    Example: homeostasis resume
    """
    from homeostasis.ledger import Ledger
    from homeostasis.oversight import pause as switch
    from homeostasis.oversight.approval import refuse_stranger
    from homeostasis.oversight.identity import identify

    place = load_project(project)
    actor = identify(place.config.policy)
    refuse_stranger(place.config.policy, actor, "resume")
    was = switch.resume(place)
    if was:
        with Ledger.open(place) as ledger:
            ledger.audit.note("resume", actor, reason=reason)
    if as_json:
        print_json({"paused": False, "was_paused": was})
    else:
        console(no_color).print("deployments are allowed again" if was else "deployments were not paused")
