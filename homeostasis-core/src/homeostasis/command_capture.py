"""`run_captured`: run a command of the user's as it is, live, and return the events of the exceptions nobody caught."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import IO, Sequence

from homeostasis import injection
from homeostasis.errors import UsageError
from homeostasis.models import Command, Event
from homeostasis.monitoring import bootstrap
from homeostasis.project import Project

PYTHON_NAME = re.compile(r"python(\d+(\.\d+)?)?(\.exe)?$")
"""First words that mean "the app's interpreter", whatever their version."""


def run_captured(
    argv: Sequence[str],
    project: Project,
    python: str | None = None,
    *,
    output: IO[str] | None = None,
    timeout: float | None = None,
) -> tuple[int, list[Event]]:
    """Run a command outside any sandbox, in the current directory, with its output on the terminal.

    Args:
        argv: the command; a first word such as `python` or `pytest` is looked up in the app's environment first.
        project: the project whose frames count as the app's.
        python: the app's interpreter; by default `python` of the configuration, else what PATH says.
        output: where the command's standard output goes instead; for a caller that writes JSON there itself.
        timeout: seconds after which the command is killed; by default never.

    Returns:
        The exit status, negative for a signal, and one event for each fingerprint, the first to happen first. Each
        carries the command and its directory relative to the project's root.

    Raises:
        UsageError: there is no such command or interpreter.
    """
    interpreter = _interpreter(python or project.config.python, project)
    env = dict(os.environ)
    path = env.get("PATH", os.defpath)
    env["PATH"] = os.pathsep.join([str(interpreter.parent), path]) if interpreter is not None else path
    words = [_first_word(argv[0], interpreter, env["PATH"]), *argv[1:]]
    with tempfile.TemporaryDirectory(prefix="homeostasis-capture-") as temporary:
        events = Path(temporary) / "events"
        events.mkdir()
        env.update(
            HOMEOSTASIS_PROJECT=str(project.root),
            HOMEOSTASIS_SERVICE=project.config.service,
            HOMEOSTASIS_TRANSPORT="memory",  # the caller gets the events; the spool must not get them too
        )
        env = injection.environment(injection.inject(Path(temporary) / "injection"), env, capture=events)
        try:
            done = subprocess.run(words, env=env, stdout=output, timeout=timeout, check=False)
            status = done.returncode
        except subprocess.TimeoutExpired:
            status = -9
        found = bootstrap.read(events)
    command = Command(argv=tuple(argv), cwd=_relative_cwd(project.root))
    unique = {event["fingerprint"]: event for event in reversed(found)}
    ordered = [event for event in found if unique[event["fingerprint"]] is event]
    return status, [_event(event, command) for event in ordered]


def _event(found: dict[str, object], command: Command) -> Event:
    return Event.model_validate_json(json.dumps(found)).model_copy(update={"command": command})


def _interpreter(name: str | None, project: Project) -> Path | None:
    """The interpreter's absolute path; a relative one is looked for here and from the project's root."""
    if name is None:
        return None
    found = shutil.which(name) or shutil.which(str(project.root / name))
    if found is None:
        raise UsageError(f"{name}: no such interpreter; name its executable file with --python")
    return Path(found).absolute()


def _first_word(word: str, interpreter: Path | None, path: str) -> str:
    if interpreter is not None and PYTHON_NAME.match(word):
        return str(interpreter)
    found = shutil.which(word, path=path)
    if found is None and PYTHON_NAME.match(word):
        found = shutil.which("python3", path=path)
    if found is None:
        raise UsageError(f"{word}: no such command; it was looked for in {path}")
    return found


def _relative_cwd(root: Path) -> str | None:
    try:
        relative = Path.cwd().resolve().relative_to(root).as_posix()
    except ValueError:
        return None
    return None if relative == "." else relative
