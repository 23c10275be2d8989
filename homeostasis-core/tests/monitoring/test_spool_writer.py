from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from homeostasis.monitoring import spool
from homeostasis.monitoring.spool import SpoolWriter


def files(project: Path) -> list[Path]:
    return sorted((project / ".homeostasis" / "spool").iterdir())


def test_private_and_ignored_by_git(project: Path) -> None:
    """Only the user may read the spool, its name says who wrote it, and git ignores it."""
    assert SpoolWriter(str(project), 10**6).write([b"{}\n"]) == {}
    (file,) = files(project)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.parent.parent.stat().st_mode) == 0o700
    assert (project / ".homeostasis" / ".gitignore").read_text() == "*\n"
    start, pid, number = file.stem.split("-")
    assert (int(pid), int(number)) == (os.getpid(), 1)
    assert int(start) > 10**18


def test_rotates(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large file is finished and the next one begun."""
    monkeypatch.setattr(spool, "SEGMENT_BYTES", 1000)
    writer = SpoolWriter(str(project), 10**6)
    for _ in range(4):
        writer.write([b"x" * 600 + b"\n"])
    assert [file.stat().st_size for file in files(project)] == [1202, 1202]


def test_begins_anew_after_its_file_was_deleted(project: Path) -> None:
    """A reader that deletes the file does not make the writer write into the void."""
    writer = SpoolWriter(str(project), 10**6)
    writer.write([b"1\n"])
    files(project)[0].unlink()
    writer.write([b"2\n"])
    assert [file.read_bytes() for file in files(project)] == [b"2\n"]


def test_keeps_to_its_size(project: Path) -> None:
    """Above the cap, over the files of all processes, lines are refused and counted; nothing grows."""
    directory = project / ".homeostasis" / "spool"
    directory.mkdir(parents=True)
    (directory / "1-1-1.jsonl").write_bytes(b"x" * 60_000)
    writer = SpoolWriter(str(project), 65_536)
    lost = writer.write([b"y" * 999 + b"\n"] * 10)
    assert lost == {"spool full": 5}
    assert sum(file.stat().st_size for file in files(project)) <= 65_536


def test_unwritable_is_counted(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no spool can be made, lines are counted as lost and nothing is raised."""
    monkeypatch.delenv("HOMEOSTASIS_STRICT")
    (project / ".homeostasis").write_text("a file, no directory")
    writer = SpoolWriter(str(project), 10**6)
    assert writer.write([b"1\n", b"2\n"]) == {"spool unwritable": 2}
    assert writer.write([b"1\n"]) == {"spool unwritable": 1}


def test_takes_back_torn_lines(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk is full in the middle of a line, the half is taken back and later lines are whole."""
    monkeypatch.delenv("HOMEOSTASIS_STRICT")
    writer = SpoolWriter(str(project), 10**6)
    writer.write([b"first\n"])
    real = os.write

    def full(descriptor: int, data: bytes) -> int:
        if len(data) <= 3:
            raise OSError(errno.ENOSPC, "disk full")
        return real(descriptor, bytes(data)[:3])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        assert writer.write([b"second\n"]) == {"spool unwritable": 1}
    writer.write([b"third\n"])
    assert files(project)[0].read_bytes() == b"first\nthird\n"


def test_follows_no_link(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link that lies where the file would be made is not written through."""
    monkeypatch.delenv("HOMEOSTASIS_STRICT")
    writer = SpoolWriter(str(project), 10**6)
    directory = project / ".homeostasis" / "spool"
    directory.mkdir(parents=True)
    victim = tmp_path / "victim"
    (directory / f"{writer._start}-{os.getpid()}-1.jsonl").symlink_to(victim)
    assert writer.write([b"x\n"]) == {"spool unwritable": 1}
    assert not victim.exists()
