"""`homeostasis show`: one incident with its diagnosis, diff, checks, release and timeline."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Optional

from homeostasis.cli.terminal import INCIDENT, JSON, NO_COLOR, PROJECT, console, load_project, one_line, print_json


def show(
    incident: str = INCIDENT, project: Optional[Path] = PROJECT, as_json: bool = JSON, no_color: bool = NO_COLOR
) -> None:
    """Show all that is known of an incident.

    Diagnosis, diff, checks, release and timeline.

    Example: homeostasis show 3f2a --json
    """
    from rich.text import Text

    from homeostasis.ledger import Ledger
    from homeostasis.report import incident_report

    place = load_project(project)
    with Ledger.open(place) as ledger:
        found = ledger.find(incident)
        if as_json:
            print_json(incident_report(ledger, found))
            return
        from homeostasis.cli.render import next_steps, print_details, print_event, print_headline, state_text

        out = console(no_color)
        print_headline(out, found, place.root, found.service)
        state = Text("  ").append_text(state_text(found.state)).append(f", seen {found.count}x")
        reason = ledger.reason(found.id)
        out.print(state.append(f": {one_line(reason, 400)}" if reason else ""))
        print_event(out, found.event)
        print_details(out, ledger, found)
        out.print(Text("  timeline", style="bold"))
        for entry in found.timeline:
            at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.at))
            line = Text(f"    {at}  ", style="dim").append_text(state_text(entry.state))
            out.print(line.append(f"  by {one_line(entry.actor, 60)}" if entry.actor != "homeostasis" else ""))
        for hint in next_steps(found):
            out.print(Text("  " + hint, style="bold"))
