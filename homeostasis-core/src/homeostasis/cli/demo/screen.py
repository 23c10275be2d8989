"""How the demo looks: a block for each healing, a line of progress below, a table at the end."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterator, List

from rich.table import Table
from rich.text import Text

from homeostasis.cli.render import SHORT_ID, print_details, print_headline, stage_line, what
from homeostasis.cli.terminal import one_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status

    from homeostasis.cli.demo.session import Healing, Outcome
    from homeostasis.cli.demo.traffic import Answer
    from homeostasis.cli.demo.watcher import Watcher
    from homeostasis.engine import Notice
    from homeostasis.ledger import Ledger


class TerminalScreen:
    """Shows the sessions of a demo on one console."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._now: Dict[str, str] = {}
        self._status: Status | None = None
        self._started = time.monotonic()

    @contextmanager
    def live(self) -> Iterator[None]:
        """Keep a line of progress at the bottom, on a terminal."""
        if not self._console.is_terminal:
            yield
            return
        with self._console.status("starting the services") as status:
            self._status = status
            yield
        self._status = None

    def say(self, app: str, text: str) -> None:
        """A line about a service."""
        with self._lock:
            self._console.print(
                Text(f"{time.monotonic() - self._started:5.1f} s  ", style="dim") + Text(f"{app}: {text}")
            )

    def progress(self, app: str, notice: Notice) -> None:
        """Update the line of progress, or where there is none, print a short one when a healing begins."""
        if notice.kind != "started" or notice.incident is None:
            return
        with self._lock:
            self._now[app] = f"{app}: {notice.stage} {one_line(what(notice.incident), 40)}"
            if self._status is not None:
                self._status.update(Text("   ".join(self._now[name] for name in sorted(self._now))))

    def healing(self, healing: Healing, answer: Answer, watcher: Watcher, ledger: Ledger, root: Path) -> None:
        """The whole story of one crash."""
        with self._lock:
            self._console.print()
            self._console.rule(Text(f"{healing.app}: {healing.crash}", style="bold"), align="left", style="dim")
            if healing.incident is not None:
                print_headline(self._console, healing.incident, root)
                for notice in watcher.finished(healing.incident.id):
                    style = "bold red" if notice.kind == "failed" else "green"
                    self._console.print(stage_line(notice.stage, notice.seconds, one_line(notice.text, 300), style))
                print_details(self._console, ledger, healing.incident)
            self._console.print(_ending(healing, answer), soft_wrap=True)


def _ending(healing: Healing, answer: Answer) -> Text:
    if not healing.healed:
        return Text(f"  not healed: {one_line(healing.reason, 400)}", style="bold red")
    text = Text(f"  healed in {healing.seconds:.2f} s", style="bold green")
    text.append(f": {healing.before} before, now {healing.after} {one_line(answer.text, 120)}", style="not bold")
    return text


def print_summary(console: Console, outcomes: List[Outcome], seconds: float) -> None:
    """The table at the end, and the comparison of the healthy answers."""
    console.print()
    console.rule(Text("summary", style="bold"), align="left", style="dim")
    table = Table(box=None, padding=(0, 2, 0, 0), expand=True, header_style="bold")
    table.add_column("crash", ratio=1)
    table.add_column("effect", no_wrap=True)
    table.add_column("healed in", justify="right", no_wrap=True)
    table.add_column("incident", no_wrap=True, min_width=SHORT_ID)
    table.add_column("commit", no_wrap=True, min_width=SHORT_ID)
    for outcome in outcomes:
        for healing in outcome.healings:
            table.add_row(*_row(healing))
    console.print(table)
    for outcome in outcomes:
        done = sum(item.healed for item in outcome.healings)
        line = f"{outcome.app}: {done} of {len(outcome.healings)} crashes healed; "
        same = f"{outcome.compared} healthy answers compared, {len(outcome.changed) or 'none'} changed"
        console.print(Text(line + same, style="green" if outcome.good else "bold red"))
        for problem in outcome.changed:
            console.print(Text("  " + one_line(problem), style="red"))
    console.print(Text(f"{seconds:.1f} s in all", style="dim"))


def _row(healing: Healing) -> List[Text]:
    crash = Text(healing.crash)
    identifier = ""
    if healing.incident is not None:
        identifier = healing.incident.id[:SHORT_ID]
        cause = one_line(healing.incident.event.raised.dotted, 40)
        crash.append(f"\n{cause}, {healing.rule or 'no rule'}", style="dim")
    took = Text(f"{healing.seconds:.2f} s", style="green") if healing.healed else Text("not healed", style="bold red")
    return [crash, Text(healing.effect), took, Text(identifier, style="cyan"), Text(healing.commit[:SHORT_ID])]


def as_json(outcomes: List[Outcome], seconds: float) -> Dict[str, Any]:
    """The same as JSON values."""
    return {
        "healed": all(outcome.good for outcome in outcomes),
        "seconds": round(seconds, 3),
        "apps": [
            {
                "app": outcome.app,
                "directory": str(outcome.directory),
                "healthy_compared": outcome.compared,
                "healthy_changed": outcome.changed,
                "crashes": [_crash(healing) for healing in outcome.healings],
            }
            for outcome in outcomes
        ],
    }


def _crash(healing: Healing) -> Dict[str, Any]:
    incident = healing.incident
    return {
        "crash": healing.crash,
        "incident": incident.id if incident else None,
        "exception_type": incident.event.raised.dotted if incident else None,
        "state": incident.state.value if incident else None,
        "rule_id": healing.rule or None,
        "effect": healing.effect or None,
        "status_before": healing.before,
        "status_after": healing.after,
        "healed": healing.healed,
        "reason": healing.reason,
        "seconds": round(healing.seconds, 3),
        "stages": {name: round(value, 3) for name, value in sorted(healing.stages.items())},
        "commit": healing.commit or None,
    }
