"""`homeostasis demo`: two real services crash under real traffic and are healed while they run.

It is the product at work: the ordinary engine in mode `auto`, the examples as a user would write them. Nothing here
knows what is wrong with them; the traffic file says what is sent and which answers would be proper.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, List, Optional

import typer

from homeostasis.cli.terminal import JSON, NO_COLOR, console, print_json
from homeostasis.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from homeostasis.cli.demo.session import Outcome

_APPS = ("flask", "fastapi")


def demo(
    app: Optional[str] = typer.Option(None, "--app", metavar="APP", help="Only flask or only fastapi."),
    keep: Optional[Path] = typer.Option(None, "--keep", metavar="DIR", help="Work in DIR and leave it there."),
    as_json: bool = JSON,
    no_color: bool = NO_COLOR,
) -> None:
    """Watch two example services heal.

    Starts them, sends them real traffic that crashes them, and shows how they heal; ends with 1 if one is not healed.

    Example: homeostasis demo --app flask --keep healed
    """
    if app is not None and app not in _APPS:
        raise UsageError(f"there is no example for {app!r}: use --app flask or --app fastapi")
    names = list(_APPS) if app is None else [app]
    out = console(no_color, stderr=as_json)
    if keep is not None:
        good = _run(names, keep.resolve(), out, as_json, kept=True)
    else:
        with tempfile.TemporaryDirectory(prefix="homeostasis-demo-") as directory:
            good = _run(names, Path(directory).resolve(), out, as_json, kept=False)
    raise typer.Exit(0 if good else 1)


def _run(names: List[str], directory: Path, out: Console, as_json: bool, *, kept: bool) -> bool:
    from homeostasis.cli.demo import screen as look
    from homeostasis.cli.demo.running import run_examples

    screen = look.TerminalScreen(out)
    started = time.monotonic()
    with screen.live():
        outcomes = run_examples(names, directory, screen)
    seconds = time.monotonic() - started
    look.print_summary(out, outcomes, seconds)
    _print_rollback(out, outcomes, kept)
    if as_json:
        print_json(look.as_json(outcomes, seconds))
    return all(outcome.good for outcome in outcomes)


def _print_rollback(out: Console, outcomes: List[Outcome], kept: bool) -> None:
    from homeostasis.cli.render import SHORT_ID

    fixed = [(o, h.incident) for o in outcomes for h in o.healings if h.healed and h.incident is not None]
    if not fixed:
        return
    outcome, incident = fixed[0]
    if kept:
        out.print(
            f"\nAny fix can be undone, for example with:\n  homeostasis rollback {incident.id[:SHORT_ID]}"
            f" --project {outcome.directory}",
            soft_wrap=True,
        )
        return
    out.print(
        f"\nAny fix can be undone: homeostasis rollback {incident.id[:SHORT_ID]} --project DIR/{outcome.app}\n"
        "These copies are deleted now; run the demo with --keep DIR to try it.",
        soft_wrap=True,
    )
