"""The plugin `pull-request`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from homeostasis import hookimpl
from homeostasis_deploy_git import pull_request
from homeostasis_deploy_git.settings import PullRequestTable

if TYPE_CHECKING:
    from pydantic import BaseModel

    from homeostasis.hookspecs import Journal
    from homeostasis.models import Incident, Patch, Step, Verdict
    from homeostasis.project import Project


@hookimpl
def homeostasis_settings() -> type[BaseModel]:
    """`[tool.homeostasis.pull-request]`."""
    return PullRequestTable


@hookimpl
def homeostasis_deploy(
    patch: Patch, verdict: Verdict, incident: Incident, project: Project, settings: PullRequestTable, journal: Journal
) -> str:
    """Push a branch and propose it."""
    return pull_request.deploy(patch, verdict, incident, project, settings, journal)


@hookimpl
def homeostasis_undo(step: Step, project: Project, settings: PullRequestTable) -> None:
    """Close the proposal and take the branch back."""
    pull_request.undo(step, project, settings)
