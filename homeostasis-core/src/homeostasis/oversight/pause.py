"""The kill switch: while the file `.homeostasis/paused` exists, nothing is deployed, whoever approved it.

Analysis goes on, and so do rollbacks. The file may be made by any means; what it holds is shown as the reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from homeostasis.project import Project

NAME = "paused"
_LONGEST = 400


def paused(project: Project) -> str | None:
    """Why deployments are paused, in a phrase; None if they are not."""
    try:
        with _file(project).open(encoding="utf-8", errors="replace") as stream:
            said = " ".join(stream.read(_LONGEST).split())
    except FileNotFoundError:
        return None
    except OSError as error:  # a directory, or unreadable: whoever put it there meant to stop us
        said = error.strerror or str(error)
    return said or "no reason given"


def pause(project: Project, actor: str, reason: str = "") -> None:
    """Stop all deployments."""
    _file(project).write_text(f"{actor}{': ' if reason else ''}{reason}\n", encoding="utf-8")


def resume(project: Project) -> bool:
    """Allow deployments again. Returns whether they were paused."""
    try:
        _file(project).unlink()
    except FileNotFoundError:
        return False
    return True


def _file(project: Project) -> Path:
    return project.state / NAME
