"""Merge requests of GitLab, by its REST API (version 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from homeostasis_deploy_git.forges import Proposal, PullRequest
from homeostasis_deploy_git.forges.rest import Refused, Rest

if TYPE_CHECKING:
    from homeostasis_deploy_git.forges import Target

_STATES = {"opened": "open", "locked": "open", "closed": "closed", "merged": "merged"}


class GitLab:
    """One project on GitLab."""

    def __init__(self, target: Target) -> None:
        headers = {"PRIVATE-TOKEN": target.token, "User-Agent": "homeostasis"}
        self._rest = Rest(target.api, headers, target.token)
        self._at = f"/projects/{quote(target.path, safe='')}"

    def main_branch(self) -> str:
        """The project's default branch."""
        return str(self._rest.call("GET", self._at)["default_branch"])

    def find(self, head: str) -> PullRequest | None:
        """The newest merge request from a branch."""
        params = {"source_branch": head, "state": "all", "order_by": "created_at", "sort": "desc", "per_page": 1}
        found = self._rest.call("GET", f"{self._at}/merge_requests", params=params)
        return _read(found[0]) if found else None

    def create(self, proposal: Proposal) -> PullRequest:
        """Open a merge request; its branch is deleted when it is merged."""
        body = {
            "source_branch": proposal.head,
            "target_branch": proposal.base,
            "title": f"Draft: {proposal.title}" if proposal.draft else proposal.title,
            "description": proposal.body,
            "remove_source_branch": True,
        }
        return _read(self._rest.call("POST", f"{self._at}/merge_requests", json=body))

    def update(self, number: int, proposal: Proposal) -> None:
        """Change title and description."""
        title = f"Draft: {proposal.title}" if proposal.draft else proposal.title
        self._change(number, {"title": title, "description": proposal.body})

    def decorate(self, number: int, labels: tuple[str, ...], reviewers: tuple[str, ...]) -> list[str]:
        """Labels are made if they do not exist; reviewers are looked up by user name."""
        refused = []
        ids = []
        for name in reviewers:
            found = self._rest.call("GET", "/users", params={"username": name})
            ids += [int(item["id"]) for item in found[:1]]
            refused += [] if found else [f"there is no user {name}"]
        changed: dict[str, Any] = {
            **({"add_labels": list(labels)} if labels else {}),
            **({"reviewer_ids": ids} if ids else {}),
        }
        try:
            if changed:
                self._change(number, changed)
        except Refused as error:
            refused.append(str(error))
        return refused

    def close(self, number: int) -> None:
        """Close it without merging."""
        self._change(number, {"state_event": "close"})

    def _change(self, number: int, changed: dict[str, Any]) -> None:
        self._rest.call("PUT", f"{self._at}/merge_requests/{number}", json=changed)


def _read(found: dict[str, Any]) -> PullRequest:
    return PullRequest(int(found["iid"]), str(found["web_url"]), _STATES.get(str(found["state"]), "closed"))
