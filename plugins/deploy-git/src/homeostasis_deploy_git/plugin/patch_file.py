"""The plugin `patch-file`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from homeostasis import hookimpl
from homeostasis_deploy_git import patch_file
from homeostasis_deploy_git.settings import PatchFileTable

if TYPE_CHECKING:
    from pydantic import BaseModel

    from homeostasis.hookspecs import Journal
    from homeostasis.models import Incident, Patch, Step, Verdict
    from homeostasis.project import Project


@hookimpl
def homeostasis_settings() -> type[BaseModel]:
    """`[tool.homeostasis.patch-file]`."""
    return PatchFileTable


@hookimpl
def homeostasis_deploy(
    patch: Patch, verdict: Verdict, incident: Incident, project: Project, settings: PatchFileTable, journal: Journal
) -> str:
    """Write a file for `git am`."""
    return patch_file.deploy(patch, verdict, incident, project, settings, journal)


@hookimpl
def homeostasis_undo(step: Step) -> None:
    """Delete the file."""
    patch_file.undo(step)
