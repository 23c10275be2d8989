"""`homeostasis sources`: what the collectors hear, how much of it, and what they had to drop."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Optional

from homeostasis.cli.terminal import JSON, NO_COLOR, PROJECT, ago, console, load_project, plain, print_json

if TYPE_CHECKING:
    from rich.console import Console

    from homeostasis.project import Project


def sources(project: Optional[Path] = PROJECT, as_json: bool = JSON, no_color: bool = NO_COLOR) -> None:
    """Show what each collector hears: its sources, when they were last heard, how much came, and what was dropped.

    Example: homeostasis sources --json
    """
    from homeostasis.ledger import Ledger

    place = load_project(project)
    with Ledger.open(place) as ledger:
        found = ledger.sources.all(time.time())
        dropped = ledger.sources.dropped()
    heard = {row["collector"] for row in found}
    silent = [name for name in _collectors(place) if name not in heard]
    if as_json:
        print_json({"sources": found, "silent": silent, "dropped": dropped})
    else:
        _print(console(no_color), found, silent, dropped)


def _collectors(place: Project) -> List[str]:
    from homeostasis.plugins import load_plugins

    return load_plugins(place).implementing("collect")


def _print(out: Console, found: List[Dict[str, Any]], silent: List[str], dropped: List[Dict[str, Any]]) -> None:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("collector", no_wrap=True)
    table.add_column("source", overflow="fold")
    for name in ("last", "records", "last hour", "last minute"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in found:
        counts = (f"{row[name]:,}" for name in ("records", "last_hour", "last_minute"))
        table.add_row(plain(row["collector"]), plain(row["source"]), ago(row["last_at"]), *counts)
    for name in silent:
        table.add_row(name, "nothing heard yet", style="dim")
    out.print(table)
    for row in dropped:
        what = f"dropped by {plain(row['collector'])}: {plain(row['reason'])}"
        out.print(f"{what} ({row['count']:,}, last {ago(row['last_at'])} ago)", style="yellow")
