"""What all commands share: their common options, the project they act on, and safe output."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from homeostasis.project import Project

PROJECT = typer.Option(
    None,
    "--project",
    metavar="DIR",
    help="The app's root; by default the nearest parent with [tool.homeostasis], else this directory.",
)
JSON = typer.Option(False, "--json", help="Print JSON for scripts instead of text for people.")
NO_COLOR = typer.Option(False, "--no-color", help="Print without colours; the variable NO_COLOR does the same.")
INCIDENT = typer.Argument(..., metavar="ID", help="The incident's id, or enough of its beginning.")

# Control characters and those that reorder text: messages of the app must not steer the terminal.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


def plain(text: str) -> str:
    """The text with characters that could steer a terminal shown as escapes; line ends and tabs stay."""
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def one_line(text: str, limit: int = 200) -> str:
    """The text made plain, on one line, cut at `limit` characters."""
    short = " ".join(plain(text).split())
    return short if len(short) <= limit else short[: limit - 3] + "..."


def console(no_color: bool = False, *, stderr: bool = False) -> Console:
    """A rich console that takes text as it is: no markup, no emoji codes, no guessing of highlights."""
    from rich.console import Console

    colourless = no_color or bool(os.environ.get("NO_COLOR"))
    return Console(
        stderr=stderr,
        color_system=None if colourless else "auto",
        no_color=colourless,
        markup=False,
        emoji=False,
        highlight=False,
    )


def ago(moment: float) -> str:
    """How long ago a moment (seconds since the epoch) was, such as `5 min`."""
    seconds = max(0, int(time.time() - moment))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def print_json(value: Any) -> None:
    """Write one JSON document to standard output, in ASCII."""
    sys.stdout.write(json.dumps(value, indent=2, sort_keys=False, default=str) + "\n")


def find_project(given: Optional[Path]) -> Path:
    """The directory that a command acts on."""
    from homeostasis.monitoring.config import find_project as search

    here = Path.cwd()
    return given if given is not None else Path(search(str(here)) or here)


def load_project(given: Optional[Path]) -> Project:
    """The project that a command acts on.

    Raises:
        ConfigError: its settings are wrong, or the directory does not exist.
    """
    from homeostasis.project import Project

    return Project.load(find_project(given))
