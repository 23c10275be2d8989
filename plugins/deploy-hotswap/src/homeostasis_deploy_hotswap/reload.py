"""Makes servers load the files anew, and waits until the new workers are there."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable, Literal

from homeostasis import supervisor
from homeostasis.errors import DeployError, UsageError
from homeostasis.monitoring.channel import ChannelError
from homeostasis.workers import Worker, live_workers
from homeostasis_deploy_hotswap.disk import holds_patch, restore
from homeostasis_deploy_hotswap.health import wait_until_healthy
from homeostasis_deploy_hotswap.masters import complaint, reloading_master
from homeostasis_deploy_hotswap.workers import ask, files_of

if TYPE_CHECKING:
    from homeostasis.hookspecs import Journal
    from homeostasis.models import Patch, Step
    from homeostasis.project import Project
    from homeostasis_deploy_hotswap.settings import ReloadTable

_POLL = 0.05
_ANSWER = 10.0
_UNTIL_FIRST_REQUEST = 3.0
"""Seconds that a restarted app gets to show its workers before it is taken for one that nobody has asked yet."""
_NO_WAY = (
    "nothing can make the app load its files anew: start it with `homeostasis run -- COMMAND`, serve it with gunicorn "
    "or with several workers of uvicorn, or set `systemd_unit` or `command` in [tool.homeostasis.reload] (or in "
    "[tool.homeostasis.hotswap] for its fallback)"
)


class NoWayError(DeployError):
    """The app is served by nothing that we can reload."""


@dataclass(frozen=True)
class Reloaded:
    """What a reload did.

    Attributes:
        method: `reload` if the server kept serving, `restart` if the app was started anew.
        workers: process ids of the new workers.
        summary: in a phrase.
    """

    method: Literal["reload", "restart"]
    workers: tuple[int, ...]
    summary: str


def deploy(patch: Patch, project: Project, settings: ReloadTable, journal: Journal) -> str:
    """Reload the app, whose files must hold the patch.

    Facts: `method`, `workers`.

    Raises:
        DeployError: the files do not hold the patch, there is no way to reload, or the new workers do not come up.
    """
    if not holds_patch(patch, project):
        raise DeployError(
            "the files do not hold the patch, so a reload would change nothing: put working-tree before reload"
        )
    journal.intend({"reloads": True})
    done = reload(patch, project, settings)
    journal.fact("method", done.method)
    journal.fact("workers", list(done.workers))
    return done.summary


def undo(step: Step, patch: Patch, project: Project, settings: ReloadTable) -> None:
    """Put the old bytes back and reload once more.

    Raises:
        DeployError: a file was edited since, or the app cannot be reloaded.
    """
    if not step.undo:
        return
    restore(patch, project)
    try:
        reload(patch, project, settings, forward=False)
    except NoWayError:
        if "method" in step.facts:
            raise
        # There was no way to reload then either, so the patched files were never loaded.


def reload(patch: Patch, project: Project, settings: ReloadTable, *, forward: bool = True) -> Reloaded:
    """Reload by the gentlest way that there is.

    Args:
        patch: what the new workers must run afterwards.
        project: the app.
        settings: the way, if it is neither gunicorn nor supervised, and how long it may take.
        forward: False if the new workers must run what was before the patch.

    Raises:
        DeployError: there is no way, or the new workers do not come up, are unhealthy or run other code.
    """
    old = live_workers(project)
    running = supervisor.current(project.root)
    method, how = _choose(old, running, project, settings)()
    new = _await_workers(old, running, project, settings.timeout, silent=method == "restart")
    if settings.health_url is not None:
        wait_until_healthy(settings.health_url, settings.timeout)
    if not new:
        new = live_workers(project)  # the health check may have woken them
    _check_code(new, patch, project, forward)
    serving = f"{len(new)} new workers serve" if new else "no worker has registered yet"
    return Reloaded(method, tuple(worker.pid for worker in new), f"{how}; {serving}")


_Way = Callable[[], "tuple[Literal['reload', 'restart'], str]"]


def _choose(old: list[Worker], running: supervisor.Supervisor | None, project: Project, settings: ReloadTable) -> _Way:
    command = settings.reload_command
    if command:
        return lambda: _run_command(command, project, settings.timeout)
    master_of = {worker.pid: reloading_master(worker) for worker in old}
    masters = sorted({master for master in master_of.values() if master is not None})
    if masters and None not in master_of.values():
        return lambda: _hang_up(masters)
    if running is not None:
        return lambda: _restart(running, settings.timeout)
    raise NoWayError(next(filter(None, map(complaint, old)), _NO_WAY))


def _run_command(
    command: tuple[str, ...], project: Project, timeout: float
) -> tuple[Literal["reload", "restart"], str]:
    shown = shlex.join(command)
    try:
        done = subprocess.run(  # the command that the project's owner has set
            list(command),
            cwd=str(project.root),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DeployError(f"{shown} took longer than {timeout:g} s: raise timeout or let it return at once") from error
    except OSError as error:
        raise DeployError(f"{shown} cannot be run: {error}") from error
    if done.returncode != 0:
        last = (done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no message"])[-1]
        raise DeployError(f"{shown} ended with {done.returncode}: {last[:300]}")
    return "restart", f"ran {shown}"


def _hang_up(masters: list[int]) -> tuple[Literal["reload", "restart"], str]:
    for master in masters:
        try:
            os.kill(master, signal.SIGHUP)
        except OSError as error:
            raise DeployError(f"the server's master {master} cannot be signalled: {error}") from error
    return "reload", f"sent SIGHUP to the server ({', '.join(map(str, masters))})"


def _restart(running: supervisor.Supervisor, timeout: float) -> tuple[Literal["reload", "restart"], str]:
    try:
        running.restart(timeout)
    except UsageError as error:
        raise DeployError(f"the app cannot be restarted: {error}") from error
    return "restart", "restarted the app's command"


def _await_workers(
    old: list[Worker], running: supervisor.Supervisor | None, project: Project, timeout: float, *, silent: bool
) -> list[Worker]:
    """Wait until the old workers are gone and as many new ones are there; without old ones nobody is waited for.

    Args:
        old: those before the reload.
        running: what supervises the app, if it does.
        project: the app.
        timeout: seconds.
        silent: the new ones may serve without being known: other servers than gunicorn register at the first request.
    """
    before = {worker.pid for worker in old}
    begun = time.monotonic()
    while True:
        if running is not None and running.returncode is not None:
            raise DeployError(f"the app ended with {running.returncode} after the restart: look into its log")
        living = live_workers(project)
        new = [worker for worker in living if worker.pid not in before]
        waited = time.monotonic() - begun
        all_new = len(new) == len(living)
        if all_new and (len(new) >= len(before) or (silent and waited > _UNTIL_FIRST_REQUEST)):
            return new
        if waited > timeout:
            left = sorted(before & {worker.pid for worker in living})
            state = f"old workers {left} still serve" if left else f"{len(new)} of {len(before)} new workers have come"
            raise DeployError(f"{state} {timeout:g} s after the reload: look into the app's log, or raise timeout")
        time.sleep(_POLL)


def _check_code(new: list[Worker], patch: Patch, project: Project, forward: bool) -> None:
    files = files_of(patch, reverse=not forward)
    for worker in new:
        if worker.control is None or not files:
            continue
        try:
            answer = ask(worker, project, {"do": "verify", "files": files}, _ANSWER)
        except ChannelError:
            continue  # it has just started; what it loaded is what the disk holds
        if answer.get("ok") and not answer.get("runs"):
            raise DeployError(
                f"worker {worker.pid} runs the code of before the reload (gunicorn with preload does that): set "
                "`systemd_unit` or `command` to something that starts the app anew"
            )
