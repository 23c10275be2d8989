"""The root command: which commands there are, plugins' commands, and how errors end the process."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence

import typer

from homeostasis import __version__
from homeostasis.cli import (
    approve,
    audit,
    demo,
    doctor,
    heal,
    incidents,
    init,
    pause,
    plugins,
    reject,
    retry,
    rollback,
    run,
    show,
    sources,
    stats,
)
from homeostasis.cli.terminal import find_project, plain
from homeostasis.errors import HomeostasisError

CORE_COMMANDS: Dict[str, Callable[..., None]] = {
    "init": init.init,
    "doctor": doctor.doctor,
    "plugins": plugins.plugins,
    "run": run.run,
    "heal": heal.heal,
    "incidents": incidents.incidents,
    "show": show.show,
    "approve": approve.approve,
    "reject": reject.reject,
    "rollback": rollback.rollback,
    "retry": retry.retry,
    "pause": pause.pause,
    "resume": pause.resume,
    "stats": stats.stats,
    "sources": sources.sources,
    "demo": demo.demo,
}
CORE_GROUPS: Dict[str, typer.Typer] = {"audit": audit.app}
_WITH_COMMAND = ("run", "heal")
# typer brings a click of its own since 0.2x, so its exceptions are found through the one that typer exports.
_USAGE_ERROR: Any = typer.BadParameter.__bases__[0]
_CLICK_ERROR: Any = _USAGE_ERROR.__bases__[0]


def build() -> typer.Typer:
    """The application with the commands of core."""
    app = typer.Typer(
        help="Heals running Python services: errors become tested patches that go live and are watched.",
        epilog="Start with: homeostasis init",
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["--help", "-h"]},
    )
    app.callback()(_root)
    for name, command in CORE_COMMANDS.items():
        # What follows the first word of a user's command is that command's, not ours.
        settings = {"allow_interspersed_args": False} if name in _WITH_COMMAND else {}
        app.command(name, context_settings={"help_option_names": ["--help", "-h"], **settings})(command)
    for name, group in CORE_GROUPS.items():
        app.add_typer(group, name=name)
    return app


def _root(
    version: bool = typer.Option(False, "--version", "-V", help="Print the version and end.", is_eager=True),
) -> None:
    if version:
        typer.echo(f"homeostasis {__version__}")
        raise typer.Exit


def invoke(words: List[str]) -> int:
    """Run the command that `words` name and return its exit status; errors end in one sentence on standard error."""
    _log_to_stderr()
    app = build()
    try:
        if _needs_plugins(words):
            _add_plugin_commands(app, words)
        command = typer.main.get_command(app)
        status = command.main(args=words or ["--help"], prog_name="homeostasis", standalone_mode=False)
        return status if isinstance(status, int) else 0 if words else 2
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except _CLICK_ERROR as error:
        return _end(f"{error.format_message().rstrip('.')}; see --help", error.exit_code, error)
    except HomeostasisError as error:
        return _end(str(error), error.exit_code, error)
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        way_out = "this is a defect of Homeostasis: report it as a GitHub issue with what HOMEOSTASIS_DEBUG=1 prints"
        return _end(f"{what} ({way_out})", 3, error)


def _end(message: str, status: int, error: BaseException) -> int:
    if os.environ.get("HOMEOSTASIS_DEBUG") == "1":
        import traceback

        traceback.print_exception(type(error), error, error.__traceback__)
    sys.stderr.write(f"homeostasis: {plain(message)}\n")
    return status


def _needs_plugins(words: Sequence[str]) -> bool:
    """Whether a plugin's command may be meant. Discovery takes some 80 ms, so the commands of core do without."""
    first = next((word for word in words if not word.startswith("-")), None)
    if first is None:
        return not words or "--help" in words or "-h" in words
    return first not in CORE_COMMANDS and first not in CORE_GROUPS


def _add_plugin_commands(app: typer.Typer, words: Sequence[str]) -> None:
    from homeostasis.plugins import load_plugins
    from homeostasis.project import Project

    try:
        load_plugins(Project.load(find_project(_project_option(words)))).register_cli(app)
    except HomeostasisError as error:
        if any(not word.startswith("-") for word in words):
            raise
        # The help of core's commands must be readable in a misconfigured project too.
        sys.stderr.write(f"homeostasis: commands of plugins are not listed: {plain(str(error))}\n")


def _project_option(words: Sequence[str]) -> Optional[Path]:
    for number, word in enumerate(words):
        if word == "--project" and number + 1 < len(words):
            return Path(words[number + 1])
        if word.startswith("--project="):
            return Path(word.split("=", 1)[1])
    return None


class _StderrHandler(logging.Handler):
    """Writes to the standard error of the moment, which a live display may have replaced."""

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            text += f": {type(error).__name__}: {error}"
        sys.stderr.write(f"{record.levelname.lower()}: {plain(text)}\n")


def _log_to_stderr() -> None:
    logger = logging.getLogger("homeostasis")
    if not any(isinstance(handler, _StderrHandler) for handler in logger.handlers):
        logger.addHandler(_StderrHandler(logging.WARNING))
        logger.propagate = False
