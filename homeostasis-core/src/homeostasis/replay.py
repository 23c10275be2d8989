"""The orchestrator's side of a replay: what is asked of `homeostasis.monitoring.replay` in a trial, and its answer.

Validators share runs. The question to a trial depends only on the incident, so reproduction and healthy traffic ask
the same one, and a trial answers a question that it was asked before from memory.
"""

from __future__ import annotations

import base64
import binascii
import json
from pathlib import PurePosixPath
from typing import Any, Callable

from pydantic import Field, ValidationError

from homeostasis.autostart.tasks import LostTask
from homeostasis.command_capture import PYTHON_NAME
from homeostasis.models import Check, Completed, Event, Frame, Incident, Model, Patch, Request, Trial
from homeostasis.project import Project
from homeostasis.recognition import brief

MAX_HEALTHY = 40
"""Healthy requests that one replay sends; more would cost time and say little new."""

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")

WEBSOCKET_SCHEMES = ("ws", "wss")
"""Schemes of requests that opened a WebSocket: what was sent over it is not recorded, so it cannot be opened again."""

_REPLAY = ["{python}", "-m", "homeostasis.monitoring.replay"]


class NotReplayed(Exception):
    """A replay gave no answer."""


class Answer(Model):
    """How the app answered one request in a trial."""

    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    events: tuple[Event, ...] = ()
    error: str | None = None


class ModuleResult(Model):
    """Whether an edited file compiles and can be imported in a trial."""

    path: str
    syntax: str | None = Field(default=None, description="Why it does not compile.")
    error: str | None = Field(default=None, description="Why it cannot be imported.")


class Answers(Model):
    """The answers of one replay: those of the healthy requests, then that of the crash."""

    healthy: tuple[Answer, ...] = ()
    crash: Answer | None = None
    import_error: Event | None = Field(default=None, description="Why the app could not be imported, made or started.")
    modules: tuple[ModuleResult, ...] = ()

    def started(self) -> Answers:
        """The answers themselves, of an app that did start.

        Raises:
            NotReplayed: it did not.
        """
        if self.import_error is not None:
            raise NotReplayed(f"the app does not start in the sandbox: {brief(self.import_error)}")
        return self


class CallResult(Model):
    """How a call that was made again ended."""

    events: tuple[Event, ...] = ()
    refusal: str | None = None
    returned: str | None = Field(default=None, description="The value, if it is a short literal.")


class FailedTest(Model):
    """A test that failed in a command, and the fingerprint of its crash; None for a failed assertion."""

    test: str
    fingerprint: str | None = None


class CommandResult(Model):
    """How a command that was run again ended."""

    returncode: int | None = None
    events: tuple[Event, ...] = ()
    failures: tuple[FailedTest, ...] = ()
    output: str = ""
    error: str | None = Field(default=None, description="Why it could not be started.")


def app_of(project: Project, incident: Incident) -> str | None:
    """Import path of the app: the configured one, else the one that the crashing process knew."""
    return project.config.app or incident.event.runtime.app


def healthy_requests(trial: Trial, incident: Incident) -> list[Request]:
    """The recorded healthy requests that may be sent again in this trial.

    Without a network namespace a request with side effects might reach a live service, so only safe methods are sent.
    """
    whole = [request for request in incident.healthy if not request.body_truncated]
    if trial.isolation != "bubblewrap":
        whole = [request for request in whole if request.method in SAFE_METHODS]
    return whole[:MAX_HEALTHY]


