"""Files are read to their end once, whatever rotation, truncation and kills do between two looks."""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homeostasis_collect_logs import marks, rotated

LINE = 'Traceback (most recent call last):\n  File "shop/cart.py", line 10, in price\n    return row["price"]\nKeyError: {!r}\n'


class Log:
    """A log file and what logrotate does to it, with files numbered from the newest."""

    def __init__(self, path):
        self.path = path
        self.written = []

    def append(self):
        name = f"k{len(self.written)}"
        self.written.append(name)
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(
                f"2026-01-02 03:04:05 INFO fine {name}\n2026-01-02 03:04:05 ERROR it failed\n{LINE.format(name)}"
            )

    def _shift(self):
        for number in range(30, 0, -1):
            for suffix in ("", ".gz"):
                older = self.path.with_name(f"{self.path.name}.{number}{suffix}")
                if older.exists():
                    older.rename(self.path.with_name(f"{self.path.name}.{number + 1}{suffix}"))

    def rename(self):
        if self.path.exists():
            self._shift()
            self.path.rename(self.path.with_name(f"{self.path.name}.1"))

    def copytruncate(self):
        if self.path.exists():
            self._shift()
            shutil.copyfile(self.path, self.path.with_name(f"{self.path.name}.1"))
            os.truncate(self.path, 0)

    def compress(self):
        newest = self.path.with_name(f"{self.path.name}.1")
        if newest.exists():
            with gzip.open(f"{newest}.gz", "wb") as stream:
                stream.write(newest.read_bytes())
            newest.unlink()


@pytest.fixture
def log(place):
    """The log of the project."""
    return Log(place.root / "app.log")


def test_what_is_appended_is_read_once(watched, log):
    """Also in a run that follows one that was killed."""
    watch = watched()
    for _ in range(3):
        log.append()
        assert watch.look() == log.written
        watch.restart()
    assert watch.look() == log.written


@pytest.mark.parametrize("how", ["rename", "copytruncate"])
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("files", ["*.log", "*.log*"])
@pytest.mark.parametrize("killed", [False, True])
def test_rotation_loses_and_repeats_nothing(how, compressed, files, killed, watched, log):
    """What was written after the last look and before the rotation is read from where rotation put it."""
    watch = watched(files=[files])
    log.append()
    watch.look()
    log.append()
    getattr(log, how)()
    if compressed:
        log.compress()
    if killed:
        watch.restart()
    log.append()
    watch.look()
    watch.look()
    watch.restart()
    assert sorted(watch.look()) == log.written


def test_generations_that_were_never_seen_are_read(watched, log):
    """Two rotations while nobody looked: the generation in between is newer than one that is known."""
    watch = watched()
    log.append()
    watch.look()
    watch.watch.close()
    for _ in range(2):
        log.append()
        log.rename()
    log.append()
    for number, age in ((2, 100), (1, 50)):
        file = log.path.with_name(f"app.log.{number}")
        os.utime(file, (file.stat().st_atime, file.stat().st_mtime - age))
    watch.restart()
    assert watch.look() == log.written


def test_what_is_heard_is_told(watched, log):
    """Lines of each file, for `homeostasis sources`; also of those that were rotated."""
    watch = watched()
    log.append()
    watch.look()
    log.append()
    log.rename()
    log.compress()
    log.append()
    watch.look()
    lines = {}
    for name, count, _ in watch.sink.heard_of:
        lines[name] = lines.get(name, 0) + count
    assert lines == {f"log:{log.path}": 18}


def test_old_generations_are_left_alone(watched, log):
    """What was rotated before anybody looked is history, unless the globs name it."""
    log.append()
    log.rename()
    log.append()
    assert watched().look() == ["k1"]
    assert watched(files=["*.log*"]).look() == ["k0", "k1"]


