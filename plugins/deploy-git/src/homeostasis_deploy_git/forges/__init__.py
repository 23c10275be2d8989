"""The forges that pull requests go to, each behind the same few calls."""

from __future__ import annotations

import os
import re
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from homeostasis.errors import DeployError
from homeostasis_deploy_git.settings import PullRequestTable

_SCP = re.compile(r"(?:[^@/\s]+@)?(?P<host>[A-Za-z0-9.-]+):(?P<path>[^:].*)\Z")
_TOKEN_VARIABLES = {"github": "GITHUB_TOKEN", "gitlab": "GITLAB_TOKEN"}
_TOKEN_USERS = {"github": "x-access-token", "gitlab": "oauth2"}


class Proposal(NamedTuple):
    """What is proposed: `head` and `base` are names of branches in the same repository, `body` is Markdown."""

    head: str
    base: str
    title: str
    body: str
    draft: bool = False


class PullRequest(NamedTuple):
    """A pull or merge request as the forge knows it. `state` is `open`, `closed` or `merged`."""

    number: int
    url: str
    state: str


class Forge(Protocol):
    """The REST calls that are needed. Each raises DeployError, with the forge's own reason."""

    def main_branch(self) -> str:
        """The branch that changes are proposed for by default."""

    def find(self, head: str) -> PullRequest | None:
        """The newest pull request from a branch, whatever its state."""

    def create(self, proposal: Proposal) -> PullRequest:
        """Open a pull request."""

    def update(self, number: int, proposal: Proposal) -> None:
        """Change title and body of an open one."""

    def decorate(self, number: int, labels: tuple[str, ...], reviewers: tuple[str, ...]) -> list[str]:
        """Add labels and ask for reviews; returns what the forge refused, a sentence each."""

    def close(self, number: int) -> None:
        """Close an open one without merging it."""


class Target(NamedTuple):
    """Where to propose: `kind` is `github` or `gitlab`, `path` is `owner/name`, `api` has no slash at its end."""

    kind: str
    api: str
    path: str
    token: str
    over_http: bool

    @classmethod
    def of(cls, url: str, settings: PullRequestTable) -> Target:
        """Work out the forge of a remote.

        Raises:
            DeployError: it cannot be told from the URL, or the token is missing.
        """
        host, path, over_http = _parts(url)
        kind = settings.forge if settings.forge != "auto" else _kind(host)
        if kind is None:
            raise DeployError(
                f'{host or "the remote"} is no forge that is known: set forge = "github" or "gitlab", and api, in '
                "[tool.homeostasis.pull-request]"
            )
        repository = settings.repository or path
        if not repository or "/" not in repository:
            raise DeployError(
                'the remote\'s URL names no repository of a forge: set repository = "owner/name" in '
                "[tool.homeostasis.pull-request]"
            )
        variable = settings.token_variable or _TOKEN_VARIABLES[kind]
        token = os.environ.get(variable, "").strip()
        if not token:
            raise DeployError(f"the environment variable {variable} is not set: it holds the token for {host or kind}")
        return cls(kind, (settings.api or _api(kind, host)).rstrip("/"), repository, token, over_http)

    def forge(self) -> Forge:
        """The client for it."""
        from homeostasis_deploy_git.forges.github import GitHub
        from homeostasis_deploy_git.forges.gitlab import GitLab

        return GitHub(self) if self.kind == "github" else GitLab(self)

    @property
    def git_user(self) -> str:
        """The user name that goes with the token when git pushes over HTTP."""
        return _TOKEN_USERS[self.kind]


def _parts(url: str) -> tuple[str, str, bool]:
    """Host, path without `.git`, and whether it is spoken to over HTTP."""
    split = urlsplit(url)
    if split.scheme in ("http", "https", "ssh", "git"):
        return split.hostname or "", _bare(split.path), split.scheme in ("http", "https")
    scp = _SCP.match(url)
    return (scp["host"], _bare(scp["path"]), False) if scp else ("", "", False)


def _bare(path: str) -> str:
    trimmed = path.strip("/")
    return trimmed[: -len(".git")] if trimmed.endswith(".git") else trimmed


def _kind(host: str) -> str | None:
    return next((kind for kind in ("github", "gitlab") if kind in host.lower().split(".")), None)


def _api(kind: str, host: str) -> str:
    if kind == "gitlab":
        return f"https://{host or 'gitlab.com'}/api/v4"
    return "https://api.github.com" if host in ("", "github.com") else f"https://{host}/api/v3"
