"""What the files on the disk hold: servers load them, whatever runs at the moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from homeostasis.errors import DeployError, PatchConflict, UnsafePath
from homeostasis.models.patch import resolve_inside

if TYPE_CHECKING:
    from homeostasis.models import Patch
    from homeostasis.project import Project


def holds_patch(patch: Patch, project: Project) -> bool:
    """Whether all files are as the patch makes them."""
    return all(_bytes(edit.path, project) == edit.after for edit in patch.edits)


def _bytes(path: str, project: Project) -> bytes | None:
    try:
        return resolve_inside(project.root, path).read_bytes()
    except (UnsafePath, OSError):
        return None


def restore(patch: Patch, project: Project) -> None:
    """Put the old bytes back, before workers are asked to run them.

    Steps are undone in reverse, so the step that wrote the files comes later and finds its work done. Were the files
    restored only then, a worker that starts or reloads in between would load the patch again.

    Raises:
        DeployError: a file was edited since.
    """
    try:
        patch.undo(project.root)
    except PatchConflict as error:
        raise DeployError(
            f"{error.args[0].split(' ')[0]} was edited after the patch was applied: take the lines of the patch out by "
            "hand, or put the file back as the patch left it, and roll back again"
        ) from error
    except (UnsafePath, OSError) as error:
        raise DeployError(f"the old bytes cannot be written back: {error}; put it right and roll back again") from error