def replay_requests(
    trial: Trial, incident: Incident, project: Project, *, patch: Patch | None = None, attempt: int = 0
) -> Answers:
    """Send the healthy requests and then the one that crashed, if there is one, to the app in the trial.

    Args:
        trial: the base or a candidate.
        incident: what is replayed.
        project: names the app.
        patch: whose files are compiled and imported too; by default the trial's own.
        attempt: another number asks anew instead of getting the remembered answer.

    Raises:
        NotReplayed: the app is not known, or the replay ended early.
    """
    app = app_of(project, incident)
    if app is None:
        raise NotReplayed('the app is not known: set app = "module:app" in [tool.homeostasis]')
    healthy = healthy_requests(trial, incident)
    crashed = incident.event.request
    crash = [crashed] if crashed is not None and crashed.scheme not in WEBSOCKET_SCHEMES else []
    requests = [json.loads(request.model_dump_json()) for request in (*healthy, *crash)]
    modules = modules_of(patch or trial.patch, incident, project)
    # It only comes about when garbage is collected.
    collect = any(raised.type == LostTask.__name__ for raised in incident.event.exceptions)
    question = {"app": app, "requests": requests, "modules": modules, "attempt": attempt, "collect": collect}
    answer = _ask(trial, "homeostasis.monitoring.replay", question, project, cwd=_directory(incident, project))
    found: Answers = _validated(Answers, {key: answer[key] for key in ("import_error", "modules") if key in answer})
    if found.import_error is not None:
        return found
    sent = answer.get("requests")
    answers: list[Answer] = [_validated(Answer, item) for item in (sent if isinstance(sent, list) else ())]
    if len(answers) != len(requests):
        raise NotReplayed("the replay ended before all requests were answered")
    return found.model_copy(update={"healthy": tuple(answers[: len(healthy)]), "crash": answers[-1] if crash else None})


def warm_up(trial: Trial, project: Project, incident: Incident | None) -> None:
    """Have the sandbox prepare for replays of this app, in the background, by a replay whose answer nobody hears.

    Args:
        trial: the base.
        project: names the app, if the incident does not.
        incident: whose request is sent; without one, a `GET /`, so that what is imported by a request is imported.
    """
    app = project.config.app if incident is None else app_of(project, incident)
    if app is None:
        return
    crash = incident.event.request if incident is not None else None
    request = json.loads(crash.model_dump_json()) if crash is not None else {"method": "GET", "path": "/"}
    question = _question(trial, {"app": app, "requests": [request]}, project)
    trial.warm_up(
        _REPLAY,
        stdin=question,
        cwd="." if incident is None else _directory(incident, project),
        timeout=project.config.validation.replay_timeout,
    )


def compared(base: Trial, compare: Callable[[], Check]) -> Check:
    """What a comparison of the base with a candidate says, made again if it was not made under the same conditions.

    So it is if the warm interpreter has ended meanwhile: one side was a fork, the other a fresh process. The second
    time both are fresh.
    """
    warm = base.warm
    check = compare()
    return check if base.warm == warm else compare()


def check_modules(trial: Trial, incident: Incident, patch: Patch, project: Project) -> tuple[ModuleResult, ...]:
    """Compile and import the files that a patch edits, in the base or in the candidate.

    Raises:
        NotReplayed: the trial gave no answer.
    """
    if incident.event.request is not None and app_of(project, incident) is not None:
        return replay_requests(trial, incident, project, patch=patch).modules  # the run that reproduction needs anyway
    question = {"modules": modules_of(patch, incident, project)}
    answer = _ask(trial, "homeostasis.monitoring.replay", question, project, cwd=_directory(incident, project))
    found: Answers = _validated(Answers, {"modules": answer.get("modules", [])})
    return found.modules


def modules_of(patch: Patch | None, incident: Incident, project: Project) -> list[tuple[str, str | None]]:
    """The edited Python files with their modules' names; None for a script, which would run if it were imported."""
    known = {frame.path: frame.module for raised in incident.event.exceptions for frame in raised.frames}
    found: list[tuple[str, str | None]] = []
    for edit in patch.edits if patch is not None else ():
        if edit.path.endswith(".py"):
            name = known.get(str(project.root / edit.path)) or _module_name(edit.path)
            found.append((edit.path, None if name == "__main__" else name))
    return found


