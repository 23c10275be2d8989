"""`homeostasis incidents`: what crashed, how often, and how far its healing has come."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, List, Optional

import typer

from homeostasis.cli.terminal import JSON, NO_COLOR, PROJECT, ago, console, load_project, print_json
from homeostasis.errors import UsageError

if TYPE_CHECKING:
    from homeostasis.models import Incident


def incidents(
    state: Optional[str] = typer.Option(None, "--state", metavar="STATE", help="Only those in this state."),
    limit: int = typer.Option(50, "--limit", min=0, metavar="N", help="At most so many; 0 for all."),
    project: Optional[Path] = PROJECT,
    as_json: bool = JSON,
    no_color: bool = NO_COLOR,
) -> None:
    """List the incidents, the newest first.

    Example: homeostasis incidents --state awaiting_approval
    """
    from homeostasis.ledger import Ledger
    from homeostasis.models import State
    from homeostasis.report import incident_report

    known = [item.value for item in State]
    if state is not None and state not in known:
        raise UsageError(f"there is no state {state!r}: states are {', '.join(known)}")
    place = load_project(project)
    with Ledger.open(place) as ledger:
        wanted = State(state) if state is not None else None
        found = ledger.incidents(wanted, limit or None)
        count = ledger.count(wanted)
        if as_json:
            print_json([incident_report(ledger, item) for item in found])
            return
    if not found:
        console(no_color, stderr=True).print(f"no incidents in {place.root}")
        return
    _print(found, place.root, no_color)
    if count > len(found):
        console(no_color, stderr=True).print(f"the newest {len(found)} of {count}; --limit 0 shows all", style="dim")


def _print(found: List[Incident], root: Path, no_color: bool) -> None:
    from rich.table import Table
    from rich.text import Text

    from homeostasis.cli.render import SHORT_ID, place, state_text, what

    table = Table(box=None, padding=(0, 2, 0, 0), expand=True, header_style="bold")
    table.add_column("id", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("seen", justify="right", no_wrap=True)
    table.add_column("last", justify="right", no_wrap=True)
    table.add_column("crash", ratio=1, overflow="fold")
    for item in found:
        crash = Text(what(item)).append("\n" + place(item, root), style="dim")
        state = state_text(item.state)
        table.add_row(Text(item.id[:SHORT_ID], style="cyan"), state, f"{item.count}x", ago(item.last_seen), crash)
    console(no_color).print(table)
