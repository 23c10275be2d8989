"""Patches are values: previewed, applied and undone, whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from pydantic import ValidationError

from homeostasis.errors import PatchConflict, UnsafePath
from homeostasis.models import Effect, FileEdit, Patch


def patch_of(*edits):
    return Patch(id="p", rule_id="r", edits=edits, effect=Effect.CORRECT, summary="s")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"a\nb\nc\n", b"a\nB\nc\n"),
        (b"a\r\nb\r\n", b"a\r\nB\r\n"),
        (b"a\nb", b"a\nB"),
        (b"a\nb\n", b"a\nb"),
        (b"\xef\xbb\xbfa\n\x0cb\n", b"\xef\xbb\xbfa\n\x0cB\n"),
        (b"", b"a\n"),
        (None, b"new\nfile\n"),
    ],
)
def test_diff_applies_with_git_and_undo_restores_the_bytes(tmp_path, before, after):
    """What the diff shows is what git makes of it; undo brings the exact bytes back."""
    file = tmp_path / "f.py"
    if before is not None:
        file.write_bytes(before)
    patch = patch_of(FileEdit(path="f.py", before=before, after=after))
    subprocess.run(["git", "apply", "-"], input=patch.diff.encode(), cwd=tmp_path, check=True)
    assert file.read_bytes() == after
    patch.undo(tmp_path)
    assert (file.read_bytes() if file.exists() else None) == before
    patch.apply(tmp_path)
    patch.apply(tmp_path)
    assert file.read_bytes() == after


def test_all_files_or_none(tmp_path):
    """When one file has changed meanwhile, none is written."""
    (tmp_path / "a.py").write_bytes(b"a")
    (tmp_path / "b.py").write_bytes(b"changed by a person")
    patch = patch_of(FileEdit(path="a.py", before=b"a", after=b"A"), FileEdit(path="b.py", before=b"b", after=b"B"))
    with pytest.raises(PatchConflict, match=r"b\.py has changed"):
        patch.apply(tmp_path)
    assert (tmp_path / "a.py").read_bytes() == b"a"
    assert (tmp_path / "b.py").read_bytes() == b"changed by a person"


def test_edit_that_is_saved_while_the_patch_is_written_is_kept(tmp_path, monkeypatch):
    """Writing takes a while on a slow disk: the file is looked at once more before it is replaced."""
    file, sync = tmp_path / "a.py", os.fsync
    file.write_bytes(b"a")

    def slow_sync(handle):
        file.write_bytes(b"a, edited")
        sync(handle)

    monkeypatch.setattr(os, "fsync", slow_sync)
    with pytest.raises(PatchConflict, match=r"a\.py has changed"):
        patch_of(FileEdit(path="a.py", before=b"a", after=b"A")).apply(tmp_path)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"a, edited"]


def test_undo_does_not_overwrite_later_work(tmp_path):
    """A file that was edited after the release is not restored over the edit."""
    (tmp_path / "a.py").write_bytes(b"A and more")
    with pytest.raises(PatchConflict):
        patch_of(FileEdit(path="a.py", before=b"a", after=b"A")).undo(tmp_path)
    assert (tmp_path / "a.py").read_bytes() == b"A and more"


def test_mode_is_kept(tmp_path):
    """An executable stays executable."""
    (tmp_path / "a.py").write_bytes(b"a")
    (tmp_path / "a.py").chmod(0o755)
    patch_of(FileEdit(path="a.py", before=b"a", after=b"A")).apply(tmp_path)
    assert (tmp_path / "a.py").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("path", ["../x.py", "/etc/x.py", "a/../../x.py", "", "a\\b.py", "a\0.py"])
def test_paths_out_of_the_project_cannot_be_written_down(path):
    """A path that leads out is refused when the edit is made."""
    with pytest.raises(ValidationError):
        FileEdit(path=path, before=b"", after=b"")


def test_symbolic_links_are_not_followed(tmp_path):
    """A link inside the project that points out of it is not written through."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x.py").write_bytes(b"a")
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(outside)
    with pytest.raises(UnsafePath, match="symbolic link"):
        patch_of(FileEdit(path="link/x.py", before=b"a", after=b"A")).apply(root)
    assert (outside / "x.py").read_bytes() == b"a"


def test_digest_is_the_identity_of_the_change():
    """Equal changes have equal digests, whatever they are called."""
    edit = FileEdit(path="a.py", before=b"a", after=b"A")
    assert patch_of(edit).digest == patch_of(edit).model_copy(update={"id": "q"}).digest
    assert patch_of(edit).digest != patch_of(edit.model_copy(update={"after": b"B"})).digest


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_owner_is_kept(tmp_path):
    """A healer that runs as root leaves the files to their owner; a new file belongs to its folder's owner."""
    (tmp_path / "a.py").write_bytes(b"a")
    os.chown(tmp_path / "a.py", 12345, 12346)
    os.chown(tmp_path, 12347, 12348)
    patch_of(FileEdit(path="a.py", before=b"a", after=b"A"), FileEdit(path="b.py", before=None, after=b"B")).apply(
        tmp_path
    )
    owners = [((tmp_path / name).stat().st_uid, (tmp_path / name).stat().st_gid) for name in ("a.py", "b.py")]
    assert owners == [(12345, 12346), (12347, 12348)]


def test_byte_code_of_the_patch_is_not_taken_for_that_of_the_file_before(tmp_path):
    """A patch of the same length that is undone within a second: what is imported afterwards is what the file says."""
    file = tmp_path / "quick.py"
    file.write_bytes(b"VALUE = 1\n")
    patch = patch_of(FileEdit(path="quick.py", before=b"VALUE = 1\n", after=b"VALUE = 2\n"))
    command = [sys.executable, "-c", "import quick; print(quick.VALUE)"]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    said = []
    for change in (lambda: None, lambda: patch.apply(tmp_path), lambda: patch.undo(tmp_path)):
        change()
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
        said.append(done.stdout.strip())
    assert said == ["1", "2", "1"]
