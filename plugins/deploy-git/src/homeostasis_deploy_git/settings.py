"""The settings of the deployers."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator

from homeostasis.config import Table

_IDENTITY = re.compile(r"(?P<name>[^<>\x00-\x1f\x7f]*[^<>\s\x00-\x1f\x7f])\s*<(?P<email>[^<>\s\x00-\x1f\x7f]+)>")
_PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(/[A-Za-z0-9][A-Za-z0-9_-]*)*/?")


class CommitTable(Table):
    """What the deployers that make commits have in common."""

    author: str = Field(
        default="Homeostasis <homeostasis@localhost>", description="Author of the commits: `Name <email>`."
    )
    prefix: str = Field(default="homeostasis/", description="What the branch names start with.")
    sign: bool = Field(default=False, description="Sign the commits, with the key of the git configuration.")
    timeout: float = Field(default=120.0, gt=0, description="Seconds for one git command.")

    @field_validator("author")
    @classmethod
    def _is_an_identity(cls, author: str) -> str:
        if _IDENTITY.fullmatch(author) is None:
            raise ValueError("expected `Name <email>`")
        return author

    @field_validator("prefix")
    @classmethod
    def _is_a_branch_prefix(cls, prefix: str) -> str:
        if _PREFIX.fullmatch(prefix) is None:
            raise ValueError("expected the start of a branch name, such as `homeostasis/`")
        return prefix

    @property
    def identity(self) -> tuple[str, str]:
        """Name and email of the author."""
        found = _IDENTITY.fullmatch(self.author)
        assert found is not None  # noqa: S101 - validated above
        return found["name"], found["email"]


class BranchTable(CommitTable):
    """`[tool.homeostasis.git-branch]`."""


class PatchFileTable(CommitTable):
    """`[tool.homeostasis.patch-file]`."""

    directory: str = Field(
        default=".homeostasis/patches", description="Where the files are put, relative to the project or absolute."
    )


class PullRequestTable(CommitTable):
    """`[tool.homeostasis.pull-request]`."""

    forge: Literal["auto", "github", "gitlab"] = Field(
        default="auto", description="What the remote is; `auto` knows it by its host."
    )
    remote: str = Field(default="origin", pattern=r"^[A-Za-z0-9][\w.-]*$", description="Remote that is pushed to.")
    base: str | None = Field(
        default=None, description="Branch that the change is proposed for; by default the remote's main one."
    )
    repository: str | None = Field(
        default=None, description="`owner/name` on the forge; by default read from the remote's URL."
    )
    api: str | None = Field(
        default=None,
        pattern=r"^https?://",
        description="Address of the REST API; by default that of the remote's host.",
    )
    token_variable: str | None = Field(
        default=None, description="Environment variable with the token: GITHUB_TOKEN or GITLAB_TOKEN by default."
    )
    labels: tuple[str, ...] = Field(default=("homeostasis",), description="Labels of the pull request.")
    reviewers: tuple[str, ...] = Field(default=(), description="User names that are asked for a review.")
    draft: bool = Field(default=False, description="Propose it as a draft.")
