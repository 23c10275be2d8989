"""`homeostasis ingest`: what is understood of a log file."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Dict, Iterator, List, Optional, Tuple

import typer

from homeostasis.cli.terminal import JSON, NO_COLOR, PROJECT, console, load_project, one_line, plain, print_json
from homeostasis.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from homeostasis.collecting.crash import Crash
    from homeostasis.models import Event
    from homeostasis.project import Project
    from homeostasis_collect_logs.settings import CollectLogsSettings

PLUGIN = "collect-logs"


@dataclass
class Understood:
    """What was found in a file."""

    events: List[Tuple[int, Event]] = field(default_factory=list)
    """Number of the line on which each begins, and the event."""
    foreign: int = 0
    lost: Dict[str, int] = field(default_factory=dict)


def ingest(
    file: str = typer.Argument(..., metavar="FILE", help="A log, also a compressed one; - reads standard input."),
    record: bool = typer.Option(
        False, "--record", help="Hand the crashes to the orchestrator as they come, instead of showing them."
    ),
    project: Optional[Path] = PROJECT,
    as_json: bool = JSON,
    no_color: bool = NO_COLOR,
) -> None:
    """Show what is understood of a log, with the settings of this project. Nothing is recorded or healed.

    With `--record`, the crashes go to the project's orchestrator, now or when it starts: `app 2>&1 | homeostasis ingest
    --record -` heals what an app prints.

    Exit status: 0 at least one crash of the project was understood, 1 none, 2 usage or configuration.

    Example: homeostasis ingest /var/log/shop/app.log
    """
    place = load_project(project)
    if record:
        raise typer.Exit(_record(file, place, as_json, no_color))
    found = _understand(file, place, _settings(place))
    if as_json:
        print_json(_report(found))
    else:
        _show(found, console(no_color))
    raise typer.Exit(0 if found.events else 1)


def _record(file: str, place: Project, as_json: bool, no_color: bool) -> int:
    from homeostasis_collect_logs.recording import as_it_comes
    from homeostasis_collect_logs.recording import record as recorded

    if "spool" not in place.config.plugins:
        raise UsageError('--record needs the collector "spool" in [tool.homeostasis] plugins: it brings the crashes')
    settings = _settings(place)
    chunks: Iterator[Optional[bytes]] = (
        as_it_comes(sys.stdin.fileno(), max(settings.settle, 0.1))
        if file == "-"
        else iter(_read(file, settings.max_unpacked_bytes))
    )
    sink = recorded(chunks, place, settings)
    if as_json:
        print_json({"events": sink.events, "recurrences": sink.recurrences, "lost": sink.losses})
    else:
        out = console(no_color)
        out.print(f"{sink.events} crashes recorded, {sink.recurrences} repetitions counted")
        for reason, count in sink.losses.items():
            out.print(f"lost: {plain(reason)} ({count})", style="yellow")
    return 0 if sink.events or sink.recurrences else 1


def _settings(place: Project) -> CollectLogsSettings:
    from homeostasis.config import validate_table
    from homeostasis_collect_logs.settings import CollectLogsSettings

    table = place.config.plugin_tables.get(PLUGIN, {})
    return validate_table(CollectLogsSettings, table, f"tool.homeostasis.{PLUGIN}", place.config.file)


def _understand(file: str, place: Project, settings: CollectLogsSettings) -> Understood:
    from homeostasis.collecting.events import EventMaker
    from homeostasis_collect_logs.collector import scanner_for

    scanner, maker, found = scanner_for(settings)(0), EventMaker(place, settings), Understood()
    lines = _LineNumbers()

    def take(crashes: List[Crash]) -> None:
        for crash in crashes:
            event = maker.event(crash)
            if event is None:
                found.foreign += 1
            else:
                found.events.append((lines.at(crash.start), event))

    for data in _read(file, settings.max_unpacked_bytes):
        lines.add(data)
        scanner.feed(data, 0.0)
        take(scanner.take())
    scanner.finish()
    take(scanner.take())
    found.lost = scanner.lost
    return found


class _LineNumbers:
    """Numbers of lines by offset, asked for in rising order."""

    def __init__(self) -> None:
        self._pieces: List[Tuple[int, bytes]] = []
        self._end = self._number = 0

    def add(self, data: bytes) -> None:
        """The bytes that follow."""
        self._pieces.append((self._end, data))
        self._end += len(data)
        while len(self._pieces) > 16:
            self._number += self._pieces.pop(0)[1].count(b"\n")

    def at(self, offset: int) -> int:
        """The number, from 1, of the line at an offset."""
        return 1 + self._number + sum(data.count(b"\n", 0, max(offset - start, 0)) for start, data in self._pieces)


def _read(file: str, limit: int) -> Iterator[bytes]:
    import zlib

    from homeostasis_collect_logs.rotated import chunks
    from homeostasis_collect_logs.tail import READ_AT_ONCE

    try:
        if file == "-":
            while data := sys.stdin.buffer.read(READ_AT_ONCE):
                yield data
        else:
            for data, _ in chunks(Path(file), 0, limit):
                yield data
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{file} cannot be read: {reason}") from error


def _report(found: Understood) -> Dict[str, object]:
    events = [{"line": line, "event": event.model_dump(mode="json")} for line, event in found.events]
    return {"events": events, "foreign": found.foreign, "lost": found.lost}


def _show(found: Understood, out: Console) -> None:
    from datetime import datetime

    for line, event in found.events:
        frame = event.crash_frame
        where = f"{frame.path}:{frame.span.line} in {frame.qualname or frame.function}" if frame else "no frame"
        moment = datetime.fromtimestamp(event.timestamp).astimezone().isoformat(timespec="seconds")
        out.print(f"line {line}: {one_line(f'{event.raised.dotted}: {event.raised.message}')}", style="bold")
        out.print(f"  {plain(where)}")
        out.print(f"  {event.source}, {moment}, fingerprint {event.fingerprint}, {len(event.exceptions)} exceptions")
        for loss in event.losses:
            out.print(f"  missing: {one_line(loss)}", style="dim")
    out.print(f"{len(found.events)} crashes of this project, {found.foreign} of other code")
    for reason, count in found.lost.items():
        out.print(f"lost: {plain(reason)} ({count})", style="yellow")
