"""`homeostasis stats`: how many incidents were healed, how fast, and which rules did it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Optional

from homeostasis.cli.terminal import JSON, NO_COLOR, PROJECT, console, load_project, print_json

if TYPE_CHECKING:
    from rich.console import Console

_COLUMNS = ("accepted", "rejected", "approved", "refused", "deployed", "healed", "rolled_back")


def stats(project: Optional[Path] = PROJECT, as_json: bool = JSON, no_color: bool = NO_COLOR) -> None:
    """Show heal rate, time to heal, and the record of each rule.

    Example: homeostasis stats --json
    """
    from homeostasis.ledger import Ledger
    from homeostasis.ledger.statistics import statistics

    with Ledger.open(load_project(project)) as ledger:
        found = statistics(ledger)
    if as_json:
        print_json(found)
    else:
        _print(console(no_color), found)


def _print(out: Console, found: Dict[str, Any]) -> None:
    from rich.table import Table

    states = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in sorted(found["incidents"].items()))
    out.print(f"incidents       {states or 'none yet'}")
    out.print(f"occurrences     {found['occurrences']}")
    if found["heal_rate"] is not None:
        out.print(f"heal rate       {found['heal_rate']:.0%} of those that ended")
    took = found["seconds_to_live"]
    if took["count"]:
        out.print(f"time to heal    {took['median']:g} s median, {took['p90']:g} s 90th percentile")
    releases = found["releases"]
    if releases:
        out.print(f"rolled back     {releases.get('rolled_back', 0)} of {sum(releases.values())} releases")
    if not found["rules"]:
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("rule")
    for name in _COLUMNS:
        table.add_column(name.replace("_", " "), justify="right")
    for rule, counts in sorted(found["rules"].items()):
        table.add_row(rule, *(str(counts.get(name, "")) for name in _COLUMNS))
    out.print(table)
