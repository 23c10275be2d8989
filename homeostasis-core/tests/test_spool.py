"""Reading the spool: every whole record once, whatever the writers and the files do."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading

import pytest

from homeostasis.spool import SpoolReader

LIVE = os.getpid()


class HearingSink:
    """Remembers what it was given, and positions."""

    def __init__(self):
        self.read = 0
        self.records, self.positions = [], {}

    def event(self, event):
        self.records.append(("event", event.id))

    def recurrence(self, fingerprint, count, last_seen):
        self.records.append(("recurrence", fingerprint, count))

    def sample(self, service, request):
        self.records.append(("sample", request.path, request.body))

    def traffic(self, service, route, requests, errors, at, seconds=0.0, buckets=()):
        self.records.append(("traffic", route, requests, errors, seconds, tuple(buckets)))

    def lost(self, reason, count):
        self.records.append(("lost", reason, count))

    def heard(self, source, records, at):
        self.read += records

    def batch(self):
        return contextlib.nullcontext()

    def position(self, source):
        return self.positions.get(source, 0)

    def advance(self, source, position):
        self.positions[source] = position


@pytest.fixture
def spool(tmp_path):
    directory = tmp_path / "spool"
    directory.mkdir()
    return directory


@pytest.fixture
def dead_pid():
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
        return process.pid


def event_line(make_project, event_of, identifier):
    event = event_of(make_project(), id=identifier)
    return json.dumps({"record": "event", **json.loads(event.model_dump_json())}).encode() + b"\n"


def traffic_line(route, **changed):
    record = {
        "record": "traffic",
        "name": "http.server.request.duration",
        "unit": "s",
        "at": 1.0,
        "attributes": {"service.name": "s", "http.route": route},
        "count": 1,
        "errors": 0,
    }
    return json.dumps({**record, **changed}).encode()


def test_every_kind_of_record_arrives(spool, make_project, event_of):
    """Each record reaches its sink method, and reading again brings nothing twice."""
    lines = [
        event_line(make_project, event_of, "e1"),
        b'{"record": "recurrence", "fingerprint": "ff", "count": 3, "last_seen": 1.5}\n',
        b'{"record": "sample", "service": "s", "request": {"path": "/a", "body": "aGk="}}\n',
        traffic_line("/a", count=2, errors=1) + b"\n",
        traffic_line("/b", sum=0.5, bucket_counts=[0, 1]) + b"\n",
        b'{"record": "lost", "reason": "queue full", "count": 7}\n',
    ]
    (spool / f"1-{LIVE}-0.jsonl").write_bytes(b"".join(lines))
    sink, reader = HearingSink(), SpoolReader(spool, 100_000)
    reader.read_all(sink)
    reader.read_all(sink)
    assert sink.records == [
        ("event", "e1"),
        ("recurrence", "ff", 3),
        ("sample", "/a", b"hi"),
        ("traffic", "/a", 2, 1, 0.0, ()),
        ("traffic", "/b", 1, 0, 0.5, (0, 1)),
        ("lost", "queue full", 7),
    ]


def test_torn_line_of_a_living_writer_is_waited_for(spool):
    """A line without its end is read when the rest has come."""
    segment = spool / f"1-{LIVE}-0.jsonl"
    sink, reader = HearingSink(), SpoolReader(spool, 100_000)
    segment.write_bytes(b'{"record": "lost", "reason"')
    reader.read_all(sink)
    assert sink.records == []
    with segment.open("ab") as stream:
        stream.write(b': "x", "count": 1}\n')
    reader.read_all(sink)
    assert sink.records == [("lost", "x", 1)]
    assert segment.exists()


def test_segment_of_a_dead_writer_is_read_and_deleted(spool, dead_pid):
    """What a killed process flushed is kept; its torn last line is counted, and the file goes."""
    segment = spool / f"1-{dead_pid}-0.jsonl"
    segment.write_bytes(b'{"record": "lost", "reason": "x", "count": 1}\n{"record": "ev')
    sink = HearingSink()
    SpoolReader(spool, 100_000).read_all(sink)
    assert sink.records == [("lost", "x", 1), ("lost", "torn last line of a process that ended", 1)]
    assert not segment.exists()


def test_rotated_segment_is_deleted_once_read(spool):
    """A segment whose writer has begun the next one is read whole and deleted; the newest stays."""
    line = b'{"record": "lost", "reason": "x", "count": 1}\n'
    (spool / f"1-{LIVE}-0.jsonl").write_bytes(line)
    (spool / f"1-{LIVE}-1.jsonl").write_bytes(line)
    sink = HearingSink()
    SpoolReader(spool, 100_000).read_all(sink)
    assert len(sink.records) == 2
    assert [path.name for path in spool.iterdir()] == [f"1-{LIVE}-1.jsonl"]


@pytest.mark.parametrize(
    "line",
    [
        b"not json",
        b"[]",
        b'{"record": "nonsense"}',
        b'{"record": "event", "id": 3}',
        b'{"record": "recurrence", "fingerprint": "x", "count": "many", "last_seen": 1}',
        traffic_line("/", at=1e300),
        traffic_line("/", bucket_counts=3),
        traffic_line("/", attributes=["http.route"]),
        traffic_line("/", name="http.client.request.duration"),
        traffic_line("/", unit="ms"),
        b'{"record": "lost", "reason": "x", "count": 100000000000000000000}',
        b'{"record": "recurrence", "fingerprint": "x", "count": 1, "last_seen": NaN}',
        b"\xff\xfe\x00",
        b"[" * 5000,
        b'{"record": "lost", "reason": "' + b"x" * 200_000 + b'", "count": 1}',
        b"",
    ],
)
def test_bad_line_costs_only_itself(spool, line):
    """A malformed, oversized or hostile line is counted, and its neighbours arrive."""
    good = b'{"record": "lost", "reason": "good", "count": 1}\n'
    (spool / f"1-{LIVE}-0.jsonl").write_bytes(good + line + b"\n" + good)
    sink = HearingSink()
    SpoolReader(spool, 100_000).read_all(sink)
    assert sink.records[0] == sink.records[-1] == ("lost", "good", 1)
    assert sink.records[1][0] == "lost"
    assert len(sink.records) == 3


def test_new_records_are_noticed_while_running(spool):
    """A running reader hears of what is written after it started, and stops when told."""
    heard, stop, sink = threading.Event(), threading.Event(), HearingSink()
    sink.lost = lambda reason, count: heard.set()
    thread = threading.Thread(target=SpoolReader(spool, 100_000).run, args=(sink, stop))
    thread.start()
    (spool / f"1-{LIVE}-0.jsonl").write_bytes(b'{"record": "lost", "reason": "x", "count": 1}\n')
    try:
        assert heard.wait(10)
    finally:
        stop.set()
        thread.join(10)
    assert not thread.is_alive()
