"""Files as they were in the revision that crashed, so that a frame's line is looked up in the text that ran."""

from __future__ import annotations

import re
import subprocess
from collections import OrderedDict
from typing import TYPE_CHECKING, Callable, List, Optional, Tuple

from homeostasis.source import MAX_FILE_BYTES

if TYPE_CHECKING:
    from pathlib import Path

Lines = Callable[[str], Optional[List[str]]]
"""Gives the lines of a file of the project (relative path), or None if the revision has none."""
_COMMIT = re.compile(r"(?<![0-9a-f])[0-9a-f]{7,40}(?![0-9a-f])")
_TAG = re.compile(r"[A-Za-z0-9][\w.+-]{0,99}")
_MAX_NAMES, _MAX_TEXTS = 100, 200
_SECONDS = 10.0


class Revisions:
    """Reads files of a git repository at the revisions that reports name. Without git it knows none."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._commits: OrderedDict[str, Optional[str]] = OrderedDict()
        self._texts: OrderedDict[Tuple[str, str], Optional[List[str]]] = OrderedDict()

    def reader(self, name: Optional[str]) -> Optional[Lines]:
        """What reads files at a commit, tag or release name such as `shop@1.2.3`; None if it names no commit here."""
        commit = self._commit(name) if name else None
        return None if commit is None else lambda path: self._lines(commit, path)

    def _commit(self, name: str) -> Optional[str]:
        if name not in self._commits:
            found = (self._git("rev-parse", "--verify", "--quiet", f"{each}^{{commit}}") for each in _candidates(name))
            self._commits[name] = next((each.decode().strip() for each in found if each), None)
            _bound(self._commits, _MAX_NAMES)
        return self._commits[name]

    def _lines(self, commit: str, path: str) -> Optional[List[str]]:
        key = commit, path
        if key not in self._texts:
            # `./` is relative to the folder that git runs in: the project may be a part of its repository.
            text = self._git("cat-file", "blob", f"{commit}:./{path}")
            known = text is not None and len(text) <= MAX_FILE_BYTES
            self._texts[key] = text.decode("utf-8", "replace").split("\n") if text is not None and known else None
            _bound(self._texts, _MAX_TEXTS)
        return self._texts[key]

    def _git(self, *words: str) -> Optional[bytes]:
        try:
            done = subprocess.run(
                ["git", *words],
                cwd=self._root,
                capture_output=True,
                check=False,
                timeout=_SECONDS,
                stdin=subprocess.DEVNULL,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout if done.returncode == 0 else None


def _candidates(name: str) -> List[str]:
    """What a release name may mean to git, the surest first. Nothing of it can be taken for an option or a range."""
    found = _COMMIT.findall(name[:300])
    version = name[:300].rpartition("@")[2]
    if _TAG.fullmatch(version) and ".." not in version:
        found += [f"refs/tags/{prefix}{version}" for prefix in ("", "v")]
    return found


def _bound(
    known: OrderedDict[str, Optional[str]] | OrderedDict[Tuple[str, str], Optional[List[str]]], most: int
) -> None:
    while len(known) > most:
        known.popitem(last=False)
