"""`homeostasis plugins`: every plugin that is installed or allowed, and what became of it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Optional

from homeostasis.cli.terminal import JSON, NO_COLOR, PROJECT, console, load_project, one_line, print_json

if TYPE_CHECKING:
    from rich.console import Console

    from homeostasis.plugins import PluginState

_STYLES = {"loaded": "green", "not allowed": "dim", "missing": "bold red", "refused": "bold red"}


def plugins(project: Optional[Path] = PROJECT, as_json: bool = JSON, no_color: bool = NO_COLOR) -> None:
    """Show the plugins and their states.

    Each with its distribution, version and hooks, or why it was refused.

    Example: homeostasis plugins --project ~/shop
    """
    from homeostasis.plugins import load_plugins

    states = sorted(load_plugins(load_project(project)).states, key=_order)
    if as_json:
        print_json([asdict(state) for state in states])
        return
    out = console(no_color)
    for state in states:
        _print_state(out, state)


def _print_state(out: Console, state: PluginState) -> None:
    from rich.table import Table
    from rich.text import Text

    row = Table.grid(padding=(0, 1), expand=True)
    row.add_column(width=20, no_wrap=True, overflow="fold")
    row.add_column(width=11, no_wrap=True)
    row.add_column(ratio=1)
    origin = f"{state.distribution} {state.version}".strip()
    told = [Text(text) for text in (one_line(state.reason, 500), ", ".join(state.hooks)) if text]
    told += [Text(one_line(origin, 100), style="dim")] if origin else []
    row.add_row(
        Text(one_line(state.name, 40), style="bold"),
        Text(state.state, style=_STYLES.get(state.state, "")),
        Text("\n").join(told),
    )
    out.print(row)


def _order(state: PluginState) -> tuple[int, str]:
    return list(_STYLES).index(state.state) if state.state in _STYLES else len(_STYLES), state.name
