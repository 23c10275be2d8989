from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from homeostasis.monitoring import client as clients
from homeostasis.monitoring import delivery, internal, storms
from homeostasis.monitoring.request import RequestState


def crash(number: int = 0) -> None:
    raise ValueError(f"number {number}")


def kinds(records: list[dict[str, Any]]) -> list[str]:
    return [record["record"] for record in records]


def test_first_is_captured_and_the_rest_counted(spooling: Any, spooled: Any, raised_by: Any, event_of: Any) -> None:
    """A storm of one error is one event and one count, whatever the messages say."""
    client = spooling()
    for number in range(100):
        assert client.capture(raised_by(crash, number))
    records = spooled()
    assert kinds(records) == ["event", "recurrence"]
    event = event_of(records[0])
    assert event.service == "shop" or event.service == "app"
    assert (records[1]["fingerprint"], records[1]["count"]) == (event.fingerprint, 99)
    client.capture(raised_by(crash))
    assert [record["count"] for record in spooled()[2:]] == [1]


def test_fresh_captures_are_sampled(spooling: Any, spooled: Any, raised_by: Any, monkeypatch: Any) -> None:
    """After a pause a crash is captured whole again, unless the sample rate says no."""
    monkeypatch.setattr(storms, "FRESH_SECONDS", 0.0)
    spooling(sample_rate=1.0)
    for _ in range(3):
        clients.current().capture(raised_by(crash))
    assert kinds(spooled()) == ["event"] * 3
    clients.reset()
    spooling(sample_rate=0.0)
    for _ in range(3):
        clients.current().capture(raised_by(crash))
    assert kinds(spooled())[3:] == ["event", "recurrence"]


def test_new_code_is_captured_anew(spooling: Any, spooled: Any, raised_by: Any, load: Any) -> None:
    """When a function got other code, as after a live change, its crash is a new capture."""
    source = "def crash():\n    return {}['a']\n"
    client = spooling()
    function = load("shop", source)["crash"]
    for _ in range(2):
        client.capture(raised_by(function))
    function.__code__ = load("shop", "\n" + source)["crash"].__code__
    for _ in range(2):
        client.capture(raised_by(function))
    records = spooled()
    assert kinds(records) == ["event", "event", "recurrence"]
    assert records[2]["count"] == 2


def test_different_errors_are_bounded(spooling: Any, spooled: Any, raised_by: Any, load: Any, monkeypatch: Any) -> None:
    """An app that fails in a new place each time costs a bounded number of captures, and the rest is counted as lost."""
    client = spooling()
    functions = load("shop", "".join(f"def f{n}():\n    1/0\n" for n in range(200)))
    monkeypatch.setattr(clients.time, "time", lambda: 1e9)
    for number in range(200):
        client.capture(raised_by(functions[f"f{number}"]))
    records = spooled()
    assert kinds(records).count("event") == client.settings.max_captures_per_second
    assert [r["count"] for r in records if r["record"] == "lost"] == [200 - client.settings.max_captures_per_second]


def test_one_exception_is_captured_once(remembering: Any, raised_by: Any) -> None:
    """The same exception, seen by several hooks on its way, is one event; its attributes stay as they were."""
    client = remembering()

    class Own(Exception):
        pass

    own = raised_by(lambda: (_ for _ in ()).throw(Own("x")))
    assert [client.capture(own), client.capture(own)] == [True, False]
    assert vars(own) == {}
    builtin = raised_by(crash)
    assert [client.capture(builtin), client.capture(builtin)] == [True, False]
    assert len(client.records) == 2


def test_passive_without_project(tmp_path: Path, monkeypatch: Any, caplog: Any, raised_by: Any) -> None:
    """Outside of a project nothing is captured or written, and one line says why."""
    monkeypatch.chdir(tmp_path)
    client = clients.configure()
    assert not client.active
    assert client.capture(raised_by(crash)) is False
    assert client.flush()
    assert "homeostasis init" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_disabled(spooling: Any, project: Path, raised_by: Any) -> None:
    """`enabled = false` captures nothing."""
    assert spooling(enabled=False).capture(raised_by(crash)) is False
    assert not (project / ".homeostasis").exists()


