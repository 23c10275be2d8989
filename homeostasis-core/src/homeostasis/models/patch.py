"""`Patch`: a change of the source as a value that is computed, previewed, applied and undone."""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import stat
from contextlib import suppress
from enum import Enum
from pathlib import Path, PurePosixPath

from pydantic import Field, field_validator, model_validator

from homeostasis.errors import PatchConflict, UnsafePath
from homeostasis.models.base import Model

REGRESSION_TEST = re.compile(r"(?:.*/)?test_homeostasis_[a-z0-9_]+\.py\Z")
"""Paths of generated tests: the only files outside `source` that a patch may bring."""


class Effect(str, Enum):
    """What a fix does about the cause, from the one to prefer to the one that always asks a person."""

    CORRECT = "correct"
    REFUSE = "refuse"
    RECOVER = "recover"
    RECONNECT = "reconnect"
    INVENT = "invent"


class Risk(str, Enum):
    """How far a wrong fix would reach."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


def content_hash(content: bytes) -> str:
    """Hex SHA-256 of a file's bytes."""
    return hashlib.sha256(content).hexdigest()


class FileEdit(Model):
    """The new bytes of one file. `before` is None for a file that the patch creates."""

    path: str = Field(description="Relative to the project root, with forward slashes.")
    before: bytes | None
    after: bytes

    @field_validator("path")
    @classmethod
    def _stays_inside(cls, path: str) -> str:
        parts = PurePosixPath(path).parts
        if not parts or path.startswith("/") or ".." in parts or "\\" in path or "\0" in path:
            raise ValueError(f"{path!r} does not name a file below the project root")
        return path

    @property
    def diff(self) -> str:
        """Unified diff in git's form. Undecodable bytes appear as backslash escapes."""
        old = _lines(self.before or b"")
        new = _lines(self.after)
        source = f"a/{self.path}" if self.before is not None else "/dev/null"
        body = difflib.unified_diff(old, new, source, f"b/{self.path}")
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in body)

    def swap(self, root: Path, expected: bytes | None, content: bytes | None) -> None:
        """Replace the file's bytes atomically, keeping its mode, if they are `expected`; None means no file.

        Raises:
            PatchConflict: the file holds something else.
            UnsafePath: a part of the path is a symbolic link or leads out of `root`.
        """
        target = resolve_inside(root, self.path)
        _partial(target).unlink(missing_ok=True)
        current = _content(target)
        if current == content:
            return
        if current != expected:
            raise PatchConflict(f"{self.path} {_CHANGED}")
        if content is None:
            target.unlink()
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        _replace(target, expected, content)


class Patch(Model):
    """Edits to one or several files; all are applied or none."""

    id: str
    rule_id: str
    plugin: str = Field(default="", description="Filled in by the stage: the plugin that made it.")
    edits: tuple[FileEdit, ...] = Field(min_length=1)
    effect: Effect
    risk: Risk = Risk.LOW
    summary: str = Field(description="What the patch does, in a sentence; the commit's subject.")
    rationale: str = Field(default="", description="Why it is right, for the reviewer.")
    evidence: tuple[str, ...] = ()
    confidence: float = Field(default=0.5, ge=0, le=1)
    imports: tuple[str, ...] = Field(default=(), description="Top-level modules that the patch may import anew.")
    regression_test: str | None = Field(
        default=None, description="Path of the generated test among the edits; filled in by the stage."
    )
    incident_id: str = Field(default="", description="Filled in by the stage.")

    @model_validator(mode="after")
    def _generated_test_is_new(self) -> Patch:
        if self.regression_test is not None and not any(
            edit.path == self.regression_test and edit.before is None and REGRESSION_TEST.match(edit.path)
            for edit in self.edits
        ):
            raise ValueError(f"{self.regression_test!r} is no new file test_homeostasis_*.py of the patch")
        return self

    def with_regression_test(self, edit: FileEdit) -> Patch:
        """The same change with a generated test; see `homeostasis.regression`."""
        return Patch(**{**dict(self), "edits": (*self.edits, edit), "regression_test": edit.path})

    @property
    def diff(self) -> str:
        """Unified diff of all files."""
        return "".join(edit.diff for edit in self.edits)

    @property
    def digest(self) -> str:
        """Identity of the change: hex SHA-256 over paths, old and new bytes; the generated test does not count."""
        parts = [
            f"{e.path}\0{content_hash(e.before or b'')}\0{content_hash(e.after)}"
            for e in self.edits
            if e.path != self.regression_test
        ]
        return content_hash("\n".join(parts).encode())

    @property
    def full_digest(self) -> str:
        """Hex SHA-256 over every byte that the patch would write: what a person approves."""
        parts = [f"{e.path}\0{content_hash(e.before or b'')}\0{content_hash(e.after)}" for e in self.edits]
        return content_hash("\n".join(sorted(parts)).encode())

    def apply(self, root: Path) -> None:
        """Write all edits below `root`, or none.

        Raises:
            PatchConflict: a file is not what the patch was made from.
            UnsafePath: a path leads out of `root`.
        """
        _swap_all(self.edits, root, forward=True)

    def undo(self, root: Path) -> None:
        """Put the old bytes back; files that hold them already are left alone.

        Raises:
            PatchConflict: a file was changed after the patch was applied.
            UnsafePath: a path leads out of `root`.
        """
        _swap_all(self.edits, root, forward=False)


