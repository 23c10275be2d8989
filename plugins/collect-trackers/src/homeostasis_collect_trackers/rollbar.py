"""Rollbar items: `POST /api/1/item/`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterator, Mapping, Optional

from homeostasis.collecting import fields
from homeostasis.collecting.crash import Crash
from homeostasis.collecting.requests import request_of
from homeostasis.models import Runtime
from homeostasis.traceback_text import TextException
from homeostasis_collect_trackers import reading

if TYPE_CHECKING:
    from homeostasis.models import Request
    from homeostasis.monitoring.redaction import Redactor
    from homeostasis.traceback_text import TextFrame

LOSSES = (
    "modules of exception classes, columns and exception groups are not in the item",
    "whether an exception is the cause or the context of the next is not told",
)


def crashes_of(document: Any, redactor: Redactor) -> Iterator[Crash]:
    """The crash of an item; none if it is a message."""
    data = fields.table(fields.table(document).get("data"))
    body = fields.table(data.get("body"))
    traces = fields.objects(body.get("trace_chain")) or fields.objects([body.get("trace")])
    chain = reading.chain([_exception(trace, redactor) for trace in traces])
    if not chain:
        return
    server = fields.table(data.get("server"))
    yield Crash(
        chain,
        format="rollbar",
        id=fields.text(data.get("uuid")) or None,
        moment=fields.moment(data.get("timestamp")),
        request=_request(data),
        runtime=Runtime(host=fields.text(server.get("host")) or None, python=_python(data)),
        revision=fields.text(data.get("code_version")) or None,
        handled=data.get("level") not in ("error", "critical"),
        class_names_only=True,
        losses=LOSSES,
    )


def _exception(trace: Mapping[str, Any], redactor: Redactor) -> TextException:
    exception = fields.table(trace.get("exception"))
    kind = fields.text(exception.get("class"))
    found = (_frame(each, redactor) for each in fields.objects(trace.get("frames")))
    return TextException(kind, reading.message_of(exception.get("message"), kind), frames=reading.frames(found))


def _frame(each: Mapping[str, Any], redactor: Redactor) -> Optional[TextFrame]:
    frame = reading.frame(each.get("filename"), each.get("lineno"), each.get("method"), each.get("code"))
    if frame is not None:
        frame.locals = reading.values(each.get("locals"), redactor)
    return frame


def _request(data: Mapping[str, Any]) -> Optional[Request]:
    request = fields.table(data.get("request"))
    headers = reading.headers_of(request.get("headers"))
    sent = next((request[name] for name in ("body", "json", "POST") if request.get(name)), None)
    return request_of(
        request.get("method"),
        request.get("url"),
        headers,
        reading.body_of(sent, reading.media_of(headers)),
        framework=fields.text(data.get("framework")) or None,
    )


def _python(data: Mapping[str, Any]) -> Optional[str]:
    name, _, version = fields.text(data.get("language")).partition(" ")
    return version if name == "python" and version else None
