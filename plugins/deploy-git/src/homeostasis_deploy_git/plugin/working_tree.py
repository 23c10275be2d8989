"""The plugin `working-tree`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from homeostasis import hookimpl
from homeostasis_deploy_git import working_tree

if TYPE_CHECKING:
    from homeostasis.hookspecs import Journal
    from homeostasis.models import Patch, Step
    from homeostasis.project import Project


@hookimpl
def homeostasis_deploy(patch: Patch, project: Project, journal: Journal) -> str:
    """Write the patched files."""
    return working_tree.deploy(patch, project, journal)


@hookimpl
def homeostasis_undo(step: Step, patch: Patch, project: Project) -> None:
    """Write the old bytes back."""
    working_tree.undo(step, patch, project)
