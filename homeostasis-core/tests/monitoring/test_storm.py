from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from homeostasis.monitoring import client as clients
from homeostasis.monitoring import storms
from homeostasis.monitoring.request import RequestState
from homeostasis.spool import SpoolReader

PLACES = "".join(f"def place_{n}(k):\n    return {{}}['{n}', k]\n" for n in range(10))


class Heard:
    """A sink that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.counts = 0
        self.losses: dict[str, int] = {}
        self.requests = 0
        self._positions: dict[str, int] = {}

    def batch(self) -> Any:
        return contextlib.nullcontext()

    def event(self, event: Any) -> None:
        self.events.append(event)

    def recurrence(self, _fingerprint: str, count: int, _last_seen: float) -> None:
        self.counts += count

    def sample(self, *_: Any) -> None:
        pass

    def traffic(self, _service: str, _route: str, requests: int, *_: Any) -> None:
        self.requests += requests

    def lost(self, reason: str, count: int) -> None:
        self.losses[reason] = self.losses.get(reason, 0) + count

    def heard(self, *_: Any) -> None:
        pass

    def position(self, name: str) -> int:
        return self._positions.get(name, 0)

    def advance(self, name: str, position: int) -> None:
        self._positions[name] = position


def resident() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def size_of_spool(project: Path) -> int:
    return sum(file.stat().st_size for file in project.glob(".homeostasis/spool/*"))


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads the resident size from /proc")
def test_a_crash_loop(spooling: Any, spooled: Any, load: Any, project: Path, monkeypatch: Any) -> None:
    """Of 100,000 errors every one is counted and every kind captured whole; memory and spool stay small."""
    monkeypatch.setattr(storms, "FRESH_SECONDS", 3600.0)  # on a slow machine, fresh captures would fill the spool
    client = spooling(max_spool_bytes=262_144)
    places = [load("shop", PLACES)[f"place_{number}"] for number in range(10)]

    def loop(first: int, last: int) -> None:
        for number in range(first, last):
            try:
                places[number % 10](number)
            except KeyError as error:
                client.capture(error)

    loop(0, 1000)
    before = resident()
    loop(1000, 100_000)
    records = spooled()
    assert resident() - before < 20
    assert size_of_spool(project) <= 262_144
    events = [record for record in records if record["record"] == "event"]
    assert len({event["fingerprint"] for event in events}) == 10
    assert len(events) + sum(record["count"] for record in records if record["record"] == "recurrence") == 100_000
    assert not any(record["record"] == "lost" for record in records)


def test_counting_goes_on_when_the_spool_is_full(
    spooling: Any, spooled: Any, load: Any, raised_by: Any, project: Path
) -> None:
    """Events that find no room are counted as lost; the room for counters is kept for them."""
    client = spooling(max_spool_bytes=65_536, max_captures_per_second=1000, healthy_samples=0)
    places = load("shop", "".join(f"def f{n}(k):\n    a = 'x' * 900\n    return {{}}[k]\n" for n in range(100)))
    for name in [f"f{number}" for number in range(100)] * 2:
        client.capture(raised_by(places[name], 1))
    client.answered(RequestState("wsgi", {"PATH_INFO": "/a"}), 0.001)
    first = spooled()
    for file in project.glob(".homeostasis/spool/*"):
        file.unlink()  # as the orchestrator does, once it has read them
    client._delivery._writer._measured_at = -1e9
    records = [*first, *spooled()]
    events = sum(record["record"] == "event" for record in records)
    assert 0 < events < 100
    assert sum(record["count"] for record in records if record["record"] == "recurrence") == 100
    assert {r["reason"]: r["count"] for r in records if r["record"] == "lost"}["spool full"] == 100 - events
    assert [record["count"] for record in records if record["record"] == "traffic"] == [1]


def test_counters_wait_until_there_is_room(spooling: Any, spooled: Any, project: Path, raised_by: Any) -> None:
    """While nothing can be written, what is counted stays counted, and is reported when there is room again."""
    ballast = project / ".homeostasis" / "spool" / "1-1-1.jsonl"
    ballast.parent.mkdir(parents=True)
    ballast.write_bytes(b"\n" * 65_536)
    client = spooling(max_spool_bytes=65_536, healthy_samples=0)
    error_of = lambda: raised_by(lambda: {}["k"])  # noqa: E731 - one place
    for _ in range(5):
        client.capture(error_of())
        client.answered(RequestState("wsgi", {"PATH_INFO": "/a"}), 0.001)
    assert client.flush(60)
    assert size_of_spool(project) == 65_536
    ballast.unlink()
    client._delivery._writer._measured_at = -1e9
    records = spooled()
    assert [record["count"] for record in records if record["record"] == "traffic"] == [5]
    assert [record["count"] for record in records if record["record"] == "recurrence"] == [4]
    assert {"record": "lost", "reason": "spool full", "count": 1} in records


WAYS = """
class HTTPException(Exception):
    code = None

HTTPException.__module__ = "werkzeug.exceptions"

def abort(code):
    error = HTTPException("no")
    error.code = code
    raise error

def chained(cause):
    error = KeyError("k")
    error.__cause__ = cause
    raise error