def _module_name(path: str) -> str | None:
    parts = PurePosixPath(path).with_suffix("").parts
    parts = parts[1:] if parts[0] == "src" and len(parts) > 1 else parts
    parts = parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts
    return ".".join(parts) if all(part.isidentifier() for part in parts) else None


def _directory(incident: Incident, project: Project) -> str:
    """Where the crashing process ran, relative to the root: its modules are found from there."""
    try:
        relative = PurePosixPath(incident.event.runtime.cwd or "").relative_to(str(project.root))
    except ValueError:
        return "."
    return relative.as_posix() if (project.root / relative).is_dir() else "."


def replay_call(trial: Trial, frame: Frame, project: Project) -> CallResult:
    """Call the function of a recorded frame again with its recorded arguments.

    Raises:
        NotReplayed: the replay gave no answer.
    """
    arguments = [
        [name, json.loads(frame.locals[name].model_dump_json())] for name in frame.arguments if name in frame.locals
    ]
    call = {"module": frame.module, "qualname": frame.qualname or frame.function, "arguments": arguments}
    answer = _ask(trial, "homeostasis.monitoring.replay", {"call": call}, project)
    result: CallResult = _validated(CallResult, answer.get("call") or {})
    return result


def replay_command(trial: Trial, argv: tuple[str, ...], cwd: str | None, project: Project) -> CommandResult:
    """Run a command again under capture.

    Args:
        trial: the base or a candidate.
        argv: the command; its words may name files below the project's root.
        cwd: directory relative to the root.
        project: gives the time limit.

    Raises:
        NotReplayed: the replay gave no answer, or the command could not be started.
    """
    words = _words(argv, trial, project)
    timeout = project.config.validation.test_timeout
    question = {"argv": words, "cwd": str(PurePosixPath(str(trial.root)) / (cwd or "."))}
    answer = _ask(trial, "homeostasis.monitoring.command", question, project, timeout=timeout)
    result: CommandResult = _validated(CommandResult, answer)
    if result.error is not None:
        raise NotReplayed(result.error)
    return result


def _ask(
    trial: Trial,
    module: str,
    question: dict[str, Any],
    project: Project,
    *,
    cwd: str = ".",
    timeout: float | None = None,
) -> dict[str, Any]:
    limit = timeout or project.config.validation.replay_timeout
    argv = ["{python}", "-m", module]
    asked = _question(trial, question, project)
    # The crash of a command may depend on how its process was started, so that only replays are forked.
    done = trial.run(argv, stdin=asked, cwd=cwd, timeout=limit, warm=argv == _REPLAY)
    if done.timed_out:
        raise NotReplayed(f"the replay was not done within {limit:g} s")
    return _answer(done)


def _question(trial: Trial, question: dict[str, Any], project: Project) -> str:
    return json.dumps({**question, "service": project.config.service, "project_root": str(trial.root)})


def _answer(done: Completed) -> dict[str, Any]:
    lines = done.stdout.strip().rsplit("\n", 1)
    try:
        answer = json.loads(lines[-1])
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        said = (done.stderr.strip() or done.stdout.strip()).rsplit("\n", 1)[-1][:300]
        raise NotReplayed(f"the replay ended with status {done.returncode} and without an answer: {said}")
    return answer


def _validated(model: Any, found: Any) -> Any:
    try:
        if model is Answer:
            found = {**found, "body": base64.urlsafe_b64encode(base64.b64decode(found.get("body", ""))).decode()}
        return model.model_validate_json(json.dumps(found))
    except (ValidationError, TypeError, AttributeError, binascii.Error) as error:
        raise NotReplayed(f"the replay gave an answer that cannot be understood: {error}"[:300]) from error


def _words(argv: tuple[str, ...], trial: Trial, project: Project) -> list[str]:
    first = PurePosixPath(argv[0])
    words = ["python" if PYTHON_NAME.match(first.name) else argv[0], *argv[1:]]  # whatever interpreter it was
    return [word.replace(str(project.root), str(trial.root)) for word in words]
