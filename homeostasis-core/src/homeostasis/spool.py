"""Reading the spool: JSON Lines segments that the processes of the app append to, one writer each.

A segment is read up to its last newline, and its position is remembered in the ledger only after its records are there.
A torn or malformed line is skipped and counted. A segment whose writer has ended, or has begun the next one, is deleted
once it has been read whole.
"""

from __future__ import annotations

import json
import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Iterator

from pydantic import ValidationError
from watchfiles import watch

from homeostasis.models import Event, Request
from homeostasis.monitoring.traffic import METRIC
from homeostasis.processes import pid_runs

if TYPE_CHECKING:
    from homeostasis.hookspecs import Sink, Stop

READ_AT_ONCE = 4 * 1024 * 1024
RECORDS_AT_ONCE = 100
"""Records that become durable together with the position after them, so that a kill neither loses nor repeats any."""
IDLE_MS = 500
"""Longest pause between two looks: a look costs one directory listing, and also finds files that were never changed."""


class SpoolReader:
    """A collector over one spool directory."""

    def __init__(self, directory: Path, longest_line: int) -> None:
        self._directory = directory
        self._longest_line = longest_line

    def run(self, sink: Sink, stop: Stop) -> None:
        """Put every record into `sink` until `stop` is set."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.read_all(sink)
        changes = watch(
            self._directory, stop_event=stop, debounce=10, step=5, rust_timeout=IDLE_MS, yield_on_timeout=True
        )
        for _ in changes:
            self.read_all(sink)
        self.read_all(sink)

    def read_all(self, sink: Sink) -> None:
        """Read all segments as far as they are written."""
        segments = sorted(self._directory.glob("*.jsonl"))
        newest = {_writer(segment): segment for segment in segments}
        for segment in segments:
            finished = newest[_writer(segment)] != segment or not _runs(segment)
            position = self._read(segment, sink)
            if finished and position >= segment.stat().st_size:
                segment.unlink()
            elif finished:
                sink.lost("torn last line of a process that ended", 1)
                segment.unlink()

    def _read(self, segment: Path, sink: Sink) -> int:
        """Read on from where it was left, some records at a time. Returns how far it has been read."""
        position = sink.position(segment.name)
        with segment.open("rb") as stream:
            stream.seek(position)
            lines = (line for line in _lines(stream.read) if line.endswith(b"\n"))
            while batch := list(islice(lines, RECORDS_AT_ONCE)):
                with sink.batch():
                    for line in batch:
                        self._put(line, sink)
                    position += sum(map(len, batch))
                    sink.advance(segment.name, position)
                    sink.heard("spool", len(batch), time.time())
        return position

    def _put(self, line: bytes, sink: Sink) -> None:
        if len(line) > self._longest_line:
            sink.lost("record too long", 1)
            return
        put_record(line, sink)


def put_record(line: bytes, sink: Sink) -> None:
    """Put what one line of a spool says into `sink`; one that cannot be read is counted there as lost."""
    try:
        record = json.loads(line)
        kind = record.pop("record")
        _PUT[kind](record, sink)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError, ValidationError):
        sink.lost("unreadable record", 1)


def _lines(read: Callable[[int], bytes]) -> Iterator[bytes]:
    rest = b""
    while True:
        chunk = read(READ_AT_ONCE)
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line + b"\n"
        if not chunk:
            if rest:
                yield rest
            return


def _put_event(record: dict[str, Any], sink: Sink) -> None:
    sink.event(_validated(Event, record))


def _put_recurrence(record: dict[str, Any], sink: Sink) -> None:
    sink.recurrence(_text(record["fingerprint"]), _count(record["count"]), _moment(record["last_seen"]))


def _put_sample(record: dict[str, Any], sink: Sink) -> None:
    sink.sample(_text(record["service"]), _validated(Request, record["request"]))


def _put_traffic(record: dict[str, Any], sink: Sink) -> None:
    if (record["name"], record["unit"]) != (METRIC, "s"):
        raise ValueError(f"{record['name']} in {record['unit']} is no metric of ours")
    attributes = record["attributes"]
    sink.traffic(
        _text(attributes["service.name"]),
        _text(attributes["http.route"]),
        _count(record["count"]),
        _count(record["errors"]),
        _moment(record["at"]),
        _moment(record.get("sum", 0.0)),
        [_count(count) for count in record.get("bucket_counts", ())],
    )


def _put_lost(record: dict[str, Any], sink: Sink) -> None:
    sink.lost(_text(record["reason"]), _count(record["count"]))


def _text(value: Any) -> str:
    """A text that can be written."""
    found = str(value)
    found.encode()
    return found


def _count(value: Any) -> int:
    """A number that a database column holds, and the sum of many such."""
    number = int(value)
    if not 0 <= number < 1 << 48:
        raise ValueError(f"{number} is no count")
    return number


def _moment(value: Any) -> float:
    """Seconds that are a time of day or a duration: finite, and less than 30,000 years."""
    seconds = float(value)
    if not 0 <= seconds < 1e12:
        raise ValueError(f"{seconds} is no time")
    return seconds


_PUT: dict[str, Callable[[dict[str, Any], Sink], None]] = {
    "event": _put_event,
    "recurrence": _put_recurrence,
    "sample": _put_sample,
    "traffic": _put_traffic,
    "lost": _put_lost,
}


def _validated(model: Any, record: dict[str, Any]) -> Any:
    # JSON mode: bytes are base64 there.
    return model.model_validate_json(json.dumps(record))


def _writer(segment: Path) -> str:
    """`<start>-<pid>` of `<start>-<pid>-<number>.jsonl`."""
    return segment.stem.rpartition("-")[0]


def _runs(segment: Path) -> bool:
    pid = _writer(segment).rpartition("-")[2]
    return pid.isdigit() and pid_runs(int(pid))
