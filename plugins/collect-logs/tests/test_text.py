"""Plain text: prefixes, interleaved writers, colours, envelopes of container runtimes and syslog."""

from __future__ import annotations

import json
import sys

import pytest

from homeostasis_collect_logs.assembly import Assembly
from homeostasis_collect_logs.envelopes import Line

FRAMES = ['  File "shop/cart.py", line 10, in price', '    return row["price"]']


def crash_lines(name):
    return ["Traceback (most recent call last):", *FRAMES, f"KeyError: '{name}'"]


@pytest.fixture
def found(events_in):
    """The messages of the crashes in lines."""
    return lambda lines, **settings: [event.raised.message for event in events_in("\n".join(lines) + "\n", **settings)]


def prefixed(prefix, name):
    return [f"{prefix}{line}" for line in crash_lines(name)]


@pytest.mark.parametrize(
    "prefix", ["", "web-1  | ", "[Thread-7] ", "    ", "12:00:01 web.1  | ", "[pod/shop-6f7/app] ", "2026-01-02T03:04:05.123Z "]
)  # fmt: skip
def test_a_prefix_before_each_line(prefix, found):
    """What compose, foreman, kubectl or an own formatter put before the lines."""
    assert found(["INFO x", *prefixed(prefix, "one"), f"{prefix}INFO y"]) == ["'one'"]


def test_threads_that_write_at_the_same_time(found):
    """Lines belong to the traceback with their prefix, in the order in which the tracebacks began."""
    ways = [prefixed(f"2026-01-02 03:04:05 [Thread-{number}] ", f"t{number}") for number in range(4)]
    lines = [line for group in zip(*ways) for line in group]
    assert found(lines) == ["'t0'", "'t1'", "'t2'", "'t3'"]


def test_lines_of_others_in_the_midst(found):
    """Another process that writes records into the same file does not tear the traceback."""
    first, *rest = crash_lines("one")
    lines = ["2026-01-02 03:04:05 ERROR shop failed", first]
    for line in rest:
        lines += [line, "2026-01-02 03:04:05 INFO shop fine"]
    assert found(lines) == ["'one'"]


def test_a_header_behind_the_record(found):
    """`log.error(traceback.format_exc())` puts the prefix before the first line only."""
    assert found(["2026-01-02 ERROR shop: " + crash_lines("one")[0], *crash_lines("one")[1:]]) == ["'one'"]


def test_the_next_record_ends_it_whatever_its_format(events_in):
    """The level's place is learned from the record before."""
    lines = ["shop.views <ERROR> it failed", *crash_lines("one"), "shop.db <INFO> connected"]
    (event,) = events_in("\n".join(lines) + "\n")
    assert (event.raised.message, event.raised.notes) == ("'one'", ())


def test_colours_are_taken_away(found):
    """Python 3.13 and loguru colour tracebacks."""
    lines = [f"\x1b[31m{line}\x1b[0m" for line in crash_lines("one")]
    lines[1] = '  File \x1b[35m"shop/cart.py"\x1b[0m, line \x1b[35m10\x1b[0m, in \x1b[35mprice\x1b[0m'
    assert found(lines) == ["'one'"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="came with Python 3.11: exception groups and notes")
def test_groups_and_notes(run_app, events_in):
    """A group has its members, and a note stays one."""
    code = """
from shop.cart import cause, plain
found = []
for work in (cause, plain):
    try:
        work()
    except Exception as error:
        error.add_note("noted")
        found.append(error)
raise ExceptionGroup("both", found)
"""
    (event,) = events_in("INFO x\n" + run_app(code) + "INFO y\n")
    assert event.raised.type == "ExceptionGroup"
    assert [(each.type, each.relation) for each in event.exceptions[1:]] == [
        ("KeyError", "cause"), ("CartError", "member"), ("KeyError", "member"),
    ]  # fmt: skip
    assert event.exceptions[3].notes == ("noted",)


def test_recursion_and_repeated_lines(run_app, events_in):
    """What Python leaves out is named."""
    (event,) = events_in(run_app("def work():\n    work()\nwork()\n"))
    assert event.raised.type == "RecursionError"
    assert any("repeated frames" in loss for loss in event.losses)


