"""Commits a patch on a branch of its own, and takes the branch back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from homeostasis.errors import DeployError
from homeostasis_deploy_git.commits import make_commit
from homeostasis_deploy_git.git import GitError, Repository
from homeostasis_deploy_git.message import one_line

if TYPE_CHECKING:
    from homeostasis.hookspecs import Journal
    from homeostasis.models import Incident, Patch, Step, Verdict
    from homeostasis.project import Project
    from homeostasis_deploy_git.settings import BranchTable

_HEADS = "refs/heads/"
_MOST_ATTEMPTS = 100


def deploy(
    patch: Patch, verdict: Verdict, incident: Incident, project: Project, settings: BranchTable, journal: Journal
) -> str:
    """Commit the patch on `<prefix><incident id>`, or on a numbered one if that is taken.

    Facts: `commit`, `branch`, and `base`, the commit's parent.

    Raises:
        DeployError: there is no usable repository, or the patch does not fit to it.
    """
    repository = Repository.around(project.root, settings.timeout)
    made = make_commit(repository, patch, verdict, incident, settings)
    if not made.needed:
        journal.intend({})
        journal.fact("commit", made.parent)
        return f"commit {made.parent[:12]} holds the fix already, so no branch was made"
    commit = made.commit
    ref, previous = _free_ref(repository, _HEADS + settings.prefix + _safe(incident.id), made.parent)
    journal.intend({"ref": ref, "commit": commit, "previous": previous})
    note = f"homeostasis: {one_line(patch.summary, 80)}"
    try:
        repository.run("update-ref", "-m", note, ref, commit, previous or "")
    except GitError as error:
        name = settings.prefix.rstrip("/")
        raise DeployError(
            f"the branch cannot be made ({error}): a branch named {name!r} may be in its way, rename it"
        ) from error
    branch = ref[len(_HEADS) :]
    journal.fact("commit", commit)
    journal.fact("branch", branch)
    journal.fact("base", made.parent)
    return f"committed {commit[:12]} on branch {branch}, {made.how}"


def undo(step: Step, project: Project, settings: BranchTable) -> None:
    """Take the branch back if it is still as it was made. One that was moved or is checked out is left to its user.

    Raises:
        DeployError: the repository cannot be used.
    """
    ref, commit = step.undo.get("ref"), step.undo.get("commit")
    if not isinstance(ref, str) or not isinstance(commit, str) or not ref.startswith(_HEADS):
        return
    repository = Repository.around(project.root, settings.timeout)
    if repository.commit_of(ref) != commit or _checked_out(repository, ref):
        return
    previous = step.undo.get("previous")
    try:
        if isinstance(previous, str):
            repository.run("update-ref", "-m", "homeostasis: rolled back", ref, previous, commit)
        else:
            repository.run("update-ref", "-d", ref, commit)
    except GitError as error:
        raise DeployError(f"{ref} cannot be taken back ({error}): delete the branch by hand") from error


def _free_ref(repository: Repository, wanted: str, parent: str) -> tuple[str, str | None]:
    """A ref that may be made or moved forward, and where it points now."""
    for number in range(1, _MOST_ATTEMPTS):
        ref = wanted if number == 1 else f"{wanted}-{number}"
        current = repository.commit_of(ref)
        if current is None:
            return ref, None
        if current == parent and not _checked_out(repository, ref):
            return ref, current
    raise DeployError(
        f"{wanted} and {_MOST_ATTEMPTS} more branches of this incident exist: delete those that you do not need"
    )


def _checked_out(repository: Repository, ref: str) -> bool:
    return bool(repository.run("for-each-ref", "--format=%(worktreepath)", ref))


def _safe(incident_id: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", incident_id).strip("-") or "incident"
