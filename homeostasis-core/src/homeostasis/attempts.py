"""The ways in which a recorded crash is made to happen again in a trial, best first."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Iterator, NamedTuple

from homeostasis.models import Command, Event, Frame, Incident, Trial
from homeostasis.project import Project
from homeostasis.recognition import crashes
from homeostasis.replay import (
    WEBSOCKET_SCHEMES,
    FailedTest,
    NotReplayed,
    app_of,
    replay_call,
    replay_command,
    replay_requests,
)

MAX_CALLS = 3
"""Frames whose call is tried, from the outermost of the app inwards: the more of the stack is real, the better."""


class Observed(NamedTuple):
    """What one reproduction showed in one trial."""

    events: tuple[Event, ...]
    complaint: str | None = None
    """What else is wrong, such as an answer with status 500."""
    failures: tuple[FailedTest, ...] = ()
    status: int | None = None
    """Status code of the answer, or exit status of the command."""
    returned: str | None = None
    """What the call returned, if that is a short literal."""


class Attempt(NamedTuple):
    """One way to make the crash happen again."""

    name: str
    observe: Callable[[Trial], Observed]
    command: Command | None = None
    """The command that is run again, for an attempt that does."""
    frame: Frame | None = None
    """The frame whose call is made again, for an attempt that does."""


def attempts(incident: Incident, project: Project) -> Iterator[Attempt]:
    """All ways that the event allows, best first."""
    event = incident.event
    if event.request is not None:
        yield Attempt(
            f"{event.request.method} {event.request.path}", lambda trial: _by_request(trial, incident, project)
        )
    if event.command is not None:
        argv, cwd = event.command.argv, event.command.cwd
        yield Attempt(
            "command " + " ".join(argv)[:200],
            lambda trial: _by_command(trial, argv, cwd, project),
            command=event.command,
        )
    script = _script_of(event, project)
    if script is not None and event.command is None:
        yield Attempt(
            "script " + " ".join(script[1:])[:200],
            lambda trial: _by_command(trial, script, None, project),
            command=Command(argv=script),
        )
    calls = [frame for frame in event.raised.frames if frame.in_app and frame.module and frame.function != "<module>"]
    for frame in calls[:MAX_CALLS]:
        if frame.module != "__main__":
            name = f"call of {frame.module}:{frame.qualname or frame.function}"
            yield Attempt(name, lambda trial, frame=frame: _by_call(trial, frame, project), frame=frame)  # type: ignore[misc]


def observe_base(attempt: Attempt, base: Trial, incident: Incident) -> Observed:
    """What the unpatched app shows. If that is not the crash and was shown by a fork, a fresh process is asked.

    The trials that are compared with this one run in fresh processes from then on, too.

    Raises:
        NotReplayed: it gave no answer.
    """
    warm = base.warmth().ready
    try:
        seen = attempt.observe(base)
    except NotReplayed:
        if not warm:
            raise
    else:
        if not warm or crashes(seen.events, incident.event):
            return seen
    base.cool()
    return attempt.observe(base)


def _by_request(trial: Trial, incident: Incident, project: Project) -> Observed:
    if app_of(project, incident) is None:
        raise NotReplayed('the app is not known: set app = "module:app" in [tool.homeostasis]')
    request = incident.event.request
    if request is not None and request.scheme in WEBSOCKET_SCHEMES:
        raise NotReplayed("it opened a WebSocket, and what was sent over that is not recorded")
    if request is not None and request.body_truncated:
        raise NotReplayed("the body of the request was too long to be recorded whole")
    answer = replay_requests(trial, incident, project).started().crash
    if answer is None or answer.status is None:
        raise NotReplayed("the app gave no answer")
    complaint = f"the answer has status {answer.status}" if answer.status >= 500 else None
    return Observed(answer.events, complaint, status=answer.status)


def _by_command(trial: Trial, argv: tuple[str, ...], cwd: str | None, project: Project) -> Observed:
    result = replay_command(trial, argv, cwd, project)
    complaint = None
    if result.returncode:
        last = result.output.strip().rsplit("\n", 1)[-1][:200]
        complaint = f"the command ends with status {result.returncode}: {last}"
    return Observed(result.events, complaint, result.failures, result.returncode)


def _by_call(trial: Trial, frame: Frame, project: Project) -> Observed:
    result = replay_call(trial, frame, project)
    if result.refusal is not None:
        raise NotReplayed(result.refusal)
    return Observed(result.events, returned=result.returned)


def _script_of(event: Event, project: Project) -> tuple[str, ...] | None:
    """The command that runs the script at the bottom of the stack, if it is one of the project's."""
    frames = event.raised.frames
    if not frames or frames[0].function != "<module>" or frames[0].module not in (None, "__main__"):
        return None
    path = Path(frames[0].path)
    file = path if path.is_absolute() else project.root / path
    try:
        relative = file.resolve().relative_to(project.root)
    except (ValueError, OSError):
        return None
    if not file.is_file() or file.suffix != ".py":
        return None
    argv = event.runtime.argv
    arguments = argv[1:] if argv and Path(argv[0]).name == file.name else ()
    return ("python", relative.as_posix(), *arguments)