def docker(line):
    return json.dumps({"log": f"{line}\n", "stream": "stderr", "time": "2026-01-02T03:04:05Z"})


def journald(line):
    return json.dumps(
        {"MESSAGE": line, "_PID": "7", "_SYSTEMD_UNIT": "shop.service", "__REALTIME_TIMESTAMP": "1767323045000000"}
    )


ENVELOPES = {
    "docker": docker,
    "cri": lambda line: f"2026-01-02T03:04:05.000000001Z stderr F {line}",
    "journald": journald,
    "journald bytes": lambda line: json.dumps({"MESSAGE": list(line.encode()), "_PID": "7"}, separators=(",", ":")),
    "rfc3164": lambda line: f"Jan  2 03:04:05 host shop[7]: {line}",
    "rfc5424": lambda line: f'<11>1 2026-01-02T03:04:05Z host shop 7 - [meta x="a]b"] {line}',
    "rsyslog": lambda line: f"2026-01-02T03:04:05.000000+00:00 host shop[7]: {line}",
    "fluent": lambda line: json.dumps({"log": line, "kubernetes": {"pod_name": "shop-1"}}),
    "loki": lambda line: json.dumps({"line": line, "labels": {"pod": "shop-1"}, "timestamp": "2026-01-02T03:04:05Z"}),
}


@pytest.mark.parametrize("name", ENVELOPES)
def test_one_record_per_line(name, events_in):
    """A traceback that was split into records is put together, and the envelope's time is its own."""
    wrap = ENVELOPES[name]
    lines = [wrap(line) for line in ["ERROR it failed", *crash_lines("one"), "INFO next"]]
    (event,) = events_in("\n".join(lines) + "\n")
    assert event.raised.message == "'one'"
    if name not in ("fluent", "journald bytes", "rfc3164"):
        assert event.timestamp == pytest.approx(1767323045.0, abs=1)


@pytest.mark.parametrize("tag", ["shop:", "shop[7]:", "shop"])
def test_a_space_that_rsyslog_took(tag, place, events_in):
    """Its traditional format puts a space behind the tag only before messages that begin with none."""
    lines = ["Traceback (most recent call last):", *FRAMES, "           ~~~^^^^^^^^^", "KeyError: 'one'", "INFO next"]
    sent = [f"<133>Nov 24 15:27:43 vm {tag}{'' if line.startswith(' ') else ' '}{line}" for line in lines]
    (event,) = events_in("\n".join(sent) + "\n")
    assert (event.raised.message, event.crash_frame.span.column, event.crash_frame.span.end_column) == ("'one'", 15, 27)


@pytest.mark.parametrize("name", ["docker", "cri", "journald", "fluent"])
def test_writers_are_told_apart(name, found):
    """Standard output between the lines of standard error, another pod, another process."""
    other = {
        "docker": lambda line: docker(line).replace("stderr", "stdout"),
        "cri": lambda line: ENVELOPES["cri"](line).replace("stderr", "stdout"),
        "journald": lambda line: journald(line).replace('"7"', '"8"'),
        "fluent": lambda line: ENVELOPES["fluent"](line).replace("shop-1", "shop-2"),
    }[name]
    pairs = zip(crash_lines("one"), crash_lines("two"))
    lines = [line for one, two in pairs for line in (ENVELOPES[name](one), other(two))]
    assert found(lines) == ["'one'", "'two'"]


def test_lines_that_the_runtime_split(found):
    """A long record in parts, by CRI and by Docker, is one again."""
    record = json.dumps({"exc_info": "\n".join(crash_lines("one")), "pad": "x" * 5000})
    parts = [record[at : at + 1000] for at in range(0, len(record), 1000)]
    cri = [f"2026-01-02T03:04:05Z stderr {'F' if part is parts[-1] else 'P'} {part}" for part in parts]
    dockers = [json.dumps({"log": part + ("\n" if part is parts[-1] else ""), "stream": "stderr"}) for part in parts]
    dockers = [line.replace('": "', '":"').replace('", "', '","') for line in dockers]
    assert found(cri) == ["'one'"]
    assert found(dockers) == ["'one'"]