def _swap_all(edits: tuple[FileEdit, ...], root: Path, *, forward: bool) -> None:
    done: list[FileEdit] = []
    try:
        for edit in edits:
            expected, content = (edit.before, edit.after) if forward else (edit.after, edit.before)
            edit.swap(root, expected, content)
            done.append(edit)
    except (PatchConflict, UnsafePath, OSError):
        for edit in reversed(done):
            expected, content = (edit.after, edit.before) if forward else (edit.before, edit.after)
            edit.swap(root, expected, content)
        raise


_CHANGED = "has changed since the patch was made: make the patch again"


def _content(target: Path) -> bytes | None:
    return target.read_bytes() if target.exists() else None


def _replace(target: Path, expected: bytes | None, content: bytes) -> None:
    """Write a file so that a reader sees the old bytes or the new ones; mode and owner stay.

    Raises:
        PatchConflict: somebody else has written it meanwhile, and keeps what was written.
    """
    partial = _partial(target)
    partial.unlink(missing_ok=True)
    try:
        with partial.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        # A new file belongs to whom its folder belongs to, not to root because the healer runs as root.
        like = target.stat() if target.exists() else target.parent.stat()
        if (like.st_uid, like.st_gid) != (partial.stat().st_uid, partial.stat().st_gid):
            with suppress(PermissionError):
                os.chown(partial, like.st_uid, like.st_gid)
        partial.chmod(stat.S_IMODE(like.st_mode) if target.exists() else 0o644)
        if expected is not None:
            _tell_apart(partial, like)
        if _content(target) != expected:
            raise PatchConflict(f"{target.name} {_CHANGED}")
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _tell_apart(partial: Path, old: os.stat_result) -> None:
    """Give the new file another time if it would pass for the old one.

    Python takes byte code for that of a file by its size and the whole second of its time: a patch that is undone
    within the second in which it went live would leave new workers with the code of the patch.
    """
    new = partial.stat()
    if new.st_size == old.st_size and int(new.st_mtime) <= int(old.st_mtime):
        os.utime(partial, ns=(new.st_atime_ns, (int(old.st_mtime) + 1) * 10**9))


def _partial(target: Path) -> Path:
    """Where a file is written before it takes its place. Whoever is killed meanwhile leaves it to the next one."""
    return target.with_name(f".{target.name}.homeostasis")


def resolve_inside(root: Path, path: str) -> Path:
    """The absolute path of `path` below `root`.

    Raises:
        UnsafePath: a part of it is a symbolic link, or it leads out of `root`.
    """
    target = os.fspath(root)
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not parts or path.startswith("/") or ".." in parts:
        raise UnsafePath(f"{path} lies outside {root}")
    for part in parts:
        target = os.path.join(target, part)  # noqa: PTH118 - asked for each file of a project, for each incident
        if os.path.islink(target):  # noqa: PTH114
            raise UnsafePath(f"{path} passes through the symbolic link {target}: only plain files are edited")
    return Path(target)


def _lines(content: bytes) -> list[str]:
    # Only \n ends a line, as in git; str.splitlines would also break at form feeds and lone \r.
    *whole, rest = content.decode("utf-8", "backslashreplace").split("\n")
    return [f"{line}\n" for line in whole] + ([rest] if rest else [])
