"""`homeostasis audit`: the trail of who did what, when and why, and whether it was tampered with."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Optional

import typer

from homeostasis.cli.terminal import JSON, NO_COLOR, PROJECT, console, load_project, one_line, print_json

if TYPE_CHECKING:
    from homeostasis.ledger.audit import Entry

app = typer.Typer(help="The audit trail: who did what, when and why.", rich_markup_mode=None)
HEAD = typer.Option(None, "--head", metavar="HASH", help="A head noted earlier: it must still be in the trail.")
ONLY = typer.Option(None, "--incident", metavar="ID", help="Only what concerns this incident.")


@app.command()
def log(
    incident: Optional[str] = ONLY,
    project: Optional[Path] = PROJECT,
    as_json: bool = JSON,
    no_color: bool = NO_COLOR,
) -> None:
    """Show the trail, oldest first; --json exports it.

    Example: homeostasis audit log --json > audit.json
    """
    from homeostasis.ledger import Ledger

    place = load_project(project)
    with Ledger.open(place) as ledger:
        only = ledger.find(incident).id if incident else None
        if as_json:
            print_json([_entry(entry) for entry in ledger.audit.entries(only)])
            return
        out = console(no_color)
        for entry in ledger.audit.entries(only):
            at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.at))
            about = f" {entry.incident_id[:8]}" if entry.incident_id else ""
            said = ", ".join(f"{key}={value}" for key, value in entry.detail.items() if value not in ("", {}, None))
            out.print(one_line(f"{entry.id:>6}  {at}  {entry.actor:<12} {entry.action}{about}  {said}", 400))


@app.command()
def verify(
    head: Optional[str] = HEAD,
    project: Optional[Path] = PROJECT,
    as_json: bool = JSON,
    no_color: bool = NO_COLOR,
) -> None:
    """Find out whether the trail was changed: exit status 1 if so.

    Prints the head of the trail. Keep it elsewhere and give it back with --head: then a trail that was rewritten as a
    whole is found too.

    Example: homeostasis audit verify --head 5c0f...
    """
    from homeostasis.ledger import Ledger

    place = load_project(project)
    with Ledger.open(place) as ledger:
        found = ledger.audit.verify(head)
    if as_json:
        print_json({"ok": not found.problems, **found._asdict()})
    else:
        out = console(no_color)
        for problem in found.problems[:20]:
            out.print(f"problem: {one_line(problem, 400)}")
        out.print(f"{found.length} entries, head {found.head}, {_verdict(len(found.problems))}")
    if found.problems:
        raise typer.Exit(1)


def _verdict(problems: int) -> str:
    return f"{problems} problem{'s' if problems > 1 else ''}: the trail was tampered with" if problems else "unbroken"


def _entry(entry: Entry) -> Dict[str, Any]:
    return entry._asdict()
