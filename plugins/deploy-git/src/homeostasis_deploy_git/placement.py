"""Finds the commit that a patch goes on top of, and the blobs that it puts there.

The running file is the truth that the patch was made from, and git may know it in three ways: `HEAD` holds these very
bytes; an earlier heal that nobody merged yet holds them; or the file has edits that were never committed. In the last
case the edit is carried over to `HEAD`'s text by a three-way merge, so that the commit contains the fix alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from homeostasis.errors import DeployError
from homeostasis_deploy_git.git import Entry, Repository
from homeostasis_deploy_git.three_way import Conflict, Sides, merge

if TYPE_CHECKING:
    from homeostasis.models import FileEdit, Patch

_NEW_FILE = "100644"
_MOST_BRANCHES = 200


@dataclass(frozen=True)
class Placement:
    """Where a patch goes.

    Attributes:
        parent: id of the commit.
        entries: what to put there, by path relative to the repository's top.
        how: in words, for the person who reads the release.
    """

    parent: str
    entries: dict[str, Entry]
    how: str


def place(repository: Repository, patch: Patch, prefix: str) -> Placement:
    """Find the place for a patch.

    Args:
        repository: the one around the project.
        patch: its paths are relative to the project.
        prefix: what the names of earlier heals' branches start with.

    Raises:
        DeployError: the file is not in git, or the edit does not fit to what `HEAD` holds.
    """
    base = repository.base()
    entries = _exact(repository, base, patch)
    if entries is not None:
        return Placement(base, entries, "on HEAD")
    for commit in _earlier_heals(repository, prefix):
        entries = _exact(repository, commit, patch)
        if entries is not None:
            return Placement(commit, entries, "on an earlier heal that is not merged yet")
    merged = {repository.prefix + edit.path: _merge(repository, base, edit) for edit in patch.edits}
    return Placement(base, merged, "merged with HEAD, which differs from the running file")


def _exact(repository: Repository, commit: str, patch: Patch) -> dict[str, Entry] | None:
    """The new blobs, if the commit holds exactly what the patch was made from."""
    entries: dict[str, Entry] = {}
    for edit in patch.edits:
        path = repository.prefix + edit.path
        entry = repository.entry(commit, path)
        if (entry is None) != (edit.before is None):
            return None
        if entry is None:
            entries[path] = Entry(_NEW_FILE, "blob", repository.store(edit.after, path, filters=True))
            continue
        filters = _conversion(repository, entry, edit, path)
        if filters is None:
            return None
        entries[path] = Entry(entry.mode, "blob", repository.store(edit.after, path, filters=filters))
    return entries


def _conversion(repository: Repository, entry: Entry, edit: FileEdit, path: str) -> bool | None:
    """With which conversion of line ends (filters or none) the old bytes become the blob; None if with neither."""
    if entry.kind != "blob" or entry.mode == "120000":
        raise DeployError(
            f"{path} is a {'link' if entry.kind == 'blob' else 'directory'} in git: only plain files are committed"
        )
    for filters in (True, False):
        if repository.identify(edit.before or b"", path, filters=filters) == entry.id:
            return filters
    return None


def _earlier_heals(repository: Repository, prefix: str) -> list[str]:
    listed = repository.run(
        "for-each-ref",
        f"--count={_MOST_BRANCHES}",
        "--sort=-committerdate",
        "--format=%(objectname)",
        f"refs/heads/{prefix}*",
    )
    return list(dict.fromkeys(listed.split()))


def _merge(repository: Repository, base: str, edit: FileEdit) -> Entry:
    path = repository.prefix + edit.path
    entry = repository.entry(base, path)
    if entry is None:
        if edit.before is None:
            return Entry(_NEW_FILE, "blob", repository.store(edit.after, path, filters=True))
        raise DeployError(f"{path} is not in git at HEAD: commit it, so that a fix can be a change to it")
    if edit.before is None:
        raise DeployError(f"{path} exists in git at HEAD, but the patch creates it: check the file out, and heal again")
    if _conversion(repository, entry, edit, path) is not None:  # other files of the patch are the ones that differ
        filters = _conversion(repository, entry, edit, path) is True
        return Entry(entry.mode, "blob", repository.store(edit.after, path, filters=filters))
    ours = repository.blob(entry.id)
    filters = b"\r\n" not in ours
    old, new = (
        repository.blob(repository.store(content, path, filters=filters)) for content in (edit.before, edit.after)
    )
    return Entry(
        entry.mode, "blob", repository.store(_merge_texts(repository, path, ours, old, new), path, filters=False)
    )


def _merge_texts(repository: Repository, path: str, ours: bytes, old: bytes, new: bytes) -> bytes:
    try:
        return merge(repository, Sides(ours, old, new), ("HEAD", "the running file", "the fix"))
    except Conflict as conflict:
        raise DeployError(
            f"the fix does not fit to {path} at HEAD (conflict at line {conflict.line}), because the running file has "
            "edits there that were not committed: commit them, and heal again"
        ) from conflict
    except DeployError as error:
        raise DeployError(f"{path} cannot be merged with HEAD: {error}") from error
