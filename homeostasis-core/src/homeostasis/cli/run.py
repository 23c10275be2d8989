"""`homeostasis run`: the orchestrator beside the app, and on request the app itself under supervision."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Dict, List, Optional

import typer

from homeostasis.cli.terminal import NO_COLOR, PROJECT, console, load_project, plain
from homeostasis.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from homeostasis.engine import Engine
    from homeostasis.project import Project
    from homeostasis.supervisor import Supervisor

GRACE = 15.0
"""Seconds that the app gets to end its requests when the orchestrator is stopped."""


def run(
    command: Optional[List[str]] = typer.Argument(
        None, metavar="-- APP COMMAND...", help="Also start the app with this, and supervise it.", show_default=False
    ),
    project: Optional[Path] = PROJECT,
    inject: bool = typer.Option(
        True, "--inject/--no-inject", help="Monitor each Python process of the app, without a change to its code."
    ),
    no_color: bool = NO_COLOR,
) -> None:
    """Watch the app and heal what crashes.

    Runs until interrupted, and prints the stages as they happen. The command's Python processes monitor themselves,
    whether the app sets the monitoring up or not.

    Example: homeostasis run -- gunicorn -w 2 "shop:create_app()"
    """
    from homeostasis.cli.checks import serving
    from homeostasis.cli.render import StageLines
    from homeostasis.engine import Engine
    from homeostasis.ledger import Ledger
    from homeostasis.plugins import load_plugins

    place = load_project(project)
    holder = serving(place)
    if holder is not None:  # said before the app is started a second time
        raise UsageError(f"another orchestrator ({holder}) serves {place.root}")
    out = console(no_color)
    plugins = load_plugins(place)
    for state in plugins.states:
        if state.state in ("missing", "refused"):
            out.print(f"plugin {state.name}: {plain(state.reason)}", style="yellow")
    with Ledger.open(place) as ledger:
        engine = Engine(place, plugins, ledger, StageLines(out, ledger, place.root))
        raise typer.Exit(_Session(engine, place, command or [], out, inject=inject).run())


class _Session:
    """The engine in a thread, the app as a child, and the main thread waiting for the end of either."""

    def __init__(self, engine: Engine, place: Project, command: List[str], out: Console, *, inject: bool) -> None:
        self._engine, self._place, self._command, self._out = engine, place, command, out
        self._inject = inject
        self._stop = threading.Event()
        self._signal: Optional[int] = None
        self._problem: Optional[BaseException] = None

    def run(self) -> int:
        """Serve until a signal comes or the app ends; returns the exit status."""
        config = self._place.config
        self._out.print(f"watching {config.service} in {self._place.root} (mode {config.mode}); Ctrl-C ends it")
        before = {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        thread = threading.Thread(target=self._serve, name="serve")
        thread.start()
        try:
            status = self._supervise() if self._command else self._wait()
        finally:
            self._stop.set()
            if self._signal:
                self._out.print("stopping; the check that is under way ends first", style="dim")
            thread.join()
            for number, handler in before.items():
                signal.signal(number, handler)
        if self._problem is not None:
            raise self._problem
        return 128 + self._signal if self._signal else status

    def _on_signal(self, number: int, _frame: Optional[FrameType]) -> None:
        self._signal = number
        self._stop.set()

    def _serve(self) -> None:
        try:
            self._engine.serve(self._stop)
        except BaseException as error:  # raised again in the main thread
            self._problem = error
        self._stop.set()

    def _wait(self) -> int:
        while not self._stop.wait(0.2):
            pass
        return 0

    def _supervise(self) -> int:
        from homeostasis.supervisor import Supervisor

        app = Supervisor(self._command, self._place, self._variables())
        if self._stop.is_set():
            return 0
        app.start()
        self._out.print(f"started {plain(' '.join(self._command))} (process {app.pid})", style="dim")
        try:
            return self._until_end(app)
        finally:
            app.stop(GRACE)

    def _variables(self) -> Dict[str, str]:
        """What is added to the environment of the app."""
        from homeostasis import injection

        if not (self._inject and self._place.config.monitoring.inject and injection.wanted(os.environ)):
            return {}
        self._place.share_settings()  # before the app starts, which reads them once
        try:
            directory = injection.inject(self._place.state / injection.DIRECTORY, adapters=True)
        except OSError as error:
            self._out.print(f"the app is not monitored by itself: {plain(str(error))}", style="yellow")
            return {}
        return injection.monitoring(directory, os.environ)

    def _until_end(self, app: Supervisor) -> int:
        while not self._stop.is_set():
            status = app.wait(0.2)  # a restart by a deployer is no end
            if status is not None:
                self._out.print(f"the app ended by itself with status {status}", style="bold red")
                return status if status >= 0 else 128 - status
        return 0