def test_unwritable_spool_hurts_nobody(spooling: Any, project: Path, raised_by: Any, monkeypatch: Any) -> None:
    """Where nothing can be written, captures go on being taken and lost in silence."""
    monkeypatch.delenv("HOMEOSTASIS_STRICT")
    (project / ".homeostasis").write_text("a file, no directory")
    client = spooling()
    for _ in range(3):
        assert client.capture(raised_by(crash))
    assert client.flush(60)
    assert client._delivery._lost["spool unwritable"] >= 1


def test_own_failures_are_logged_once(spooling: Any, raised_by: Any, monkeypatch: Any, caplog: Any) -> None:
    """A bug of ours is counted and logged once; the app gets its own exception, not ours."""
    monkeypatch.delenv("HOMEOSTASIS_STRICT")
    client = spooling()
    monkeypatch.setattr(clients, "describe", lambda *_, **__: 1 / 0)
    monkeypatch.setattr(internal, "_counts", {})
    for _ in range(3):
        assert client.capture(raised_by(crash)) is False
    assert caplog.text.count("homeostasis failed while capturing an exception") == 1
    assert internal.failures() == {"capturing an exception: ZeroDivisionError": 3}
    monkeypatch.setenv("HOMEOSTASIS_STRICT", "1")
    with pytest.raises(ZeroDivisionError):
        client.capture(raised_by(crash))


def test_large_events_shrink(spooling: Any, spooled: Any, raised_by: Any, event_of: Any, load: Any) -> None:
    """An event above its size loses locals before anything else, and says so."""
    client = spooling(max_event_bytes=8192)
    lines = "".join(f"    v{n} = 'x' * 900\n" for n in range(40))
    client.capture(raised_by(load("shop", f"def crash():\n{lines}    1/0\n")["crash"]))
    (record,) = spooled()
    assert len(json.dumps(record)) < 9000
    event = event_of(record)
    assert event.raised.type == "ZeroDivisionError"
    assert any("too large" in loss for loss in event.losses)


def test_full_queue_counts_what_it_drops(spooling: Any, spooled: Any, monkeypatch: Any) -> None:
    """When the disk is slower than the app, records are dropped and counted, and no request waits."""
    monkeypatch.setattr(delivery, "MAX_QUEUED", 5)
    client = spooling()
    gate = threading.Event()
    monkeypatch.setattr(client._delivery, "_begun", lambda: gate.wait(60))
    for number in range(20):
        client.record({"record": "traffic", "route": str(number)})
    gate.set()
    records = spooled() + spooled()
    dropped = {record["count"] for record in records if record["record"] == "lost"}
    assert kinds(records).count("traffic") in (10, 12)  # five or six, read twice
    assert dropped <= {14, 15}
    assert dropped


def test_recurrences_are_reported_soon(spooling: Any, project: Path, raised_by: Any, monkeypatch: Any) -> None:
    """That a crash happens again is on the disk without a flush, and before the counters are due."""
    monkeypatch.setattr(delivery, "URGENT_AFTER", 0.01)
    client = spooling()
    for _ in range(2):
        client.capture(raised_by(crash))
    spool, deadline = project / ".homeostasis" / "spool", time.monotonic() + 60
    while time.monotonic() < deadline and not any(b'"recurrence"' in file.read_bytes() for file in spool.glob("*")):
        time.sleep(0.001)
    assert any(b'"recurrence"' in file.read_bytes() for file in spool.glob("*"))


