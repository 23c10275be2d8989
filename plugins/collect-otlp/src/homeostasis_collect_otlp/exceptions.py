"""Exceptions as OpenTelemetry tells them: attributes of a log record, or of an event in a span."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Dict, Iterator, List, NamedTuple, Optional, Tuple

from homeostasis.collecting.crash import MAX_FIELD, is_whole
from homeostasis.traceback_text import MAX_MESSAGE, TextException, parse
from homeostasis_collect_otlp.attributes import Attributes, number, read, text

if TYPE_CHECKING:
    from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from homeostasis_collect_otlp.origin import Origin

EVENT = "exception"
"""Name of the events of a span that tell of an exception."""
MAX_EVENTS = 128
"""Events of one span that are looked at, as many as SDKs send."""
CUT_OFF = "exception whose traceback was cut off (see OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT)"
FOREIGN = "exception of a program that is not in Python"
_WANTED = frozenset(
    ("exception.type", "exception.message", "exception.stacktrace", "thread.name", "thread.id", "process.pid")
)
_HEADER = "Traceback (most recent call last):"
_MAX_TYPE = 1_000
_KEPT, _LONGEST_KEPT = 500, 100_000
"""Tracebacks that are remembered, and their length in characters: most crashes come more than once."""


class Traceback(NamedTuple):
    """A traceback that was read.

    Attributes:
        chain: see `homeostasis.traceback_text.parse`; shared, not to be changed.
        mark: the same for all tracebacks of one exception, however far it had come when they were made.
        frames: how many frames the exception that escaped has.
    """

    chain: List[TextException]
    mark: int
    frames: int


@dataclass
class Occurrence:
    """One exception, as one record tells it.

    Attributes:
        teller: id of the span whose event it is; empty for a log record.
        nanoseconds: since the epoch; 0 if it is not told.
        sampled: the spans of its trace are exported.
    """

    traceback: Traceback
    origin: Origin
    teller: bytes
    trace_id: bytes
    span_id: bytes
    nanoseconds: int
    sampled: bool
    thread: Optional[str] = None


class CutOff(Exception):
    """The end of a traceback is missing, and with it the frame that failed."""


class Tracebacks:
    """Reads tracebacks, each once."""

    def __init__(self) -> None:
        self._known: Dict[Tuple[str, str, str], Traceback] = {}

    def of(self, found: Attributes) -> Optional[Traceback]:
        """The traceback that attributes named `exception.*` tell of; None if there is none.

        Raises:
            CutOff: its end is missing.
        """
        stack, kind = text(found, "exception.stacktrace") or "", text(found, "exception.type") or ""
        message = text(found, "exception.message") or ""
        return self._read(stack, kind[:_MAX_TYPE], message[:MAX_MESSAGE]) if stack or kind else None

    def in_text(self, body: str) -> Optional[Traceback]:
        """The last whole traceback of a log record's text, if it has one."""
        return self._read(body, "", "") if _HEADER in body else None

    def _read(self, stack: str, kind: str, message: str) -> Optional[Traceback]:
        key = stack, kind, message
        known = self._known.get(key)
        if known is None:
            chain = _chain(stack, kind, message)
            if chain is None:
                return None
            escaped = _escaped(chain)
            last = escaped.frames[-1] if escaped.frames else None
            place = None if last is None else (last.path, last.line, last.function)
            mark = hash((escaped.name, escaped.message, place))
            known = Traceback(chain, mark, len(escaped.frames))
            if len(stack) <= _LONGEST_KEPT:
                if len(self._known) >= _KEPT:
                    del self._known[next(iter(self._known))]
                self._known[key] = known
        return known


def _chain(stack: str, kind: str, message: str) -> Optional[List[TextException]]:
    chains = parse(stack)
    if chains and is_whole(chains[-1]):
        chain = chains[-1]
        if kind and _last_part(_escaped(chain).name) != _last_part(kind):
            raise CutOff
        return chain
    if _HEADER in stack:
        if kind:
            raise CutOff
        return None
    return [TextException(name=kind, message=message)] if kind else None


def _escaped(chain: List[TextException]) -> TextException:
    outside = [item for item in chain if not item.member]
    depth = min(item.depth for item in outside)
    return [item for item in outside if item.depth == depth][-1]


def _last_part(name: str) -> str:
    return name.rpartition(".")[2]


def of_record(record: LogRecord, origin: Origin, tracebacks: Tracebacks) -> Optional[Occurrence]:
    """The exception that a log record tells of.

    Its `code.*` attributes say where the log was written, never where the exception was raised: they are not read.

    Raises:
        CutOff: the end of its traceback is missing.
    """
    found = read(record.attributes, _WANTED, longest=None)
    traceback = tracebacks.of(found)
    if traceback is None:
        traceback = tracebacks.in_text(record.body.string_value)
    if traceback is None:
        return None
    trace_id = record.trace_id if any(record.trace_id) else b""  # some senders have zeros for none
    return Occurrence(
        traceback=traceback,
        origin=origin,
        teller=b"",
        trace_id=trace_id,
        span_id=record.span_id,
        nanoseconds=record.time_unix_nano or record.observed_time_unix_nano,
        sampled=bool(trace_id) and bool(record.flags & 1),
        thread=_thread(found),
    )


def of_span(span: Span, origin: Origin, tracebacks: Tracebacks) -> Iterator[Optional[Occurrence]]:
    """The exceptions that the events of a span tell of; None for one whose traceback was cut off."""
    for _, event in zip(range(MAX_EVENTS), span.events):
        if event.name != EVENT:
            continue
        found = read(event.attributes, _WANTED, longest=None)
        try:
            traceback = tracebacks.of(found)
        except CutOff:
            yield None
            continue
        if traceback is not None:
            yield Occurrence(
                traceback=traceback,
                origin=origin,
                teller=span.span_id,
                trace_id=span.trace_id,
                span_id=span.span_id,
                nanoseconds=event.time_unix_nano or span.end_time_unix_nano,
                sampled=True,
                thread=_thread(found),
            )


def _thread(found: Attributes) -> Optional[str]:
    name = text(found, "thread.name")
    if name is not None:
        return name[:MAX_FIELD]
    thread = number(found, "thread.id")
    return None if thread is None else str(thread)