@pytest.mark.parametrize("mark", ["logtag", "_p"])
def test_records_of_fluent_bit(mark, found):
    """Its records of CRI lines have no line ends; `logtag` tells which line goes on."""
    lines = [*crash_lines("one"), "INFO next"]
    whole = [{"time": "2026-01-02T03:04:05Z", "stream": "stderr", mark: "F", "log": line} for line in lines]
    assert found(map(json.dumps, whole)) == ["'one'"]
    record = json.dumps({"exc_info": "\n".join(crash_lines("two"))})
    parts = [{"stream": "stderr", "logtag": "P", "log": record[:60]}, {"stream": "stderr", "logtag": "F", "log": record[60:]}]  # fmt: skip
    assert found(map(json.dumps, parts)) == ["'two'"]


def test_a_part_without_an_end_holds_nothing_up():
    """It is given up although other writers go on."""
    assembly = Assembly(max_line=10_000, max_event_lines=100)
    assembly.line(Line("2026-01-02T03:04:05Z stderr P begun"), 0, 1.0)
    assembly.line(Line("2026-01-02T03:04:05Z stdout F other"), 1, 5.0)
    assert assembly.safe(2) == 0
    assembly.settle(2.0)
    assert assembly.safe(2) == 2
    assert assembly.take_lost() == {"unreadable log record": 1}


def test_a_record_within_an_envelope(found):
    """JSON in CRI, and a syslog message with its line ends escaped."""
    record = json.dumps({"exc_info": "\n".join(crash_lines("one"))})
    assert found([ENVELOPES["cri"](record)]) == ["'one'"]
    assert found([ENVELOPES["rfc5424"]("failed#012" + "#012".join(crash_lines("two")))]) == ["'two'"]


SERVICES = {
    "datadog": {"error": {"kind": "KeyError", "message": "'one'", "stack": "\n".join(crash_lines("one"))}},
    "newrelic": {"error.class": "KeyError", "error.message": "'one'", "error.stack": "\n".join(crash_lines("one"))},
    "gcp": {"severity": "ERROR", "message": "it failed\n" + "\n".join(crash_lines("one"))},
    "gcp payload": {"severity": "ERROR", "jsonPayload": {"stack_trace": "\n".join(crash_lines("one"))}},
    "lambda": {
        "level": "ERROR",
        "errorType": "KeyError",
        "errorMessage": "'one'",
        "stackTrace": ["\n".join(FRAMES) + "\n"],
    },
}


@pytest.mark.parametrize("name", SERVICES)
def test_records_of_services(name, events_in):
    """By their documentation: fields of Datadog, New Relic, Google Cloud and AWS Lambda."""
    (event,) = events_in(json.dumps(SERVICES[name]) + "\n")
    assert (event.raised.dotted, event.raised.message, event.crash_frame.qualname) == (
        "KeyError",
        "'one'",
        "Cart.price",
    )


def test_paths_of_a_container(place, events_in):
    """`path_map` says where the container's files are; without it, the ends of paths are compared, and that is said."""
    text = "\n".join(crash_lines("one")).replace("shop/cart.py", "/srv/image/shop/cart.py") + "\n"
    (mapped,) = events_in(text, path_map={"/srv/image": "."})
    (guessed,) = events_in(text)
    assert mapped.crash_frame.path == guessed.crash_frame.path == str(place.root / "shop/cart.py")
    assert any("matched by the end" in loss for loss in guessed.losses)
    assert not any("matched by the end" in loss for loss in mapped.losses)
    assert mapped.fingerprint == guessed.fingerprint
    assert events_in(text, path_map={"/srv/image": "../../etc"}) == [None]


def test_crashes_of_other_programs_are_no_events(events_in):
    """No frame lies in the project."""
    text = "\n".join(crash_lines("one")).replace("shop/cart.py", "/usr/lib/thing.py") + "\n"
    assert events_in(text) == [None]
