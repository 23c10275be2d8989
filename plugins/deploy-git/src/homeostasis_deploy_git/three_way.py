"""Three-way merges of single files, by git."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import NamedTuple, Sequence

from homeostasis.errors import DeployError
from homeostasis_deploy_git.git import GitError, Repository

_MOST_SHOWN = 12


class Conflict(DeployError):
    """Both sides changed the same lines; `line` is the first of them in our text, counted from 1."""

    def __init__(self, line: int, shown: str) -> None:
        super().__init__(f"conflict at line {line}:\n{shown}")
        self.line = line
        self.shown = shown


class Sides(NamedTuple):
    """Three texts of a file: `ours` and `theirs` come from `base`."""

    ours: bytes
    base: bytes
    theirs: bytes


def merge(repository: Repository, sides: Sides, labels: Sequence[str]) -> bytes:
    """Apply the change from `base` to `theirs` to `ours`.

    Args:
        repository: where git runs; no repository needs to be there.
        sides: the texts.
        labels: what the three are called where they conflict.

    Raises:
        Conflict: shows the lines.
        DeployError: git cannot merge them, for instance because they are no text.
    """
    with tempfile.TemporaryDirectory(prefix="homeostasis-merge-") as directory:
        files = [Path(directory) / name for name in Sides._fields]
        for file, content in zip(files, sides):
            file.write_bytes(content)
        named = [part for label in labels for part in ("-L", label)]
        try:
            merged = repository.output("merge-file", "-p", *named, *map(str, files), accept=127)
        except GitError as error:
            raise DeployError(str(error)) from error
    mark = f"<<<<<<< {labels[0]}".encode()
    lines = merged.split(b"\n")
    if mark not in sides.ours:
        for number, line in enumerate(lines):
            if line.rstrip(b"\r") == mark:
                raise Conflict(number + 1, _shown(lines[number:]))
    return merged


def _shown(lines: Sequence[bytes]) -> str:
    """The lines of the first conflict, from mark to mark."""
    end = next((number for number, line in enumerate(lines) if line.startswith(b">>>>>>> ")), len(lines) - 1)
    texts = [line.decode("utf-8", "backslashreplace").rstrip("\r") for line in lines[: end + 1]]
    return "\n".join(texts if len(texts) <= _MOST_SHOWN else [*texts[: _MOST_SHOWN - 1], "..."])
