"""How incidents and the notices of a healing look on a terminal: one look for `run`, `heal`, `show` and `demo`."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, List, Optional, Set

from rich.table import Table
from rich.text import Text

from homeostasis.cli.terminal import one_line, plain
from homeostasis.models import Outcome, State

if TYPE_CHECKING:
    from rich.console import Console

    from homeostasis.engine import Notice
    from homeostasis.ledger import Ledger
    from homeostasis.models import Diagnosis, Event, Incident, Patch, Release, Verdict

STAGES = ("collect", "analyze", "patch", "sandbox", "validate", "deploy", "observe")
SHOWN_BREADCRUMBS = 10
SHORT_ID = 8
"""Characters of an incident's id that are shown; commands take any beginning that is unambiguous."""
STATE_STYLES = {
    State.HEALED: "bold green",
    State.OBSERVING: "green",
    State.VALIDATED: "green",
    State.AWAITING_APPROVAL: "bold yellow",
    State.UNFIXABLE: "red",
    State.FAILED: "bold red",
    State.REJECTED: "red",
    State.ROLLED_BACK: "yellow",
}
_OUTCOME_STYLES = {Outcome.ACCEPTED: "green", Outcome.REJECTED: "bold red", Outcome.INCONCLUSIVE: "yellow"}
_RESTS = (State.AWAITING_APPROVAL, State.OBSERVING)


def place(incident: Incident, root: Path) -> str:
    """Where it crashed: `shop/cart.py:12 in Cart.total`, relative to the project where the file is the project's."""
    frame = incident.event.crash_frame
    if frame is None:
        return "no frame known"
    path = frame.path
    with suppress(ValueError):
        path = Path(path).relative_to(root).as_posix()
    return one_line(f"{path}:{frame.span.line} in {frame.qualname or frame.function}", 160)


def what(incident: Incident) -> str:
    """The exception in a line: `KeyError: 'sku'`."""
    raised = incident.event.raised
    return one_line(f"{raised.dotted}: {raised.message}" if raised.message else raised.dotted, 160)


def state_text(state: State) -> Text:
    """The state in words and in its colour."""
    return Text(state.value.replace("_", " "), style=STATE_STYLES.get(state, "cyan"))


def print_headline(console: Console, incident: Incident, root: Path, service: str = "") -> None:
    """Which incident it is: id, exception, place and the request that met it."""
    line = Text(incident.id[:SHORT_ID], style="bold cyan")
    line.append("  " + what(incident), style="bold")
    console.print(line)
    request = incident.event.request
    where = place(incident, root)
    if request is not None:
        where += "  " + one_line(f"({request.method} {request.path})", 80)
    console.print(_indented(Text(f"{service}  {where}" if service else where, style="dim")))


def print_event(console: Console, event: Event) -> None:
    """Where the event came from, what it misses, and what the app did before, if that is known."""
    _title(console, f"event, from {one_line(event.source, 60)}")
    for loss in event.losses:
        console.print(_indented(Text(f"missing: {one_line(loss, 300)}", style="dim")))
    for crumb in event.breadcrumbs[-SHOWN_BREADCRUMBS:]:
        at = time.strftime("%H:%M:%S", time.localtime(crumb.at)) if crumb.at is not None else " " * 8
        console.print(_indented(Text(f"{at}  {one_line(f'{crumb.category}: {crumb.message}', 160)}", style="dim")))


def stage_line(stage: str, seconds: Optional[float], text: str, style: str = "", mark: str = "") -> Table:
    """One stage in one row; a long text wraps within its column."""
    row = Table.grid(padding=(0, 1))
    widths = [8, 9, 8] if mark else [2, 9, 8]
    for number, width in enumerate(widths):
        row.add_column(width=width, justify="right" if number == 2 else "left", no_wrap=True)
    row.add_column(ratio=1)
    took = "" if seconds is None else f"{seconds:.2f} s"
    row.add_row(Text(mark, style="cyan"), Text(stage, style=style), Text(took, style="dim"), Text(plain(text)))
    row.expand = True
    return row


def print_diagnosis(console: Console, diagnosis: Diagnosis) -> None:
    """The cause in a sentence, the rule that found it, and what speaks for it."""
    console.print(_indented(Text(one_line(diagnosis.summary, 400))))
    spot = one_line(f"{diagnosis.path}:{diagnosis.span.line}", 160)
    console.print(_indented(Text(f"rule {one_line(diagnosis.rule_id)} at {spot}", style="dim")))


def print_patch(console: Console, patch: Patch) -> None:
    """What the patch does, and its diff."""
    line = Text(one_line(patch.summary, 300))
    line.append(f"  [{patch.effect.value}, {patch.risk.value} risk]", style="dim")
    console.print(_indented(line))
    print_diff(console, patch.diff)


