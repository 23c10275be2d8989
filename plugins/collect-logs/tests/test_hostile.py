"""Whatever stands in a log: nothing is raised, memory is bounded, and the neighbours of a bad record are read."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homeostasis.collecting.events import UNREADABLE, EventMaker
from homeostasis.testing.fakes import MemorySink
from homeostasis_collect_logs.assembly import DEFECT
from homeostasis_collect_logs.scanner import NEEDLES, Scanner
from homeostasis_collect_logs.settings import CollectLogsSettings
from homeostasis_collect_logs.wording import moment_of

CRASH = b'Traceback (most recent call last):\n  File "shop/cart.py", line 10, in price\n    return row["price"]\nKeyError: 1\n'
PIECES = [
    *NEEDLES, b"Traceback (most recent call last):\n", b'  File "a.py", line 1, in f\n', b"    f()\n", b"    ^^^\n", b"ValueError: x\n",
    b"\n", b"ERROR x\n", b"INFO:root:x\n", b"  + Exception Group Traceback (most recent call last):\n", b"  | ", b"    +-+--- 1 ---\n", b"+---\n",
    b"The above exception was the direct cause of the following exception:\n", b"\x1b[31m", b"\x1b]0;x", b"\xff\xfe", b"\0", b"{", b"}", b'"',
    b'{"log":"', b'\\n","stream":"stderr"}\n', b'{"message":"', b'{"exception":[{"exc_type":"E","frames":[{}]}]}\n', b"#012", b"<11>1 - - - - - - ",
    b"2026-01-02T03:04:05Z stderr P ", b"2026-01-02T03:04:05Z stderr F ", b"[T-1] ", b"> File \"a.py\", line 2, in g\n", b"[[[[[[[[", b"9" * 50,
    b"<13>Jan  2 03:04:05 root: ", b"<11>", b"<11>app[7]: ", b"KeyError                Traceback (most recent call last)\n", b"File /a/b.py:10, in f()\n",
    b"Cell In[1], line 2\n", b"---> 10     f()\n", b"  File /a.py:1 in f\n", b"[ERROR] E: x\rTraceback (most recent call last):\r", b"Exception on /a [GET]\n",
]  # fmt: skip


def scan(data, step=4096, **limits):
    """Crashes and losses of some bytes, fed in steps."""
    scanner = Scanner(0, **{"max_line_bytes": 65536, "max_event_lines": 500, **limits})
    for at in range(0, len(data), step):
        scanner.feed(data[at : at + step], 0.0)
    scanner.finish()
    assert DEFECT not in scanner.lost
    return scanner.take(), scanner.lost


@given(pieces=st.lists(st.sampled_from(PIECES) | st.binary(max_size=20), max_size=60), step=st.integers(1, 200))
@settings(max_examples=300, deadline=None)
def test_any_bytes(pieces, step):
    """Every crash that is found is whole, and a crash that follows is found."""
    crashes, _ = scan(b"".join(pieces) + b"\n\n" + b"x\n" * 2 + CRASH, step)
    assert all(each.name for found in crashes for each in found.chain)
    assert crashes[-1].chain[-1].message == "1" or crashes[-1].chain[-1].rest


@given(pieces=st.lists(st.sampled_from(PIECES), max_size=40), step=st.integers(1, 100))
@settings(max_examples=150, deadline=None)
def test_the_size_of_reads_makes_no_difference(pieces, step):
    """Chunks may end anywhere."""
    data = b"".join(pieces) + b"\n"
    whole, parts = scan(data)[0], scan(data, step)[0]
    assert [found.chain for found in whole] == [found.chain for found in parts]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just(CRASH.decode()),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(
            [
                "exception",
                "exc_info",
                "error",
                "stack_trace",
                "stack",
                "type",
                "message",
                "log",
                "record",
                "text",
                "event",
                "frames",
                "exc_type",
                "exc_value",
                "exceptions",
                "stacks",
                "stackTrace",
                "errorType",
                "jsonPayload",
                "timestamp",
                "labels",
            ]
        ),
        inner,
        max_size=6,
    ),
    max_leaves=30,
)


@given(
    record=st.dictionaries(
        st.sampled_from(["exception", "error", "record", "text", "event", "stackTrace", "log"]), json_values
    )
)
@settings(max_examples=100, deadline=None)
def test_any_record(record):
    """Fields of any type, and the plain crash after it."""
    line = json.dumps({**record, "x": "stack_trace"}).encode() + b"\nx\n"
    crashes, _ = scan(line + CRASH)
    assert crashes[-1].chain[-1].message == "1"


BAD = {
    "deep": b'{"exc_info":' + b"[" * 30_000 + b'"Traceback (most recent call last):"\n',
    "deep and whole": b'{"stack_trace":' + b'{"a":' * 9_000 + b"1" + b"}" * 9_001 + b"\n",
    "a huge number": b'{"stack_trace":' + b"9" * 60_000 + b"}\n",
    "no end": b"Traceback (most recent call last)" * 40_000 + b"\n",
    "escapes": b"\x1b[" * 30_000 + b"Traceback (most recent call last):\n",
    "headers": b"Traceback (most recent call last):\n" * 5_000,
    "prefixes": b"".join(b"[%d] Traceback (most recent call last):\n" % n for n in range(2_000)),
    "frames": b'Traceback (most recent call last):\n' + b'  File "a.py", line 1, in f\n' * 20_000,
    "parts": b"2026-01-02T03:04:05Z stderr P stack_trace\n" * 5_000 + b"2026-01-02T03:04:05Z stderr F \n",
    "nul": b"\0" * 100_000 + b"stack_trace\n",
    "clocks": b"12:34:56" * 40 + b" Traceback (most recent call last):\n" + b"1" * 3_000 + b"\n",
    "a long prefix": b"a-12:34:56 " * 5_000 + b"Traceback (most recent call last):\nx y\n",
    "digits that are no number": '{"stack_trace":1,"timestamp":"\u00b2","log":"x"}\n'.encode(),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_record_costs_only_itself(name):
    """The crashes before and behind it are read."""
    crashes, _ = scan(b"x\n" + CRASH + b"\n" + BAD[name] + b"\nINFO x\n" + CRASH)
    names = [found.chain[-1].name for found in crashes]
    assert names[0] == names[-1] == "KeyError"
    assert len(names) >= 2


def test_what_is_passed_over_is_counted():
    """Long lines, torn tracebacks and unreadable records, each once."""
    long, torn = b"stack_trace" + b"x" * 70_000 + b"\n", b"Traceback (most recent call last):\nno frame\n\n"
    _, lost = scan(long + torn + CRASH + b"INFO x\n" + BAD["deep"])
    assert lost == {"log line too long": 1, "torn traceback": 1, "unreadable log record": 1}


@given(pieces=st.lists(st.sampled_from(PIECES) | st.binary(max_size=20), max_size=60))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_found_becomes_an_event_or_is_foreign(pieces, events_in):
    """What the scanner takes for a crash never breaks what comes after it."""
    found = events_in(b"".join(pieces) + b"\n\nx\n" + CRASH)
    assert found[-1].fingerprint


def test_a_line_that_the_reader_fails_on_is_counted(monkeypatch):
    """A defect of ours costs one line, not the collector."""
    monkeypatch.setattr("homeostasis_collect_logs.assembly.load", lambda text: 1 / 0 if "stackTrace" in text else None)
    scanner = Scanner(0, max_line_bytes=65536, max_event_lines=500)
    scanner.feed(b"x\n" + CRASH + b"INFO x\nstackTrace\nx\n" + CRASH, 0.0)
    scanner.finish()
    assert len(scanner.take()) == 2
    assert scanner.lost == {DEFECT: 1}


@pytest.mark.parametrize("text", ["0001-01-01 00:00:00+0000", "9999-12-31 23:59:59", "\u00b2", "2026-13-01 00:00:00"])
def test_no_moment_out_of_calendars(text):
    """Other parts of the project make dates of what is recorded."""
    assert moment_of(text) is None


def test_a_crash_that_cannot_be_made_an_event_is_counted(place, monkeypatch):
    """A defect of ours costs one record, not the collector."""
    maker, sink = EventMaker(place, CollectLogsSettings()), MemorySink()
    monkeypatch.setattr(maker, "event", lambda crash: 1 / 0)
    maker.put(scan(CRASH + b"\n" + CRASH)[0], sink)
    assert (sink.events, sink.losses) == ([], [(UNREADABLE, 2)])