def test_written_at_once(spooling: Any, project: Path, raised_by: Any) -> None:
    """An event reaches the disk without a flush."""
    spooling().capture(raised_by(crash))
    deadline = time.monotonic() + 60
    while not list(project.glob(".homeostasis/spool/*.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.001)
    assert list(project.glob(".homeostasis/spool/*.jsonl"))


def test_a_burst_is_written_together(
    spooling: Any, spooled: Any, project: Path, raised_by: Any, monkeypatch: Any
) -> None:
    """The first event of a burst does not wait; those that follow wait for each other, and for a flush no longer."""
    monkeypatch.setattr(delivery, "WRITE_EVERY", 3600.0)
    client = spooling()
    monkeypatch.setattr(client._delivery, "_written_at", -3600.0)
    writes: list[int] = []
    write = client._delivery._writer.write

    def noting(lines: list[bytes], *spare: int) -> Any:
        writes.append(len(lines))
        return write(lines, *spare)

    monkeypatch.setattr(client._delivery._writer, "write", noting)
    client.capture(raised_by(crash))
    deadline = time.monotonic() + 60
    while not writes and time.monotonic() < deadline:
        time.sleep(0.001)
    for divide in (lambda: 1 / 0, lambda: 1 // 0, lambda: 1 % 0):
        client.capture(raised_by(divide))
    assert writes == [1]
    assert kinds(spooled()).count("event") == 4
    assert writes[:2] == [1, 3]


def test_threads(spooling: Any, spooled: Any, raised_by: Any) -> None:
    """Many threads that crash and answer at once lose nothing."""
    client = spooling()

    def work() -> None:
        for _ in range(50):
            client.capture(raised_by(crash))
            client.answered(RequestState("wsgi", {"PATH_INFO": "/a"}), 0.001)

    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    records = spooled()
    events = kinds(records).count("event")
    assert events + sum(r["count"] for r in records if r["record"] == "recurrence") == 1000
    assert sum(r["count"] for r in records if r["record"] == "traffic") == 1000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_fork_with_a_busy_queue(run_script: Any, spooled: Any, project: Path) -> None:
    """Children of a process whose thread is running report what they do themselves, and nothing twice."""
    run_script("""
        import os, sys, warnings
        warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads, which this test is about
        from homeostasis.monitoring import client, capture_exception, setup_monitoring

        def crash(n):
            try:
                raise ValueError(n)
            except ValueError as error:
                assert capture_exception(error)

        setup_monitoring()
        for n in range(10):
            crash(n)
        children = []
        for child in range(3):
            pid = os.fork()
            if not pid:
                for n in range(10):
                    crash(n)
                assert client.current().flush(60)
                os._exit(0)
            children.append(pid)
        for pid in children:
            assert os.waitpid(pid, 0)[1] == 0
        print(os.getpid())
    """)
    records = spooled()
    assert len(list(project.glob(".homeostasis/spool/*.jsonl"))) == 4
    assert kinds(records).count("event") == 1
    assert sum(record["count"] for record in records if record["record"] == "recurrence") == 39


def test_drains_at_exit(run_script: Any, spooled: Any, project: Path) -> None:
    """What was captured last is written when the process ends, and the process leaves the list of workers."""
    done = run_script(
        """
        from homeostasis.monitoring import setup_monitoring
        setup_monitoring()
        {}["gone"]
        """,
        check=False,
    )
    assert done.returncode == 1
    assert "KeyError: 'gone'" in done.stderr
    assert kinds(spooled()) == ["event"]
    assert list(project.glob(".homeostasis/workers/*")) == []


def test_worker_is_registered(spooling: Any, spooled: Any, project: Path) -> None:
    """A process that serves is found by the orchestrator: pid, interpreter, command line."""
    client = spooling()
    client.answered(RequestState("wsgi", {"PATH_INFO": "/a"}), 0.001)
    spooled()
    record = json.loads((project / ".homeostasis" / "workers" / f"{os.getpid()}.json").read_text())
    assert record["pid"] == os.getpid()
    assert record["server"] is None
    expected = "pid ppid started start_ticks service executable python prefix argv cwd server app monitoring control"
    assert sorted(record) == sorted(expected.split())
    clients.reset()
    assert not list(project.glob(".homeostasis/workers/*.json"))


def test_reconfigured(spooling: Any) -> None:
    """A second setup without settings keeps the client; one with others replaces it."""
    first = spooling()
    assert clients.configure() is first
    assert spooling() is first
    assert spooling(healthy_samples=1) is not first
