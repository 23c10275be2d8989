"""`homeostasis ingest` shows what is understood, and changes nothing."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import time

import pytest

from homeostasis.cli import main
from homeostasis.spool import SpoolReader
from homeostasis.testing.fakes import MemorySink
from homeostasis_collect_logs import recording
from homeostasis_collect_logs.recording import SpoolSink
from homeostasis_collect_logs.settings import CollectLogsSettings

LINE = 'Traceback (most recent call last):\n  File "{}", line 10, in price\n    return row["price"]\nKeyError: 1\n'


@pytest.fixture
def ingest(place, capsys):
    """Runs the command on a text; returns status and output."""

    def run(text, *words, name="x.log"):
        file = place.root / name
        data = text.encode()
        file.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        status = main(["ingest", str(file), "--project", str(place.root), *words])
        return status, capsys.readouterr().out

    return run


@pytest.mark.parametrize("name", ["x.log", "x.log.gz"])
def test_a_crash_is_shown(name, ingest, place):
    """Line, class, place, source, and what is missing; nothing is recorded."""
    status, out = ingest("INFO\n2026-01-02 03:04:05 ERROR x\n" + LINE.format("shop/cart.py"), name=name)
    assert status == 0
    for part in (
        "line 3: KeyError: 1",
        "cart.py:10 in Cart.price",
        "log:text",
        "missing: no request",
        "1 crashes of this",
    ):
        assert part in out.replace("\n", " ").replace("  ", " ") or part in out
    assert not (place.root / ".homeostasis" / "ledger.sqlite").exists()


def test_json_is_one_document(ingest):
    """For scripts: events as the models have them, and the counts."""
    status, out = ingest(LINE.format("shop/cart.py") + LINE.format("/else/where.py"), "--json")
    found = json.loads(out)
    assert (status, found["foreign"], found["lost"]) == (0, 1, {})
    assert [(each["line"], each["event"]["exceptions"][0]["type"]) for each in found["events"]] == [(1, "KeyError")]


def test_nothing_is_1(ingest):
    """A log without a crash of the project, and text that steers no terminal."""
    status, out = ingest("INFO fine\n\x1b]0;title\x07" + LINE.format("/else/where.py"))
    assert status == 1
    assert "0 crashes of this project, 1 of other code" in out
    assert "\x1b" not in out


def test_what_cannot_be_read_is_2(place, capsys):
    """A missing file is a usage error."""
    assert main(["ingest", str(place.root / "none.log"), "--project", str(place.root)]) == 2
    assert "none.log cannot be read" in capsys.readouterr().err


def test_a_pipe_is_recorded(place):
    """What an app prints goes to the spool while it is being printed; the orchestrator's collector finds it there."""
    command = [sys.executable, "-m", "homeostasis.cli", "ingest", "--record", "-", "--project", str(place.root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdin.write(("INFO x\n" + LINE.format("shop/cart.py")).encode())
        process.stdin.flush()
        sink, reader = MemorySink(), SpoolReader(place.spool, 1_000_000)
        deadline = time.monotonic() + 60
        while not sink.events:
            assert time.monotonic() < deadline
            time.sleep(0.05)
            if place.spool.is_dir():
                reader.read_all(sink)
        out, _ = process.communicate(LINE.format("shop/cart.py").encode() + LINE.format("/else/where.py").encode())
        assert (process.returncode, out.decode()) == (
            0, "1 crashes recorded, 1 repetitions counted\nlost: crash without a frame in the project (see path_map) (1)\n"
        )  # fmt: skip
    reader.read_all(sink)
    assert [event.source for event in sink.events] == ["log:text"]
    assert [(name, count) for name, count, _ in sink.recurrences] == [(sink.events[0].fingerprint, 1)]


def test_a_file_is_recorded(ingest, place):
    """Once, with the counts in JSON; the status says whether there was a crash."""
    status, out = ingest(LINE.format("shop/cart.py"), "--record", "--json", name="x.log.gz")
    assert (status, json.loads(out)) == (0, {"events": 1, "recurrences": 0, "lost": {}})
    assert ingest("fine\n", "--record")[0] == 1


def test_a_spool_that_is_full_is_waited_for(place, monkeypatch):
    """Nothing is dropped: the writer waits until there is room."""
    monkeypatch.setattr(recording, "PAUSE", 0.01)
    sink = SpoolSink(place)
    rooms = iter([0, 0, 1])
    monkeypatch.setattr(sink._writer, "fitting", lambda lines: next(rooms))
    with sink.batch():
        sink.lost("x", 1)
    sink.close()
    (segment,) = place.spool.glob("*.jsonl")
    assert json.loads(segment.read_text()) == {"record": "lost", "reason": "x", "count": 1}


def test_what_the_spool_cannot_hold_is_a_loss(place, monkeypatch):
    """It is counted and left, where waiting for room would never end."""
    monkeypatch.setattr(recording, "limit_of", lambda _: 500)
    sink = recording.record(iter([LINE.format("shop/cart.py").encode()]), place, CollectLogsSettings())
    assert (sink.events, sink.losses) == (0, {"larger than the spool": 1})
    (segment,) = place.spool.glob("*.jsonl")
    assert json.loads(segment.read_text()) == {"record": "lost", "reason": "larger than the spool", "count": 1}


def test_no_spool_to_record_into(project_factory, capsys):
    """The way out is named."""
    place = project_factory({"a.py": ""}, {"plugins": ["collect-logs"]})
    assert main(["ingest", "--record", "-", "--project", str(place.root)]) == 2
    assert 'needs the collector "spool"' in capsys.readouterr().err
