"""Pushes a patch to a branch of the remote and proposes it as a pull request; a crash that returns updates it."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from homeostasis.errors import DeployError
from homeostasis_deploy_git.commits import make_commit
from homeostasis_deploy_git.forges import Proposal, Target
from homeostasis_deploy_git.git import GitError, Repository
from homeostasis_deploy_git.message import one_line
from homeostasis_deploy_git.story import pull_request_text

if TYPE_CHECKING:
    from homeostasis.hookspecs import Journal
    from homeostasis.models import Incident, Patch, Step, Verdict
    from homeostasis.project import Project
    from homeostasis_deploy_git.forges import Forge, PullRequest
    from homeostasis_deploy_git.settings import PullRequestTable

_FINGERPRINT = 12


def deploy(
    patch: Patch, verdict: Verdict, incident: Incident, project: Project, settings: PullRequestTable, journal: Journal
) -> str:
    """Push `<prefix><fingerprint>` and open a pull request for it, or update the one that is open.

    Facts: `commit`, `branch`, `pull_request` (its URL) and `number`.

    Raises:
        DeployError: the repository, the remote or the forge did not take it; says why. The token is never shown.
    """
    repository = Repository.around(project.root, settings.timeout)
    target = Target.of(_url(repository, settings.remote), settings)
    made = make_commit(repository, patch, verdict, incident, settings)
    if not made.needed:
        journal.intend({})
        return f"commit {made.parent[:12]} holds the fix already, so nothing is proposed"
    branch = settings.prefix + incident.fingerprint[:_FINGERPRINT]
    remote = _Remote(repository, settings.remote, target)
    previous = remote.commit_of(branch)
    journal.intend({"branch": branch, "commit": made.commit, "previous": previous})
    remote.push(made.commit, branch, previous)
    forge = target.forge()
    proposal = Proposal(
        head=branch,
        base=settings.base or forge.main_branch(),
        title=one_line(patch.summary, 200),
        body=pull_request_text(patch, verdict, incident),
        draft=settings.draft,
    )
    opened, verb = _propose(forge, proposal)
    refused = forge.decorate(opened.number, settings.labels, settings.reviewers)
    for name, value in (
        ("commit", made.commit),
        ("branch", branch),
        ("pull_request", opened.url),
        ("number", opened.number),
    ):
        journal.fact(name, value)
    ahead = _ahead(repository, settings.remote, proposal.base, made.parent)
    remarks = [*refused, *([f"it also shows {ahead} commits that {proposal.base} does not have yet"] if ahead else [])]
    left = f"; but {'; '.join(remarks)}" if remarks else ""
    return f"{verb} {opened.url} from {branch}, {made.how}{left}"


def undo(step: Step, project: Project, settings: PullRequestTable) -> None:
    """Close the pull request if it is open, and take the branch back if it is still as it was pushed.

    Raises:
        DeployError: it was merged already; or the remote or the forge cannot be reached.
    """
    branch, commit, previous = (step.undo.get(name) for name in ("branch", "commit", "previous"))
    if not isinstance(branch, str) or not isinstance(commit, str):
        return
    repository = Repository.around(project.root, settings.timeout)
    target = Target.of(_url(repository, settings.remote), settings)
    remote, forge = _Remote(repository, settings.remote, target), target.forge()
    found = forge.find(branch)
    if found is not None and found.state == "merged":
        raise DeployError(f"{found.url} is merged: revert it there")
    is_ours = remote.commit_of(branch) == commit
    if found is not None and found.state == "open" and is_ours and not isinstance(previous, str):
        forge.close(found.number)
    if is_ours:
        remote.push(previous if isinstance(previous, str) else None, branch, commit)


def _propose(forge: Forge, proposal: Proposal) -> tuple[PullRequest, str]:
    found = forge.find(proposal.head)
    if found is None or found.state != "open":
        return forge.create(proposal), "opened"
    forge.update(found.number, proposal)
    return found, "updated"


def _ahead(repository: Repository, remote: str, base: str, parent: str) -> int:
    """Commits below ours that the base branch lacks, as far as was fetched; 0 if nothing was."""
    tracking = repository.commit_of(f"refs/remotes/{remote}/{base}")
    return int(repository.run("rev-list", "--count", parent, f"^{tracking}")) if tracking else 0


def _url(repository: Repository, remote: str) -> str:
    try:
        return repository.run("remote", "get-url", "--push", remote)
    except GitError as error:
        raise DeployError(
            f"there is no remote {remote!r} ({error}): set remote in [tool.homeostasis.pull-request]"
        ) from error


class _Remote:
    """The branches of the remote. Over HTTP the token is used; over SSH the keys of the user are."""

    def __init__(self, repository: Repository, name: str, target: Target) -> None:
        self._repository, self._name, self._target = repository, name, target

    def commit_of(self, branch: str) -> str | None:
        """The commit that a branch points to there, or None."""
        listed = self._git("ls-remote", self._name, f"refs/heads/{branch}")
        return listed.split()[0] if listed else None

    def push(self, commit: str | None, branch: str, expected: str | None) -> None:
        """Make a branch point to a commit, or delete it, if it points where it is expected to point."""
        lease = f"--force-with-lease=refs/heads/{branch}:{expected or ''}"
        self._git("push", "--quiet", "--no-verify", lease, self._name, f"{commit or ''}:refs/heads/{branch}")

    def _git(self, *arguments: str) -> str:
        try:
            return self._repository.run(*arguments, env=self._credentials())
        except DeployError as error:
            shown = str(error).replace(self._target.token, "***")
            raise DeployError(f"the remote {self._name} did not take it: {shown}") from None

    def _credentials(self) -> dict[str, str]:
        """The token as settings in the environment, where, unlike in arguments, other users cannot see it."""
        if not self._target.over_http:
            return {}
        pair = f"{self._target.git_user}:{self._target.token}".encode()
        return {
            "GIT_CONFIG_COUNT": "2",
            "GIT_CONFIG_KEY_0": "http.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {base64.b64encode(pair).decode()}",
            "GIT_CONFIG_KEY_1": "credential.helper",
            "GIT_CONFIG_VALUE_1": "",
        }
