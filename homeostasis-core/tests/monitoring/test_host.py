"""The host never notices: real full disks, hostile objects, endings, forks, threads, and our own failures."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import subprocess
import threading
from pathlib import Path
from typing import Any, Iterator

import pytest

from homeostasis.monitoring import client as clients
from homeostasis.monitoring.request import RequestState
from homeostasis.monitoring.wsgi import WsgiMonitor


@pytest.fixture
def tmpfs(project: Path) -> Iterator[Path]:
    """A file system of 128 KiB as the project's state."""
    state = project / ".homeostasis"
    state.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=128k,mode=700", "tmpfs", str(state)]
    with contextlib.suppress(FileNotFoundError):
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            try:
                yield state
            finally:
                subprocess.run(["umount", "-l", str(state)], check=True)
            return
    pytest.skip("mounting a small file system needs root and a kernel that lets it")


def lines_of(state: Path) -> list[bytes]:
    return [line for file in sorted((state / "spool").glob("*.jsonl")) for line in file.read_bytes().split(b"\n")]


def test_disk_full(tmpfs: Path, spooling: Any, raised_by: Any, load: Any, monkeypatch: Any) -> None:
    """On a full disk nothing raises, no line is torn, the loss is counted, and writing goes on when there is room."""
    monkeypatch.delenv("HOMEOSTASIS_STRICT")
    filler = tmpfs / "filler"
    filler.write_bytes(b"x" * 100_000)
    client = spooling(max_captures_per_second=1000)
    functions = load("shop", "".join(f"def f{n}():\n    text = 'x' * 900\n    1/0\n" for n in range(60)))
    for number in range(60):
        assert client.capture(raised_by(functions[f"f{number}"]))
    assert client.flush(60)
    written = lines_of(tmpfs)
    assert [json.loads(line)["record"] for line in written if line].count("event") < 60
    filler.unlink()
    client.record({"record": "sample", "number": 1})
    assert client.flush(60)
    assert client.flush(60)
    records = [json.loads(line) for line in lines_of(tmpfs) if line]
    events = sum(record["record"] == "event" for record in records)
    lost = sum(record["count"] for record in records if record["record"] == "lost")
    assert {"record": "sample", "number": 1} in records
    assert events + lost >= 60


def test_state_that_cannot_be_made(spooling: Any, project: Path, raised_by: Any, monkeypatch: Any) -> None:
    """Where a file stands in place of the spool, answers and captures go on."""
    monkeypatch.delenv("HOMEOSTASIS_STRICT")
    (project / ".homeostasis").mkdir()
    (project / ".homeostasis" / "spool").write_text("")
    (project / ".homeostasis" / "workers").write_text("")
    client = spooling()
    answer = WsgiMonitor(lambda environ, start: [b"fine"])({"PATH_INFO": "/"}, lambda *_: None)
    assert list(answer) == [b"fine"]
    assert client.flush(60)
    client.close()


def test_an_hour_without_orchestrator(spooling: Any, spooled: Any, load: Any, raised_by: Any, monkeypatch: Any) -> None:
    """Nobody reads the spool for an hour of errors: it stays within its size, and every error is counted."""
    clock = [1e9]
    monkeypatch.setattr(clients.time, "time", lambda: clock[0])
    client = spooling(max_spool_bytes=200_000)
    crash = load("shop", "def crash(n):\n    raise ValueError(n)\n")["crash"]
    total = 0
    for second in range(0, 3600, 2):
        clock[0] = 1e9 + second
        for _ in range(3):
            total += client.capture(raised_by(crash, second))
        if second % 120 == 0:
            assert client.flush(60)
    records = spooled()
    counts = {kind: [r for r in records if r["record"] == kind] for kind in ("event", "recurrence", "lost")}
    seen = len(counts["event"]) + sum(record["count"] for record in counts["recurrence"])
    lost = sum(record["count"] for record in counts["lost"])
    assert total == 5400
    assert sum(len(json.dumps(record)) for record in records) <= 260_000
    assert 0 < len(counts["event"]) <= 361
    assert seen + lost <= total + len(counts["lost"])


def test_an_event_that_is_too_large_whatever_is_left_out(spooling: Any, spooled: Any) -> None:
    """A record that cannot be made small enough is dropped and counted."""
    client = spooling(max_event_bytes=4096)
    client.record({"record": "sample", "text": "x" * 10_000})
    spooled()
    assert [(r["record"], r["reason"]) for r in spooled()] == [("lost", "event too large")]


HOSTILE = """
import threading

def refuse(*_, **__):
    raise RuntimeError("no")

def recurse(self, *_, **__):
    return recurse(self)

def forever(*_, **__):
    while True:
        pass

METHODS = ["__repr__", "__str__", "__eq__", "__hash__", "__len__", "__bool__", "__getattr__", "__iter__", "__format__",
           "__reduce__", "__reduce_ex__", "__sizeof__", "__dir__", "__getitem__", "__contains__", "__instancecheck__"]

def hostile(behave):
    names = dict.fromkeys(METHODS, behave)
    names["__class__"] = property(behave)
    class Meta(type):
        __eq__ = __instancecheck__ = __subclasscheck__ = __repr__ = behave
        __hash__ = type.__hash__
    made = [Meta("Hostile", (base,), dict(names)) for base in (object, dict, list, str, int)]
    return [cls.__new__(cls) for cls in made]

class Slotted:
    __slots__ = ("value",)
    def __getattribute__(self, name):
        raise RuntimeError("no")

def crash():
    lock, generator, slotted = threading.Lock(), (n for n in [1]), Slotted()
    first, second, third = hostile(refuse), hostile(recurse), hostile(forever)
    both = {1: first, 2: second, 3: third}
    raise LookupError(first, second, third)
"""


