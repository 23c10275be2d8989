"""Pull requests of GitHub, by its REST API (version 2022-11-28)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from homeostasis_deploy_git.forges import Proposal, PullRequest
from homeostasis_deploy_git.forges.rest import Refused, Rest

if TYPE_CHECKING:
    from homeostasis_deploy_git.forges import Target


class GitHub:
    """One repository on GitHub, or on a GitHub Enterprise Server."""

    def __init__(self, target: Target) -> None:
        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {target.token}",
            "X-GitHub-Api-Version": "2022-11-28",
            "User-Agent": "homeostasis",
        }
        self._rest = Rest(target.api, headers, target.token)
        self._owner = target.path.split("/")[0]
        self._at = "/repos/" + "/".join(quote(part, safe="") for part in target.path.split("/"))

    def main_branch(self) -> str:
        """The repository's default branch."""
        return str(self._rest.call("GET", self._at)["default_branch"])

    def find(self, head: str) -> PullRequest | None:
        """The newest pull request from a branch of this repository."""
        params = {
            "head": f"{self._owner}:{head}",
            "state": "all",
            "sort": "created",
            "direction": "desc",
            "per_page": 1,
        }
        found = self._rest.call("GET", f"{self._at}/pulls", params=params)
        return _read(found[0]) if found else None

    def create(self, proposal: Proposal) -> PullRequest:
        """Open a pull request."""
        body = {**proposal._asdict(), "maintainer_can_modify": True}
        return _read(self._rest.call("POST", f"{self._at}/pulls", json=body))

    def update(self, number: int, proposal: Proposal) -> None:
        """Change title and body."""
        changed = {"title": proposal.title, "body": proposal.body}
        self._rest.call("PATCH", f"{self._at}/pulls/{number}", json=changed)

    def decorate(self, number: int, labels: tuple[str, ...], reviewers: tuple[str, ...]) -> list[str]:
        """Labels are made if they do not exist; a reviewer who is no collaborator is refused by GitHub."""
        wanted: list[tuple[str, dict[str, Any]]] = []
        if labels:
            wanted.append((f"{self._at}/issues/{number}/labels", {"labels": list(labels)}))
        if reviewers:
            wanted.append((f"{self._at}/pulls/{number}/requested_reviewers", {"reviewers": list(reviewers)}))
        refused = []
        for path, body in wanted:
            try:
                self._rest.call("POST", path, json=body)
            except Refused as error:
                refused.append(str(error))
        return refused

    def close(self, number: int) -> None:
        """Close it without merging."""
        self._rest.call("PATCH", f"{self._at}/pulls/{number}", json={"state": "closed"})


def _read(found: dict[str, Any]) -> PullRequest:
    state = "merged" if found.get("merged_at") else str(found["state"])
    return PullRequest(int(found["number"]), str(found["html_url"]), state)
