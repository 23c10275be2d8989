"""Coverage-guided fuzzing of the parsers of what others send, with atheris; `nox -s nightly` runs each for a while.

    python tests/fuzzing/parsers.py TARGET [--seconds 60]
    python tests/fuzzing/parsers.py --list

A target takes bytes as they come from the network or a file, goes all the way to the event, and may raise only what
its reader declares. A finding ends the run with a traceback and leaves the bytes in the working directory.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Callable

import atheris

with atheris.instrument_imports(include=["homeostasis", "homeostasis_collect_"]):
    import msgpack

    from homeostasis.collecting.events import EventMaker
    from homeostasis.collecting.settings import CollectorTable
    from homeostasis.monitoring.redaction import Redactor
    from homeostasis.project import Project
    from homeostasis.testing.fakes import MemorySink
    from homeostasis_collect_http.calls import Call, Refused
    from homeostasis_collect_http.endpoint import load_json
    from homeostasis_collect_http.payloads import decompressed
    from homeostasis_collect_http.records import Reader
    from homeostasis_collect_http.settings import CollectHttpSettings
    from homeostasis_collect_logs.listening.forward import Forward
    from homeostasis_collect_logs.listening.framing import BadFrame, Syslog
    from homeostasis_collect_logs.listening.gelf import Chunks
    from homeostasis_collect_logs.scanner import Scanner
    from homeostasis_collect_otlp.intake import Intake
    from homeostasis_collect_otlp.messages import LOGS, METRICS, TRACES, Unreadable
    from homeostasis_collect_otlp.settings import CollectOtlpSettings
    from homeostasis_collect_sentry.receiver import Handling
    from homeostasis_collect_sentry.settings import CollectSentrySettings
    from homeostasis_collect_trackers import bugsnag, elastic_apm, honeybadger, rollbar

SHOP = "def price(row):\n    return row['price']\n"
TRACEBACK = (
    'Traceback (most recent call last):\n  File "/app/shop.py", line 2, in price\n'
    "    return row['price']\n           ~~~^^^^^^^^^\nKeyError: 'price'\n"
)
FRAME = {"filename": "shop.py", "abs_path": "/app/shop.py", "lineno": 2, "function": "price", "method": "price"}
EXCEPTION = {"type": "KeyError", "value": "'price'", "stacktrace": {"frames": [{**FRAME, "vars": {"row": "{}"}}]}}
ROLLBAR = {"body": {"trace": {"frames": [FRAME], "exception": {"class": "KeyError", "message": "'price'"}}}}
BUGSNAG = {"file": "shop.py", "lineNumber": 2, "method": "price", "inProject": True}
HONEYBADGER = {"number": 2, "file": "[PROJECT_ROOT]/shop.py", "method": "price"}
ELASTIC = {"exception": {"type": "KeyError", "message": "KeyError: 'price'", "stacktrace": [FRAME]}}
Target = Callable[[bytes], None]


class Targets:
    """The parsers, over one small project."""

    def __init__(self, project: Project) -> None:
        self._redactor = Redactor()
        self._maker = EventMaker(project, CollectorTable(recapture=0, path_map={"/app": "."}))
        self._sentry = Handling(project, CollectSentrySettings(recapture=0), None)
        self._reader = Reader(project, CollectHttpSettings())
        self._otlp = Intake(project, CollectOtlpSettings(settle=0))

    def all(self) -> dict[str, tuple[Target, list[bytes]]]:
        """By name, with what to begin from."""
        event = json.dumps({"exception": {"values": [EXCEPTION]}, "breadcrumbs": [{"message": "x"}]}).encode()
        head = b'{}\n{"type":"event","length":%d}\n' % len(event)
        stream = "\n".join(map(json.dumps, [{"metadata": {"service": {"name": "shop"}}}, {"error": ELASTIC}]))
        notice = {"error": {"class": "KeyError", "message": "'price'", "backtrace": [HONEYBADGER]}}
        report = {"events": [{"exceptions": [{"errorClass": "KeyError", "message": "x", "stacktrace": [BUGSNAG]}]}]}
        structured = json.dumps({"exception": [{"exc_type": "KeyError", "exc_value": "x", "frames": [FRAME]}]})
        return {
            "logs": (
                self._logs,
                [TRACEBACK.encode(), f"{structured}\n".encode(), b"<11>1 - h a - - - " + TRACEBACK.encode()],
            ),
            "syslog": (self._syslog, [b"<11>Jan  2 03:04:05 h a[1]: x\n", b"5 hello"]),
            "gelf": (self._gelf, [b'{"short_message":"x"}', b"\x1e\x0f12345678\x00\x02abc"]),
            "forward": (self._forward, [msgpack.packb(["tag", 1, {"log": TRACEBACK}])]),
            "sentry": (self._envelope, [head + event + b"\n"]),
            "records": (self._records, [b'{"record": "lost", "reason": "x", "count": 1}\n']),
            "otlp-protobuf": (self._protobuf, [b"\x0a\x02\x12\x00"]),
            "otlp-json": (self._otlp_json, [b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"events":[]}]}]}]}']),
            "rollbar": (self._rollbar, [json.dumps({"data": ROLLBAR}).encode()]),
            "bugsnag": (self._bugsnag, [json.dumps(report).encode()]),
            "honeybadger": (self._honeybadger, [json.dumps(notice).encode()]),
            "elastic-apm": (self._elastic, [stream.encode()]),
            "encodings": (_encodings, [b"\x1f\x8b\x08\x00", b"\x28\xb5\x2f\xfd"]),
        }

    def _events(self, crashes: list) -> None:
        sink = MemorySink()
        self._maker.put(crashes, sink)
        assert not any("could not be made" in reason for reason, _ in sink.losses), sink.losses

    def _logs(self, data: bytes) -> None:
        scanner = Scanner(0, max_line_bytes=100_000, max_event_lines=200)
        half = len(data) // 2
        scanner.feed(data[:half], 0.0)
        scanner.feed(data[half:], 1.0)
        scanner.finish()
        assert "log line that made the reader fail" not in scanner.lost
        self._events(scanner.take())

    def _syslog(self, data: bytes) -> None:
        frames = Syslog(10_000)
        try:
            frames.feed(data)
        except BadFrame:
            return

    def _gelf(self, data: bytes) -> None:
        table = Chunks(10_000)
        table.feed(data, "a", 0.0)
        table.expire(100.0)

    def _forward(self, data: bytes) -> None:
        try:
            for delivery in Forward(100_000).feed(data)[0]:
                list(delivery.entries)
        except BadFrame:
            return

    def _envelope(self, data: bytes) -> None:
        try:
            taken = self._sentry.envelope(Call("POST", "/", body=data))
        except Refused:
            return
        self._events(taken.crashes)

    def _records(self, data: bytes) -> None:
        try:
            taken = self._reader.read(Call("POST", "/", body=data))
        except Refused:
            return
        sink = MemorySink()
        for put in taken.others:
            put(sink)
        for each in taken.traffic:
            sink.traffic(each.service, each.route, each.requests, each.errors, each.at, each.seconds, each.buckets)

    def _protobuf(self, data: bytes) -> None:
        for signal in (LOGS, TRACES, METRICS):
            self._take(signal, lambda signal=signal: signal.from_protobuf(data))

    def _otlp_json(self, data: bytes) -> None:
        for signal in (LOGS, TRACES, METRICS):
            self._take(signal, lambda signal=signal: signal.from_json(load_json(data)))

    def _take(self, signal: object, decode: Callable[[], object]) -> None:
        try:
            taken, _ = self._otlp.take(signal, decode)
        except (Unreadable, Refused):
            return
        self._events(taken.crashes)

    def _rollbar(self, data: bytes) -> None:
        self._document(rollbar.crashes_of, data)

    def _bugsnag(self, data: bytes) -> None:
        self._document(bugsnag.crashes_of, data)

    def _honeybadger(self, data: bytes) -> None:
        self._document(honeybadger.crashes_of, data)

    def _document(self, read: Callable, data: bytes) -> None:
        try:
            document = load_json(data)
        except Refused:
            return
        self._events(list(read(document, self._redactor)))

    def _elastic(self, data: bytes) -> None:
        try:
            found = elastic_apm.read(data, self._redactor)
        except Refused:
            return
        self._events(found.crashes)


def _encodings(data: bytes) -> None:
    for encoding in ("gzip", "deflate", "br", "zstd"):
        try:
            assert len(decompressed(data, encoding, 1000)) <= 1000
        except Refused:
            continue


def main() -> None:
    """Fuzz one target until the time is over; does not return."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("target", nargs="?")
    parser.add_argument("--seconds", type=int, default=60, help="how long (default 60)")
    parser.add_argument("--list", action="store_true", help="print the names of all targets")
    options = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="homeostasis-fuzz-"))
    (root / "shop.py").write_text(SHOP, "utf-8")
    (root / "pyproject.toml").write_text('[tool.homeostasis]\nservice = "shop"\nsource = ["."]\n', "utf-8")
    targets = Targets(Project.load(root)).all()
    if options.list:
        print("\n".join(targets))
        return
    if options.target not in targets:
        parser.error(f"targets: {', '.join(targets)}")
    run, seeds = targets[options.target]
    corpus = root / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(seeds):
        (corpus / str(number)).write_bytes(seed)
    bounds = [f"-max_total_time={options.seconds}", "-max_len=4096", "-timeout=20", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *bounds, str(corpus)], run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