def test_hostile_objects(remembering: Any, load: Any, raised_by: Any, event_of: Any) -> None:
    """Objects whose methods raise, recurse or never end, and such that cannot be pickled, are described by their class."""
    client = remembering()
    error = raised_by(load("shop", HOSTILE)["crash"])
    assert client.capture(error)
    event = event_of(client.records[0])
    frame = event.crash_frame
    assert {"lock", "generator", "slotted", "both"} <= set(frame.locals)
    assert frame.locals["first"].length == 5
    assert "Hostile" in event.raised.message


def test_interpreter_shutdown(run_script: Any, spooled: Any) -> None:
    """Exceptions in exit handlers, in finalizers of module globals and in daemon threads harm no ending."""
    done = run_script(
        """
        import atexit, logging, threading, time
        from homeostasis.monitoring import capture_exception, client, setup_monitoring

        client.EXIT_SECONDS = 60.0  # a busy machine may need longer than an app should wait

        class Held:
            def __del__(self):
                try:
                    raise ValueError("in __del__")
                except ValueError as error:
                    capture_exception(error)
                raise LookupError("escapes from __del__")

        held = Held()
        setup_monitoring()

        def late():
            while True:
                try:
                    {}["late"]
                except KeyError as error:
                    capture_exception(error)
                time.sleep(0.001)

        @atexit.register
        def leaving():
            threading.Thread(target=late, daemon=True).start()
            try:
                1 / 0
            except ZeroDivisionError:
                logging.exception("at exit")

        print("done")
    """,
        HOMEOSTASIS_STRICT="0",
    )
    assert done.stdout == "done\n"
    assert done.returncode == 0
    assert "Fatal Python error" not in done.stderr
    assert "homeostasis failed" not in done.stderr
    kinds = [record["exceptions"][0]["type"] for record in spooled() if record["record"] == "event"]
    assert "ZeroDivisionError" in kinds, done.stderr


def test_fifty_threads(spooling: Any, spooled: Any, load: Any) -> None:
    """Fifty threads that crash in the same request handler get their own exceptions, and each is counted."""
    spooling()
    crash = load("shop", "def crash(n):\n    raise ValueError(n)\n")["crash"]
    barrier = threading.Barrier(50)
    got: list[int] = []

    def app(environ: Any, start_response: Any) -> Any:
        crash(environ["number"])

    def work(number: int) -> None:
        barrier.wait()
        for step in range(10):
            try:
                WsgiMonitor(app)({"PATH_INFO": "/a", "number": number * 100 + step}, None)
            except ValueError as error:
                got.append(error.args[0])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == [number * 100 + step for number in range(50) for step in range(10)]
    records = spooled()
    events = sum(r["record"] == "event" for r in records)
    assert events + sum(r["count"] for r in records if r["record"] == "recurrence") == 500
    assert sum(r["count"] for r in records if r["record"] == "traffic") == 500


@pytest.mark.parametrize("patched", ["before", "after"])
def test_gevent(run_script: Any, spooled: Any, patched: str) -> None:
    """In a process that gevent patches, before or after us, greenlets crash and answer, and all of it is written."""
    if importlib.util.find_spec("gevent") is None:
        pytest.skip("gevent is not installed")
    patch = "import warnings\nwarnings.simplefilter('ignore')\nfrom gevent import monkey\nmonkey.patch_all()\n"
    setup = "from homeostasis.monitoring import setup_monitoring, client\nsetup_monitoring()\n"
    done = run_script(
        (patch + setup if patched == "before" else setup + patch)
        + """
import gevent
from homeostasis.monitoring.wsgi import WsgiMonitor

def app(environ, start_response):
    gevent.sleep(0)
    return {}[environ["PATH_INFO"]]

def ask(number):
    try:
        WsgiMonitor(app)({"PATH_INFO": f"/{number}"}, None)
    except KeyError as error:
        return error.args[0]

jobs = [gevent.spawn(ask, number) for number in range(50)]
gevent.joinall(jobs, timeout=20)
assert sorted(job.value for job in jobs) == sorted(f"/{number}" for number in range(50))
assert client.current().flush(60)
print("done")
"""
    )
    assert done.stdout == "done\n"
    records = spooled()
    events = sum(r["record"] == "event" for r in records)
    assert events + sum(r["count"] for r in records if r["record"] == "recurrence") == 50
    assert sum(r["count"] for r in records if r["record"] == "traffic") == 50


def test_no_thread_can_be_had(spooling: Any, raised_by: Any, monkeypatch: Any) -> None:
    """At the system's limit of threads captures are lost, and nothing else."""
    monkeypatch.delenv("HOMEOSTASIS_STRICT")
    client = spooling()

    def refuse(self: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    client.capture(raised_by(lambda: 1 / 0))
    client.answered(RequestState("wsgi", {"PATH_INFO": "/a"}), 0.001)
    client.start()
    assert client.flush(60) is False