"""


def test_an_error_on_a_known_way_is_still_judged(spooling: Any, spooled: Any, load: Any, raised_by: Any) -> None:
    """The status of an HTTP exception decides each time; and a cause makes another crash of it."""
    names = load("shop", WAYS)
    client = spooling()
    codes = [client.capture(raised_by(names["abort"], code)) for code in (500, 500, 404, 500)]
    chained = [client.capture(raised_by(names["chained"], cause)) for cause in (None, None, ValueError("v"), None)]
    assert codes == [True, True, False, True]
    assert chained == [True] * 4
    records = spooled()
    assert sum(record["record"] == "event" for record in records) == 3
    counts = sorted(record["count"] for record in records if record["record"] == "recurrence")
    assert counts == [2, 2]


def test_a_known_way_is_captured_afresh_in_time(
    spooling: Any, spooled: Any, load: Any, raised_by: Any, monkeypatch: Any
) -> None:
    """That an error is recognised without its key does not keep later captures away."""
    place = load("shop", PLACES)["place_0"]
    client = spooling()
    for _ in range(3):
        client.capture(raised_by(place, 1))
    monkeypatch.setattr(storms, "FRESH_SECONDS", 0.0)
    client.capture(raised_by(place, 1))
    events = [record for record in spooled() if record["record"] == "event"]
    assert len(events) == 2
    assert len({event["fingerprint"] for event in events}) == 1


def test_ways_are_bounded(spooling: Any, load: Any, raised_by: Any, monkeypatch: Any) -> None:
    """A recursion of any depth has a way for each, and they are not all kept."""
    monkeypatch.setattr(storms, "MAX_WAYS", 10)
    down = load("shop", "def down(n):\n    return down(n - 1) if n else {}['k']\n")["down"]
    client = spooling()
    assert all(client.capture(raised_by(down, depth)) for depth in range(40) for _ in range(2))
    assert len(client.storms._ways) <= 10
    assert client.storms.collect()[0]["count"] == 79


def test_an_error_while_counting(spooling: Any, raised_by: Any, load: Any) -> None:
    """A `__del__` that fails while an error is being counted is counted too, and nothing waits for itself."""
    client = spooling()
    error = raised_by(load("shop", PLACES)["place_1"], 1)
    with client.storms._lock, client.traffic._lock, client._delivery._lock:
        assert client.capture(error)
        client.answered(RequestState("wsgi", {"PATH_INFO": "/a"}), 0.001)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")
def test_kill_loses_nothing_that_was_flushed(project: Path) -> None:
    """What an app had flushed when it was killed is read; the line that it was writing is skipped, counted, reported."""
    script = project / "app.py"
    script.write_text(
        textwrap.dedent("""
            import time
            from homeostasis.monitoring import capture_exception, client, setup_monitoring

            setup_monitoring()
            for number in range(500):
                try:
                    {}[number]
                except KeyError as error:
                    capture_exception(error)
            assert client.current().flush(60)
            print("flushed", flush=True)
            while True:
                try:
                    [][0]
                except IndexError as error:
                    capture_exception(error)
        """)
    )
    process = subprocess.Popen([sys.executable, str(script)], cwd=project, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "flushed\n"
    process.kill()
    process.wait(10)
    process.stdout.close()
    (segment,) = project.glob(".homeostasis/spool/*.jsonl")
    with segment.open("ab") as stream:
        stream.write(b'{"record":"event","id":"to')
    heard = Heard()
    SpoolReader(segment.parent, 10**6).read_all(heard)
    of_keys = [event for event in heard.events if event.exceptions[0].type == "KeyError"]
    assert len(of_keys) == 1
    assert heard.counts >= 499
    assert heard.losses == {"torn last line of a process that ended": 1}
    assert not segment.exists()


def test_reader_skips_a_damaged_line(spooling: Any, project: Path, raised_by: Any, load: Any) -> None:
    """A line that is no record, in the middle of others, is counted and reported; those around it are read."""
    client = spooling()
    places = load("shop", PLACES)
    client.capture(raised_by(places["place_1"], 1))
    assert client.flush(60)
    (segment,) = project.glob(".homeostasis/spool/*.jsonl")
    with segment.open("ab") as stream:
        stream.write(b'{"record":"event","id"\n')
    client.capture(raised_by(places["place_2"], 1))
    clients.reset()
    heard = Heard()
    SpoolReader(segment.parent, 10**6).read_all(heard)
    assert len(heard.events) == 2
    assert heard.losses == {"unreadable record": 1}


def test_histogram_of_durations(spooling: Any, spooled: Any) -> None:
    """The traffic of a route has OpenTelemetry's buckets, whose upper bounds are inclusive, and they add up."""
    client = spooling()
    for seconds, status in ((0.001, 200), (0.005, 200), (0.006, 500), (0.3, 404), (99.0, 503)):
        request = RequestState("wsgi", {"PATH_INFO": "/a"})
        request.status = status
        client.answered(request, seconds)
    (record,) = [record for record in spooled() if record["record"] == "traffic"]
    assert record["bucket_counts"] == [2, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1]
    assert (record["count"], record["errors"]) == (5, 2)
    assert record["sum"] == pytest.approx(99.312)


def test_histogram_without_a_collector(remembering: Any, monkeypatch: Any) -> None:
    """Durations that nobody collects are folded into counters, so that they take no memory."""
    from homeostasis.monitoring import traffic

    monkeypatch.setattr(traffic, "MAX_WAITING", 10)
    monkeypatch.setattr(clients, "MAX_WAITING", 10)
    client = remembering(healthy_samples=0)
    for number in range(1005):
        request = RequestState("wsgi", {"PATH_INFO": "/a"})
        request.status = 200 if number % 20 else None
        client.answered(request, 0.001)
    (counters,) = client.traffic.routes.values()
    assert len(counters.healthy) < 10
    client.flush()
    assert [record["count"] for record in client.records] == [1005]
