"""The plugin `git-branch`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from homeostasis import hookimpl
from homeostasis_deploy_git import branch
from homeostasis_deploy_git.settings import BranchTable

if TYPE_CHECKING:
    from pydantic import BaseModel

    from homeostasis.hookspecs import Journal
    from homeostasis.models import Incident, Patch, Step, Verdict
    from homeostasis.project import Project


@hookimpl
def homeostasis_settings() -> type[BaseModel]:
    """`[tool.homeostasis.git-branch]`."""
    return BranchTable


@hookimpl
def homeostasis_deploy(
    patch: Patch, verdict: Verdict, incident: Incident, project: Project, settings: BranchTable, journal: Journal
) -> str:
    """Commit the patch on a branch of its own."""
    return branch.deploy(patch, verdict, incident, project, settings, journal)


@hookimpl
def homeostasis_undo(step: Step, project: Project, settings: BranchTable) -> None:
    """Take the branch back."""
    branch.undo(step, project, settings)
