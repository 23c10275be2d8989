"""`homeostasis heal`: one crash, from an event, a traceback or a command, in one shot."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, List, Optional

import typer

from homeostasis.cli.terminal import JSON, NO_COLOR, PROJECT, console, load_project, plain, print_json
from homeostasis.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from homeostasis.models import Event, Incident
    from homeostasis.project import Project

MAX_INPUT = 8_000_000
"""Bytes of an event or traceback that are read at most."""


def heal(
    command: Optional[List[str]] = typer.Argument(
        None,
        metavar="-- COMMAND...",
        help="Run this under capture and heal the crash that it meets.",
        show_default=False,
    ),
    event: Optional[str] = typer.Option(
        None, "--event", metavar="FILE", help="An event as JSON; - reads standard input."
    ),
    traceback: Optional[str] = typer.Option(
        None, "--traceback", metavar="FILE", help="Text with a Python traceback; - reads standard input."
    ),
    python: Optional[str] = typer.Option(None, "--python", metavar="EXE", help="The app's interpreter."),
    apply: bool = typer.Option(False, "--apply", help="Deploy the validated patch through the configured chain."),
    project: Optional[Path] = PROJECT,
    as_json: bool = JSON,
    no_color: bool = NO_COLOR,
) -> None:
    """Heal one crash in one shot.

    Makes a patch, validates it in isolation and shows it; with --apply, deploys it too.

    Exit status: 0 a validated patch exists, 1 there is none, 2 usage or configuration, 3 a failure of Homeostasis.

    Example: homeostasis heal -- python report.py
    """
    if sum(1 for source in (event, traceback, command) if source) != 1:
        raise UsageError("give exactly one of --event FILE, --traceback FILE or -- COMMAND...")
    place = load_project(project)
    if python is not None:
        place = replace(place, config=place.config.model_copy(update={"python": python}))
    if apply:
        _refuse_apply(place)
    out = console(no_color, stderr=as_json)
    events = _events(place, event, traceback, command or [], out)
    raise typer.Exit(_heal(place, events, apply, as_json, out))


def _refuse_apply(place: Project) -> None:
    """Who deploys at once approves: only approvers may, and only where one is enough."""
    from homeostasis.oversight.approval import refuse_stranger
    from homeostasis.oversight.identity import identify

    policy = place.config.policy
    refuse_stranger(policy, identify(policy), "approve")
    if policy.approvals > 1:
        raise UsageError(f"policy.approvals is {policy.approvals}: leave --apply out, and let people approve the patch")


def _events(
    place: Project, event: Optional[str], traceback: Optional[str], command: List[str], out: Console
) -> List[Event]:
    if event is not None:
        return [_event(_read(event))]
    if traceback is not None:
        from homeostasis.tracebacks import event_from_traceback

        return [event_from_traceback(_read(traceback), place)]
    from homeostasis.command_capture import run_captured

    status, events = run_captured(command, place, place.config.python, output=sys.stderr)
    if not events:
        out.print(f"the command ended with status {status} and no uncaught exception: there is nothing to heal")
    return events


def _read(name: str) -> str:
    try:
        if name == "-":
            return sys.stdin.buffer.read(MAX_INPUT).decode("utf-8", "replace")
        with Path(name).open("rb") as stream:
            return stream.read(MAX_INPUT).decode("utf-8", "replace")
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror}") from error


def _event(text: str) -> Event:
    from pydantic import ValidationError

    from homeostasis.models import Event

    try:
        return Event.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        raise UsageError(f"this is no event: {where}: {first['msg']}") from error


def _heal(place: Project, events: List[Event], apply: bool, as_json: bool, out: Console) -> int:
    from homeostasis.cli.render import StageLines
    from homeostasis.engine import Engine
    from homeostasis.ledger import Ledger
    from homeostasis.models import State
    from homeostasis.plugins import load_plugins
    from homeostasis.report import incident_report

    plugins = load_plugins(place)
    for state in plugins.states:
        if state.state in ("missing", "refused"):
            out.print(f"plugin {state.name}: {plain(state.reason)}", style="yellow")
    with Ledger.open(place) as ledger:
        lines = StageLines(out, ledger, place.root)
        engine = Engine(place, plugins, ledger, lines)
        healed = [engine.heal(event, deploy=apply) for event in events]
        for incident in healed:
            if incident.state is State.VALIDATED:
                lines.ending(incident, ledger.reason(incident.id))
        if as_json:
            reports = [incident_report(ledger, incident) for incident in healed]
            print_json(reports[0] if len(reports) == 1 else reports)
    return min((_status(incident, apply) for incident in healed), default=1)


def _status(incident: Incident, apply: bool) -> int:
    from homeostasis.models import State
    from homeostasis.report import is_validated

    deployed = incident.state in (State.OBSERVING, State.HEALED)
    if deployed if apply else is_validated(incident):
        return 0
    return 3 if incident.state is State.FAILED else 1
