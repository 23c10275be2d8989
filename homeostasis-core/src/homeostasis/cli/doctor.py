"""`homeostasis doctor`: what is wrong with an installation, and how to mend it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Optional

import typer

from homeostasis.cli.terminal import JSON, NO_COLOR, PROJECT, console, find_project, one_line, print_json

_STYLES = {"ok": "green", "warning": "yellow", "error": "bold red"}


def doctor(project: Optional[Path] = PROJECT, as_json: bool = JSON, no_color: bool = NO_COLOR) -> None:
    """Say what is wrong, and how to mend it.

    Checks the installation and the project; ends with 1 if there is an error.

    Example: homeostasis doctor --project ~/shop
    """
    from homeostasis.cli.checks import examine

    findings = list(examine(find_project(project).resolve()))
    errors = sum(finding.level == "error" for finding in findings)
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2, 0, 0), expand=True)
        table.add_column(width=7, no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column(ratio=1, overflow="fold")
        for finding in findings:
            text = Text(one_line(finding.detail, 600))
            if finding.level != "ok" and finding.mend:
                text.append("\n" + one_line(finding.mend, 400), style="italic")
            table.add_row(Text(finding.level, style=_STYLES[finding.level]), Text(one_line(finding.check, 30)), text)
        out = console(no_color)
        out.print(table)
        warnings = sum(finding.level == "warning" for finding in findings)
        out.print(f"\n{_count(errors, 'error')}, {_count(warnings, 'warning')}", style="bold")
    raise typer.Exit(1 if errors else 0)


def _count(number: int, word: str) -> str:
    return f"{number or 'no'} {word}{'' if number == 1 else 's'}"
