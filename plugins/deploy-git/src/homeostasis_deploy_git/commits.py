"""Makes the commit of a patch, without a branch: branches, files and pull requests are made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from homeostasis_deploy_git.message import commit_message
from homeostasis_deploy_git.placement import place

if TYPE_CHECKING:
    from homeostasis.models import Incident, Patch, Verdict
    from homeostasis_deploy_git.git import Repository
    from homeostasis_deploy_git.settings import CommitTable


class Made(NamedTuple):
    """A commit: its id, its parent's, and in words how the two belong together. The same id: nothing was to be done."""

    commit: str
    parent: str
    how: str

    @property
    def needed(self) -> bool:
        """Whether the parent does not hold the fix already."""
        return self.commit != self.parent


def make_commit(
    repository: Repository, patch: Patch, verdict: Verdict, incident: Incident, settings: CommitTable
) -> Made:
    """Write the objects of a commit into the repository.

    Raises:
        DeployError: there is no usable repository, or the patch does not fit to it.
    """
    placement = place(repository, patch, settings.prefix)
    tree = repository.tree_with(placement.parent, placement.entries)
    if tree == repository.run("rev-parse", f"{placement.parent}^{{tree}}"):
        return Made(placement.parent, placement.parent, placement.how)
    message = commit_message(patch, verdict, incident)
    return Made(_write(repository, tree, placement.parent, message, settings), placement.parent, placement.how)


def _write(repository: Repository, tree: str, parent: str, message: str, settings: CommitTable) -> str:
    author, author_email = settings.identity
    name, email = repository.config("user.name"), repository.config("user.email")
    committer, committer_email = (name, email) if name and email else (author, author_email)
    env = {
        "GIT_AUTHOR_NAME": author,
        "GIT_AUTHOR_EMAIL": author_email,
        "GIT_COMMITTER_NAME": committer,
        "GIT_COMMITTER_EMAIL": committer_email,
    }
    signing = ("-S",) if settings.sign else ()
    return repository.run("commit-tree", *signing, tree, "-p", parent, "-F", "-", data=message.encode("utf-8"), env=env)
