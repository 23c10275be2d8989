"""JSON records of the usual logging libraries and services: which one it is, and the traceback that it holds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, NamedTuple, Optional

from homeostasis.collecting.crash import MAX_FIELD, NO_LOCALS, Crash, is_whole
from homeostasis_collect_logs.asked import REQUEST_LINE_ONLY, request_of, value_at
from homeostasis_collect_logs.blocks import crash_of_text
from homeostasis_collect_logs.envelopes import TIME_KEYS
from homeostasis_collect_logs.reports import NO_MODULES
from homeostasis_collect_logs.structured import exceptions_of
from homeostasis_collect_logs.wording import HEADER, moment_of

if TYPE_CHECKING:
    from homeostasis.traceback_text import TextException

Record = Mapping[str, Any]
_WRAPPERS = ("jsonPayload", "attributes", "log", "event")
_TRACE_IDS = ("trace_id", "trace.id", "otelTraceID", "dd.trace_id", "traceId", "logging.googleapis.com/trace")
_SPAN_IDS = ("span_id", "span.id", "otelSpanID", "dd.span_id", "spanId", "logging.googleapis.com/spanId")
_THREADS = ("threadName", "thread_name", "process.thread.name", "thread", "_thread_name")
_TEXTS = (
    "exc_info",
    "exception",
    "exc_text",
    "stack_trace",
    "full_message",
    "traceback",
    "stack",
    "message",
    "textPayload",
)
_CLASS_NAME_ONLY = ("structlog", "ecs", "datadog", "newrelic", "lambda")
_LONGEST_NUMBER = 32
LAMBDA_LOSS = "causes, contexts and groups are not in the record"


class Reading(NamedTuple):
    """What a format made of a record."""

    format: str
    chain: List[TextException]
    losses: tuple[str, ...] = ()


def load(text: str) -> Optional[Dict[str, Any]]:
    """The JSON object of a line; None if it is none. Numbers that no clock and no counter needs become 0.

    Raises:
        ValueError: it looks like one and cannot be read: broken, or nested too deeply.
    """
    if not text.startswith("{"):
        return None
    try:
        found = json.loads(text, parse_int=_number)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return found if isinstance(found, dict) else None


def _number(digits: str) -> int:
    return int(digits) if len(digits) <= _LONGEST_NUMBER else 0


def crash_of(record: Record) -> Optional[Crash]:
    """The traceback of a record, or None if it holds none that is whole."""
    for candidate in (record, *(record[key] for key in _WRAPPERS if isinstance(record.get(key), dict))):
        for read in _FORMATS:
            reading = read(candidate)
            if reading is not None and is_whole(reading.chain):
                return _filled(reading, candidate, record)
    return None


def _filled(reading: Reading, inner: Record, outer: Record) -> Crash:
    both = (inner, outer)
    request = next((found for found in map(request_of, both) if found), None)
    moments = (moment_of(value_at(each, key)) for each in both for key in TIME_KEYS)
    return Crash(
        chain=reading.chain,
        format=reading.format,
        moment=next((found for found in moments if found), None),
        thread=_word(both, _THREADS),
        trace_id=_word(both, _TRACE_IDS),
        span_id=_word(both, _SPAN_IDS),
        class_names_only=reading.format in _CLASS_NAME_ONLY,
        request=request,
        losses=(REQUEST_LINE_ONLY if request else NO_LOCALS, *reading.losses),
    )


def _word(records: tuple[Record, ...], keys: tuple[str, ...]) -> Optional[str]:
    found = (value_at(record, key) for record in records for key in keys)
    return next((str(value)[:MAX_FIELD] for value in found if isinstance(value, (str, int)) and value), None)


def chain_of(text: Any) -> List[TextException]:
    """The last traceback of a text; empty if there is none."""
    crash = crash_of_text(text) if isinstance(text, str) and HEADER in text else None
    return crash.chain if crash else []


def _composed(frames: str, kind: Any, message: Any) -> List[TextException]:
    """A traceback of which the record has the frames, and type and message beside them."""
    if HEADER in frames:
        return chain_of(frames)
    if not isinstance(kind, str):
        return []
    return chain_of(f"{HEADER}\n{frames.rstrip()}\n{kind.replace(':', '.')}: {message}")


def _structlog(record: Record) -> Optional[Reading]:
    traces = record.get("exception")
    if isinstance(traces, list):
        return Reading("structlog", exceptions_of(traces), (NO_MODULES,))
    if isinstance(traces, str) and "event" in record:
        return Reading("structlog", chain_of(traces))
    return None


def _loguru(record: Record) -> Optional[Reading]:
    inner, text = record.get("record"), record.get("text")
    if isinstance(inner, dict) and isinstance(text, str) and isinstance(inner.get("exception"), dict):
        return Reading("loguru", chain_of(text))
    return None


def _error_fields(record: Record) -> Optional[Reading]:
    """ECS, Datadog and New Relic: an `error` with type, message and stack, nested or flat."""
    for stack, kind, name in (
        ("error.stack_trace", "error.type", "ecs"),
        ("error.stack", "error.kind", "datadog"),
        ("error.stack", "error.type", "datadog"),
        ("error.stack", "error.class", "newrelic"),
        ("error.stack_trace", "error.class", "newrelic"),  # NewRelicContextFormatter(stack_trace_limit=...)
    ):
        frames, kind_of = value_at(record, stack), value_at(record, kind)
        if not isinstance(frames, str) or not isinstance(kind_of, str):
            continue
        losses = () if HEADER in frames else ("causes, contexts, groups and the class's module are not in the record",)
        return Reading(name, _composed(frames, kind_of, value_at(record, "error.message") or ""), losses)
    return None


def _lambda(record: Record) -> Optional[Reading]:
    """What AWS Lambda writes: a list of frames."""
    frames, kind = record.get("stackTrace"), record.get("errorType")
    if not isinstance(frames, list) or not isinstance(kind, str):
        return None
    text = "\n".join(str(frame).rstrip("\n") for frame in frames[:1000])
    return Reading("lambda", _composed(text, kind, record.get("errorMessage") or ""), (LAMBDA_LOSS,))


def _any_text(record: Record) -> Optional[Reading]:
    for key in _TEXTS:
        value = record.get(key)
        if isinstance(value, list):  # python-json-logger 3 and later can write lines
            value = "\n".join(str(line) for line in value[:10_000])
        found = chain_of(value)
        if found:
            return Reading(_name(record, key), found)
    return None


def _name(record: Record, key: str) -> str:
    if key == "exc_info":
        return "python-json-logger"
    if "short_message" in record:
        return "gelf"
    return "gcp" if "severity" in record else "json"


_FORMATS: tuple[Callable[[Record], Optional[Reading]], ...] = (
    _loguru,
    _structlog,
    _error_fields,
    _lambda,
    _any_text,
)
