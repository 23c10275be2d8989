"""Writes a patch as a file that `git am` takes, for teams that let nothing else into their repository."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from homeostasis.errors import DeployError
from homeostasis_deploy_git.commits import make_commit
from homeostasis_deploy_git.git import Repository

if TYPE_CHECKING:
    from homeostasis.hookspecs import Journal
    from homeostasis.models import Incident, Patch, Step, Verdict
    from homeostasis.project import Project
    from homeostasis_deploy_git.settings import PatchFileTable

_FORM = ("--stdout", "--binary", "--full-index", "--no-attach", "--no-thread", "--no-numbered", "--no-signature")
_MOST_NAMES = 100


def deploy(
    patch: Patch, verdict: Verdict, incident: Incident, project: Project, settings: PatchFileTable, journal: Journal
) -> str:
    """Write `<directory>/<incident id>.patch`, or a numbered one if that is taken.

    Facts: `patch_file`, and `base`, the commit that it applies to.

    Raises:
        DeployError: there is no usable repository, the patch does not fit to it, or the file cannot be written.
    """
    repository = Repository.around(project.root, settings.timeout)
    made = make_commit(repository, patch, verdict, incident, settings)
    if not made.needed:
        journal.intend({})
        return f"commit {made.parent[:12]} holds the fix already, so no patch file was written"
    text = repository.output("format-patch", "-1", *_FORM, "--subject-prefix=PATCH", made.commit)
    directory = project.root / settings.directory
    try:
        directory.mkdir(parents=True, exist_ok=True)
        path = _free(directory, incident.id, text)
        journal.intend({"path": str(path), "sha256": hashlib.sha256(text).hexdigest()})
        _write(path, text)
    except OSError as error:
        raise DeployError(f"the patch file cannot be written below {directory}: {error.strerror or error}") from error
    journal.fact("patch_file", str(path))
    journal.fact("base", made.parent)
    keep = " --keep-cr" if b"\r\n" in text else ""
    return f"wrote {path}, for `git am{keep}` on {made.parent[:12]}, {made.how}"


def undo(step: Step) -> None:
    """Delete the file, if it is still as it was written.

    Raises:
        DeployError: it cannot be deleted.
    """
    name = step.undo.get("path")
    if not isinstance(name, str):
        return
    try:
        _partial(Path(name)).unlink(missing_ok=True)
        if hashlib.sha256(Path(name).read_bytes()).hexdigest() == step.undo.get("sha256"):
            Path(name).unlink()
    except FileNotFoundError:
        return
    except OSError as error:
        raise DeployError(f"{name} cannot be deleted: {error.strerror or error}; delete it by hand") from error


def _free(directory: Path, incident_id: str, text: bytes) -> Path:
    """A path that nobody uses, or that holds this very text since an attempt that was interrupted."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", incident_id).strip("-") or "incident"
    for number in range(1, _MOST_NAMES):
        path = directory / (f"{stem}.patch" if number == 1 else f"{stem}-{number}.patch")
        if not path.exists() or path.read_bytes() == text:
            return path
    raise DeployError(f"{directory} holds {_MOST_NAMES} patches of this incident: delete those that you do not need")


def _partial(path: Path) -> Path:
    """Where the file is written before it takes its place. Whoever is killed meanwhile leaves it to `undo`."""
    return path.with_name(f".{path.name}.partial")


def _write(path: Path, text: bytes) -> None:
    """Write the file so that a reader sees it whole or not at all."""
    partial = _partial(path)
    with partial.open("wb") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)