def print_diff(console: Console, diff: str) -> None:
    """A unified diff in its usual colours. Lines are never cut."""
    styles = {"+": "green", "-": "red", "@": "cyan"}
    for line in plain(diff).splitlines():
        bold = line.startswith(("+++", "---"))
        console.print(Text("    " + line, style="bold" if bold else styles.get(line[:1], "")), soft_wrap=True)


def print_checks(console: Console, verdict: Verdict) -> None:
    """Every check of the verdict."""
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(width=2)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(ratio=1)
    for check in verdict.checks:
        table.add_row(
            "",
            Text(check.outcome.value, style=_OUTCOME_STYLES[check.outcome]),
            Text(one_line(check.name, 30)),
            Text(f"{check.seconds:.2f} s", style="dim"),
            Text(one_line(check.detail, 300), style="dim"),
        )
    console.print(table)


def print_release(console: Console, release: Release) -> None:
    """What each deployer did."""
    for step in release.steps:
        style = "bold red" if step.state == "failed" else "bold"
        line = Text(one_line(step.deployer, 40), style=style)
        line.append(f"  {one_line(step.summary or step.state, 300)}", style="not bold")
        console.print(_indented(line))
    if release.observation:
        console.print(_indented(Text(one_line(release.observation, 300), style="dim")))


def print_details(console: Console, ledger: Ledger, incident: Incident) -> None:
    """Diagnosis, diff, checks and release, as far as they exist, and why it ended."""
    diagnosis, patch = ledger.diagnosis(incident.id), ledger.patch(incident.id)
    verdict, release = ledger.verdict(incident.id), ledger.release(incident.id)
    if diagnosis is not None:
        _title(console, "diagnosis")
        print_diagnosis(console, diagnosis)
    if patch is not None:
        _title(console, "patch")
        print_patch(console, patch)
    if verdict is not None:
        _title(console, "checks")
        print_checks(console, verdict)
    if release is not None:
        _title(console, "release")
        print_release(console, release)


def _title(console: Console, text: str) -> None:
    console.print(Text("  " + text, style="bold"))


def _indented(text: Text) -> Table:
    row = Table.grid(expand=True)
    row.add_column(width=4)
    row.add_column(ratio=1)
    row.add_row("", text)
    return row


class StageLines:
    """Prints each stage of each incident as it ends, and the whole story when a healing comes to rest."""

    def __init__(self, console: Console, ledger: Ledger, root: Path, *, details: bool = True) -> None:
        self._console, self._ledger, self._root, self._details = console, ledger, root, details
        self._lock = threading.Lock()
        self._known: Set[str] = set()
        self._told: Set[str] = set()

    def __call__(self, notice: Notice) -> None:
        """Take a notice; called from the engine's threads."""
        with self._lock:
            incident = notice.incident
            if incident is not None and incident.id not in self._known:
                self._known.add(incident.id)
                print_headline(self._console, incident, self._root)
            if notice.kind in ("finished", "failed"):
                self._stage(notice)
            elif notice.kind == "note" and notice.payload is None and notice.stage != "collect":
                # What has a payload (a check, a step) is part of the story below; what was collected is the headline.
                self._console.print(_indented(Text(plain(notice.text), style="yellow")))
            elif notice.kind == "state" and incident is not None:
                self._state(incident, notice.text)

    def _stage(self, notice: Notice) -> None:
        mark = notice.incident.id[:SHORT_ID] if notice.incident is not None else ""
        style = "bold red" if notice.kind == "failed" else "green"
        self._console.print(stage_line(notice.stage or "", notice.seconds, notice.text, style, mark))

    def _state(self, incident: Incident, text: str) -> None:
        rests = incident.state.ended or incident.state in _RESTS
        if not self._details or not (rests or incident.state is State.VALIDATED):
            return
        if incident.id not in self._told:
            self._told.add(incident.id)
            print_details(self._console, self._ledger, incident)
        if rests:
            self.ending(incident, text)

    def ending(self, incident: Incident, text: str) -> None:
        """The state in which the incident rests, why, and what a person can do."""
        line = Text(incident.id[:SHORT_ID] + "  ", style="bold cyan")
        line.append_text(state_text(incident.state))
        if text:
            line.append("  " + one_line(text, 300))
        self._console.print(line)
        for hint in next_steps(incident):
            self._console.print(Text("          " + hint, style="dim"))


def next_steps(incident: Incident) -> List[str]:
    """The commands that a person may want next."""
    short = incident.id[:SHORT_ID]
    if incident.state is State.AWAITING_APPROVAL:
        return [f"homeostasis approve {short}", f"homeostasis reject {short}"]
    if incident.state is State.VALIDATED:
        return [f"to deploy it: homeostasis approve {short}"]
    if incident.state in (State.OBSERVING, State.HEALED):
        return [f"to undo it: homeostasis rollback {short}"]
    return []
