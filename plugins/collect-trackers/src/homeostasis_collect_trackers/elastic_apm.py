"""Elastic APM's intake, version 2: `POST /intake/v2/events`, one JSON object a line.

Errors become crashes. Transactions that answered requests tell the traffic of their routes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Optional

from homeostasis.collecting import fields
from homeostasis.collecting.crash import Crash
from homeostasis.collecting.durations import buckets_of
from homeostasis.collecting.requests import request_of
from homeostasis.models import Runtime
from homeostasis.traceback_text import MAX_EXCEPTIONS, TextException
from homeostasis_collect_http.endpoint import Refused, Traffic, load_json
from homeostasis_collect_trackers import reading

if TYPE_CHECKING:
    from homeostasis.models import Request
    from homeostasis.monitoring.redaction import Redactor
    from homeostasis.traceback_text import TextFrame

LOSSES = (
    "columns and exception groups are not in the event",
    "whether an exception is the cause or the context of the next is not told",
)
MAX_LINES = 10_000
MAX_WEIGHT = 1_000
"""Requests that one sampled transaction may stand for."""
_MICROSECONDS, _MILLISECONDS = 1e6, 1e3


@dataclass
class Intake:
    """What one stream of events holds."""

    crashes: List[Crash] = field(default_factory=list)
    traffic: List[Traffic] = field(default_factory=list)
    records: int = 0
    unreadable: int = 0


def read(body: bytes, redactor: Redactor) -> Intake:
    """The events of a stream; lines that cannot be read are counted.

    Raises:
        Refused: the stream does not begin with its metadata, or has too many lines.
    """
    lines = [line for line in body.split(b"\n") if line.strip()]
    if not 0 < len(lines) <= MAX_LINES:
        raise Refused(400, f"{len(lines)} lines: send the metadata and 1 to {MAX_LINES - 1} events, one a line")
    metadata = fields.table(fields.table(load_json(lines[0])).get("metadata"))
    if not metadata:
        raise Refused(400, "the first line is no metadata")
    found = Intake(records=len(lines) - 1)
    origin = _Origin(metadata)
    for line in lines[1:]:
        try:
            event = fields.table(load_json(line))
        except Refused:
            found.unreadable += 1
            continue
        found.crashes += origin.crashes(fields.table(event.get("error")), redactor)
        found.traffic += origin.traffic(fields.table(event.get("transaction")))
    return found


class _Origin:
    """The service that a stream is of."""

    def __init__(self, metadata: Mapping[str, Any]) -> None:
        service = fields.table(metadata.get("service"))
        system = fields.table(metadata.get("system"))
        self._service = fields.text(service.get("name")) or "app"
        self._revision = fields.text(service.get("version")) or None
        self._framework = fields.text(fields.table(service.get("framework")).get("name")) or None
        python = fields.text(fields.table(service.get("runtime")).get("version")) or None
        self._runtime = Runtime(host=fields.text(system.get("detected_hostname")) or None, python=python)

    def crashes(self, error: Mapping[str, Any], redactor: Redactor) -> Iterator[Crash]:
        """The crash of an error; none if it is a log record without an exception."""
        exception = fields.table(error.get("exception"))
        chain = reading.chain(list(_exceptions(exception, redactor)))
        if not chain:
            return
        at = fields.number(error.get("timestamp"))
        yield Crash(
            chain,
            format="elastic-apm",
            id=fields.text(error.get("id")) or None,
            moment=None if at is None else fields.moment(at / _MICROSECONDS),
            trace_id=fields.text(error.get("trace_id")) or None,
            span_id=fields.text(error.get("parent_id")) or None,
            service=self._service,
            request=self._request(error),
            runtime=self._runtime,
            revision=self._revision,
            handled=exception.get("handled") is True,
            losses=LOSSES,
        )

    def traffic(self, transaction: Mapping[str, Any]) -> Iterator[Traffic]:
        """The request that a transaction answered, and those that it stands for."""
        method, _, route = fields.text(transaction.get("name"), 500).partition(" ")
        milliseconds = fields.number(transaction.get("duration"))
        if transaction.get("type") != "request" or not method.isupper() or not route or milliseconds is None:
            return
        rate = fields.number(transaction.get("sample_rate")) or 1.0
        weight = round(1 / max(rate, 1 / MAX_WEIGHT)) if 0 < rate <= 1 else 1
        seconds = max(milliseconds, 0.0) / _MILLISECONDS
        errors = weight if fields.text(transaction.get("result")) == "HTTP 5xx" else 0
        buckets = buckets_of(seconds, weight)
        yield Traffic(self._service, route, weight, errors, time.time(), seconds * weight, buckets)

    def _request(self, error: Mapping[str, Any]) -> Optional[Request]:
        request = fields.table(fields.table(error.get("context")).get("request"))
        headers = reading.headers_of(request.get("headers"))
        url = fields.table(request.get("url"))
        body = request.get("body")
        sent = b"" if body == "[REDACTED]" else reading.body_of(body, reading.media_of(headers))
        named = fields.text(fields.table(error.get("transaction")).get("name"), 500).partition(" ")[2]
        return request_of(
            request.get("method"), url.get("full"), headers, sent, framework=self._framework, route=named or None
        )


def _exceptions(exception: Mapping[str, Any], redactor: Redactor) -> Iterator[TextException]:
    """The exception that escaped, then its causes, each the first cause of the one before."""
    for _ in range(MAX_EXCEPTIONS):
        kind, module = fields.text(exception.get("type")), fields.text(exception.get("module"))
        found = (_frame(each, redactor) for each in fields.objects(exception.get("stacktrace")))
        name = f"{module}.{kind}" if kind and module not in ("", "builtins", "__main__") else kind
        yield TextException(name, reading.message_of(exception.get("message"), kind), frames=reading.frames(found))
        causes = fields.objects(exception.get("cause"))
        if not causes:
            return
        exception = causes[0]


def _frame(each: Mapping[str, Any], redactor: Redactor) -> Optional[TextFrame]:
    path = each.get("abs_path") or each.get("filename")
    frame = reading.frame(path, each.get("lineno"), each.get("function"), each.get("context_line"))
    if frame is not None:
        frame.locals = reading.values(each.get("vars"), redactor)
    return frame


def server_information() -> Dict[str, str]:
    """What an agent asks for before it sends."""
    return {"version": "8.0.0", "build_date": "", "build_sha": "homeostasis"}
