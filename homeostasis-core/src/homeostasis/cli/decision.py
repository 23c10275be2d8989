"""What `approve`, `reject`, `rollback` and `retry` have in common: a person decides, and hears what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Optional

import typer

from homeostasis.cli.terminal import console, load_project, print_json
from homeostasis.errors import UsageError

if TYPE_CHECKING:
    from homeostasis.ledger import Ledger
    from homeostasis.models import Incident

REASON = typer.Option("", "--reason", metavar="TEXT", help="Why, for the timeline.")


def decide(decision: str, prefix: str, project: Optional[Path], reason: str, as_json: bool, no_color: bool) -> None:
    """Carry out a decision in the name of whoever runs the command.

    Args:
        decision: `approve`, `reject`, `rollback` or `retry`: a method of the engine.
        prefix: the beginning of the incident's id.
        project: the app's root, as given on the command line.
        reason: for the timeline.
        as_json: print the incident as JSON.
        no_color: print without colours.

    Raises:
        UsageError: no such incident, or it is not in a state to decide about.
        DeployError: it was decided, but could not be carried out.
    """
    from homeostasis.cli.render import StageLines
    from homeostasis.engine import Engine
    from homeostasis.ledger import Ledger
    from homeostasis.oversight.identity import identify
    from homeostasis.plugins import load_plugins
    from homeostasis.report import incident_report

    place = load_project(project)
    actor = identify(place.config.policy)
    plugins = load_plugins(place)
    with Ledger.open(place) as ledger:
        lines = StageLines(console(no_color, stderr=as_json), ledger, place.root, details=False)
        found = ledger.find(prefix)
        _refuse_needless(ledger, found, decision)
        after = getattr(Engine(place, plugins, ledger, lines), decision)(found.id, actor, reason)
        if as_json:
            print_json(incident_report(ledger, after))
        else:
            lines.ending(after, ledger.reason(after.id))


def _refuse_needless(ledger: Ledger, incident: Incident, decision: str) -> None:
    from homeostasis.models import State

    release = ledger.release(incident.id)
    if decision == "rollback":
        if release is None or release.state == "rolled_back":
            raise UsageError(f"incident {incident.id} has no live release: there is nothing to roll back")
    elif decision == "retry":
        if not incident.state.ended or incident.state is State.HEALED:
            raise UsageError(f"incident {incident.id} is {incident.state.value}: there is nothing to try again")
    elif incident.state not in (State.AWAITING_APPROVAL, State.VALIDATED):
        raise UsageError(f"incident {incident.id} is {incident.state.value}: there is nothing to {decision}")