@given(
    actions=st.lists(st.sampled_from(["append", "append", "look", "restart", "rename", "copytruncate"]), max_size=14)
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_of_things(actions, watched, place):
    """With a look between two rotations, everything is given out once."""
    for file in place.root.glob("app.log*"):
        file.unlink()
    log, watch = Log(place.root / "app.log"), watched()
    log.append()
    watch.look()
    for action in actions:
        if action in ("rename", "copytruncate"):
            watch.look()
            log.append()
            getattr(log, action)()
            log.append()
        elif action == "append":
            log.append()
        else:
            getattr(watch, action)()
    watch.look()
    watch.restart()
    watch.look()
    assert sorted(watch.messages, key=lambda name: int(name[1:])) == log.written
    watch.watch.close()


def test_a_traceback_that_is_still_being_written(watched, log):
    """A look in its midst neither cuts nor loses it, and a kill then does not either."""
    watch = watched(settle=3600)
    text = f"ERROR it failed\n{LINE.format('slow')}INFO next\n"
    for place in range(0, len(text), 40):
        with log.path.open("a", encoding="utf-8") as stream:
            stream.write(text[place : place + 40])
        watch.look()
        watch.restart()
        watch.look()
    assert watch.look() == ["slow"]
    assert watch.sink.losses == []


def test_the_last_line_waits_for_its_end(watched, log):
    """A message is not cut where the writer was interrupted."""
    watch = watched(settle=3600)
    log.path.write_text(f"INFO x\n{LINE.format('whole')[:-3]}")  # without "e'" and the line end
    assert watch.look() == []
    with log.path.open("a") as stream:
        stream.write("e'\nINFO next\n")
    watch.look()
    assert watch.messages == ["whole"]


def test_a_file_whose_inode_is_used_again(watched, log):
    """A new log in the place of a deleted one is read from its beginning."""
    watch = watched()
    log.append()
    watch.look()
    log.path.unlink()
    watch.restart()
    log.append()
    assert watch.look() == log.written


def test_a_plain_truncation(watched, log):
    """Nothing was copied: what follows is read."""
    watch = watched()
    log.append()
    watch.look()
    os.truncate(log.path, 0)
    log.append()
    watch.look()
    assert watch.look() == log.written


def test_a_bomb_costs_only_itself(watched, log):
    """A compressed file is unpacked up to the limit; it and a damaged one are counted, and the others are read."""
    with gzip.open(log.path.with_name("a.log.1.gz"), "wb") as stream:
        stream.write(b"2026-01-02 first\n")
        for _ in range(8):
            stream.write(b"\0" * 1_000_000)
    log.path.with_name("b.log.1.gz").write_bytes(b"\x1f\x8b\x08\x00damaged")
    log.append()
    watch = watched(files=["*.log*"], max_unpacked_bytes=2_000_000)
    assert watch.look() == log.written
    assert ("damaged or too large compressed log", 1) in watch.sink.losses


def test_the_same_crash_is_counted(watched, log):
    """Within `recapture`, only the first is an event."""
    watch = watched(recapture=3600)
    for _ in range(5):
        log.append()
    watch.look()
    assert watch.messages == ["k0"]
    assert {name for name, _, _ in watch.sink.recurrences} == {watch.sink.events[0].fingerprint}
    assert sum(count for _, count, _ in watch.sink.recurrences) == 4


def test_a_file_that_cannot_be_opened_is_counted_once(watched, log, place):
    """The others are read; a link in a circle is such a file for every user."""
    (place.root / "circle.log").symlink_to("circle.log")
    log.append()
    watch = watched()
    watch.look()
    assert watch.look() == log.written
    assert [count for reason, count in watch.sink.losses if "cannot be read" in reason] == [1]


def test_a_file_that_goes_away_hides_no_other(watched, log, monkeypatch):
    """Rotation deletes the oldest file while they are listed; what the others have to say is read all the same."""
    log.append()
    watch = watched()
    watch.look()
    log.path.rename(f"{log.path}.1")
    (log.path.parent / f"{log.path.name}.2").write_text("x\n")
    scandir = os.scandir

    @contextlib.contextmanager
    def listing(folder):
        with scandir(folder) as entries:
            found = list(entries)
        (log.path.parent / f"{log.path.name}.2").unlink()
        yield found

    monkeypatch.setattr(rotated.os, "scandir", listing)
    (rest,) = rotated.rests_of(log.path, marks.Marks(watch.sink), 1_000_000)
    assert rest.path.name == f"{log.path.name}.1"
