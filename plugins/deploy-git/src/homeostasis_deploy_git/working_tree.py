"""Writes a patch into the files that the app runs from, and puts the old bytes back."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from homeostasis.errors import DeployError, PatchConflict, UnsafePath
from homeostasis.models.patch import content_hash, resolve_inside
from homeostasis_deploy_git.git import Repository
from homeostasis_deploy_git.three_way import Conflict, Sides, merge

if TYPE_CHECKING:
    from pathlib import Path

    from homeostasis.hookspecs import Journal
    from homeostasis.models import FileEdit, Patch, Step
    from homeostasis.project import Project


def deploy(patch: Patch, project: Project, journal: Journal) -> str:
    """Write all files of the patch, or none.

    Raises:
        DeployError: a file lies outside `source`, is no plain file, was edited meanwhile or cannot be written.
    """
    for edit in patch.edits:
        if edit.path != patch.regression_test and not project.covers(edit.path):
            raise DeployError(f"{edit.path} lies outside source = {list(project.config.source)}: it is never written")
        if not _holds_either(edit, project.root):
            raise DeployError(f"{edit.path} was edited since the patch was made: heal the incident again")
    journal.intend({"files": [_record(edit) for edit in patch.edits]})
    try:
        patch.apply(project.root)
    except PatchConflict as error:
        raise DeployError(f"{error}; nothing was written") from error
    except (UnsafePath, OSError) as error:
        raise DeployError(f"the patch cannot be written: {error}; nothing was changed") from error
    journal.fact("paths", [edit.path for edit in patch.edits])
    return f"wrote {', '.join(edit.path for edit in patch.edits)}"


def undo(step: Step, patch: Patch, project: Project) -> None:
    """Put the bytes back that the files held before. Files that hold them already are left alone.

    Where later work touched a file, only the patch's own lines are taken out of it, by a three-way merge.

    Raises:
        DeployError: that work and the patch touch the same lines, or a file cannot be written. Nothing was written.
    """
    if not step.undo:
        return  # it had not come to the point of writing
    _check_record(step, patch)
    try:
        backwards = [_backwards(edit, project.root) for edit in patch.edits]
        patch.model_copy(update={"edits": tuple(edit for edit in backwards if edit is not None)}).undo(project.root)
    except PatchConflict as error:
        raise DeployError(f"{error}: somebody is editing it at this moment; roll back again") from error
    except (UnsafePath, OSError) as error:
        raise DeployError(f"the old bytes cannot be written back: {error}; put it right and roll back again") from error


def _backwards(edit: FileEdit, root: Path) -> FileEdit | None:
    """The edit whose undoing takes this one out of the file as it is now; None if it is not in there any more."""
    target = resolve_inside(root, edit.path)
    current = target.read_bytes() if target.exists() else None
    if current in (edit.before, edit.after):
        return edit
    if current is None:  # the file is gone, and the patch's lines with it
        return None
    if edit.before is None:
        raise DeployError(
            f"{edit.path} came with the patch and was edited since: delete it by hand if it is not needed, and roll "
            "back again"
        )
    try:
        without = merge(Repository(root), Sides(current, edit.after, edit.before), ("now", "the patch", "before it"))
    except Conflict as conflict:
        raise DeployError(
            f"{edit.path} was edited in the patch's own lines since, so that they cannot be taken out of it; take them "
            f"out by hand, put the file back as the patch left it, and roll back again. {conflict}"
        ) from conflict
    if _compiles(current) and not _compiles(without):
        raise DeployError(f"{edit.path} would be no Python without the patch: later lines need it; edit it by hand")
    return edit.model_copy(update={"before": without, "after": current})


def _compiles(content: bytes) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the app's style, and no business of a rollback
        try:
            compile(content, "<rolled back>", "exec", dont_inherit=True)
        except (SyntaxError, ValueError):
            return False
    return True


def _holds_either(edit: FileEdit, root: Path) -> bool:
    try:
        target = resolve_inside(root, edit.path)
        current = target.read_bytes() if target.exists() else None
    except (UnsafePath, OSError) as error:
        raise DeployError(f"{edit.path} cannot be read: {error}") from error
    return current in (edit.before, edit.after)


def _record(edit: FileEdit) -> dict[str, str | None]:
    before = None if edit.before is None else content_hash(edit.before)
    return {"path": edit.path, "before": before, "after": content_hash(edit.after)}


def _check_record(step: Step, patch: Patch) -> None:
    if step.undo.get("files") != [_record(edit) for edit in patch.edits]:
        raise DeployError(
            "the release was made from another patch than the ledger shows: restore the files from git by hand"
        )
