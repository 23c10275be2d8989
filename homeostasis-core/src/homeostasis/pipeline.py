"""Healing an incident: six stages, one direction. The first, `stages.collect`, has happened when `heal` is called."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from homeostasis.errors import HomeostasisError
from homeostasis.models import Incident, State
from homeostasis.source import SourceTree
from homeostasis.stages.analyze import analyze
from homeostasis.stages.context import Ended, Interrupted, Outdated
from homeostasis.stages.deploy import deploy
from homeostasis.stages.patch import patch
from homeostasis.stages.sandbox import sandbox
from homeostasis.stages.validate import validate

if TYPE_CHECKING:
    from homeostasis.stages.context import Context

LOG = logging.getLogger("homeostasis.pipeline")
TRIES = 3
"""How often an incident is worked on afresh because its files changed meanwhile."""


def heal(context: Context, incident: Incident, *, apply: bool | None = None) -> Incident:
    """Take a collected incident through the other five stages, to wherever it gets; a stage that fails does not raise.

    Args:
        context: the project with its plugins and ledger.
        incident: an incident in state `open`, or one that was interrupted.
        apply: None lets the policy decide; False stops at the verdict; True deploys what was accepted.

    Returns:
        The incident as the ledger now has it. A stage that fails leaves app and files as they were; the incident
        says at which stage and why.
    """
    try:
        for _ in range(TRIES):
            try:
                return _heal(context, incident, apply=apply)
            except Outdated as change:
                context.tell("note", incident, "deploy", f"{change}: starting afresh")
        raise Ended(State.FAILED, f"the files changed {TRIES} times while patches were being made")
    except Interrupted:
        return context.ledger.incident(incident.id)
    except Ended as end:
        return context.move(incident, end.state, end.reason)
    except HomeostasisError as error:
        return context.move(incident, State.FAILED, f"{_stage(context, incident)}: {error}")
    except Exception as error:
        LOG.exception("healing %s failed", incident.id)
        return context.move(incident, State.FAILED, f"{_stage(context, incident)}: {type(error).__name__}: {error}")


def _heal(context: Context, incident: Incident, *, apply: bool | None) -> Incident:
    source = SourceTree(context.project)
    incident = incident.model_copy(
        update={"event": source.relocated(incident.event), "healthy": context.ledger.heard.samples(incident.service)}
    )
    diagnoses = analyze(context, incident, source)
    candidates = patch(context, incident, source, diagnoses)
    with ThreadPoolExecutor(1, "close") as closing:  # trials are taken away while the patch is deployed
        with sandbox(context, incident, closing) as trials:
            chosen, verdict = validate(context, incident, candidates, trials)
        if apply is not False:
            deploy(context, incident, chosen, verdict, approved_by="homeostasis heal --apply" if apply else None)
    return context.ledger.incident(incident.id)


def _stage(context: Context, incident: Incident) -> str:
    reached = context.ledger.incident(incident.id).state
    following = {State.OPEN: "analyze", State.DIAGNOSED: "patch", State.PATCHED: "sandbox", State.VALIDATED: "deploy"}
    return following.get(reached, reached.value)
