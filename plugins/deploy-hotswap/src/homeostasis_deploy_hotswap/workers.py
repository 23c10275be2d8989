"""Talking to the workers of an app."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from homeostasis.errors import DeployError
from homeostasis.models.patch import content_hash
from homeostasis.monitoring.channel import ChannelError, call, load_key

if TYPE_CHECKING:
    from homeostasis.models import Patch
    from homeostasis.project import Project
    from homeostasis.workers import Worker


def ask(worker: Worker, project: Project, request: dict[str, Any], timeout: float) -> dict[str, Any]:
    """Send a request and return the answer.

    Raises:
        ChannelError: it cannot be reached, or another process answers.
    """
    if worker.control is None:
        raise ChannelError(f"worker {worker.pid} opened no control socket")
    answer = call(worker.control, load_key(project.state), request, timeout)
    if answer.get("pid") != worker.pid:
        raise ChannelError(f"{worker.control} is served by process {answer.get('pid')} instead of worker {worker.pid}")
    return answer


def files_of(patch: Patch, *, reverse: bool = False) -> list[dict[str, Any]]:
    """The edits in the form that workers take; reversed, they lead back."""
    files = []
    for edit in patch.edits:
        before, after = (edit.after, edit.before) if reverse else (edit.before, edit.after)
        if after is None or edit.path == patch.regression_test:
            continue  # taking a new file away changes nothing that runs, and no worker loads a test
        files.append(
            {
                "path": edit.path,
                "before_sha256": None if before is None else content_hash(before),
                "before": None if before is None else base64.b64encode(before).decode("ascii"),
                "after": base64.b64encode(after).decode("ascii"),
            }
        )
    return files


def check_key(project: Project) -> None:
    """Make sure that there is a key, and that it can be trusted.

    Raises:
        DeployError: it cannot.
    """
    try:
        load_key(project.state)
    except ChannelError as error:
        raise DeployError(str(error)) from error
