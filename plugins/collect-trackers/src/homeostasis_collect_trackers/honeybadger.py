"""Honeybadger notices: `POST /v1/notices`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterator, List, Mapping, Optional

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
    "modules of exception classes, columns and exception groups are not in the notice",
    "where a cause was raised is not in the notice",
    "the body of the request is not in the notice unless it was a form",
)
_ROOT = "[PROJECT_ROOT]"


def crashes_of(document: Any, redactor: Redactor) -> Iterator[Crash]:
    """The crash of a notice."""
    notice = fields.table(document)
    error, server = fields.table(notice.get("error")), fields.table(notice.get("server"))
    request = fields.table(notice.get("request"))
    root = fields.text(server.get("project_root"), reading.MAX_PATH)
    raised = [_exception(each, root) for each in [error, *fields.objects(error.get("causes"))]]
    for cause in raised[1:]:
        if cause.frames == raised[0].frames:  # up to 1.3 the SDK repeats those of the exception that escaped
            cause.frames = []
    chain = reading.chain(raised)
    if not chain:
        return
    if chain[-1].frames:
        chain[-1].frames[-1].locals = reading.values(request.get("local_variables"), redactor)
    yield Crash(
        chain,
        format="honeybadger",
        id=fields.text(error.get("token")) or None,
        moment=fields.moment(server.get("time")),
        request=_request(request),
        runtime=Runtime(host=fields.text(server.get("hostname")) or None),
        revision=fields.text(server.get("revision")) or None,
        class_names_only=True,
        losses=LOSSES,
    )


def _exception(error: Mapping[str, Any], root: str) -> TextException:
    kind = fields.text(error.get("class"))
    found = (_frame(each, root) for each in reversed(fields.objects(error.get("backtrace"))))
    return TextException(kind, reading.message_of(error.get("message"), kind), frames=reading.frames(found))


def _frame(each: Mapping[str, Any], root: str) -> Optional[TextFrame]:
    path, line = fields.text(each.get("file"), reading.MAX_PATH), each.get("number")
    if path.startswith(_ROOT):
        path = root + path[len(_ROOT) :]
    source = fields.table(each.get("source")).get(str(line))
    return reading.frame(path or None, line, each.get("method"), source)


def _request(request: Mapping[str, Any]) -> Optional[Request]:
    environ = fields.table(request.get("cgi_data"))
    headers: List[tuple[object, object]] = [
        (name, value) for name, value in environ.items() if not name.isupper() and isinstance(value, str)
    ]
    method = fields.text(environ.get("REQUEST_METHOD"))
    params = fields.table(request.get("params"))
    url, body = fields.text(request.get("url"), reading.MAX_PATH), b""
    if params and "form" in reading.media_of(headers):
        body = reading.body_of(params, "form")
    elif params and "?" not in url:
        url = f"{url}?{reading.body_of(params, 'form').decode()}"
    return request_of(method, url or None, headers, body)
