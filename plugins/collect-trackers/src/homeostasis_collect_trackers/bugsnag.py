"""Bugsnag (Insight Hub) error reports: `POST /`, payload version 4."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterator, Mapping, Optional

from homeostasis.collecting import fields
from homeostasis.collecting.crash import MAX_BREADCRUMBS, Crash
from homeostasis.collecting.requests import request_of
from homeostasis.models import Breadcrumb, Runtime
from homeostasis.traceback_text import TextException
from homeostasis_collect_trackers import reading

if TYPE_CHECKING:
    from homeostasis.models import Request
    from homeostasis.monitoring.redaction import Redactor
    from homeostasis.traceback_text import TextFrame

LOSSES = (
    "local variables, columns, causes' kinds and the nesting of exception groups are not in the report",
    "the query of the request is not in the report",
)
MAX_EVENTS = 100
_FRAMEWORKS = ("flask", "fastapi", "starlette", "django", "bottle")


def crashes_of(document: Any, _redactor: Redactor) -> Iterator[Crash]:
    """The crashes of a report; none if it tells of sessions."""
    for event in fields.objects(fields.table(document).get("events"))[:MAX_EVENTS]:
        roots = fields.text(event.get("projectRoot")), fields.text(event.get("libRoot"))
        exceptions = fields.objects(event.get("exceptions"))
        chain = reading.chain([_exception(each, roots) for each in exceptions])
        if not chain:
            continue
        device = fields.table(event.get("device"))
        versions = fields.table(device.get("runtimeVersions"))
        yield Crash(
            chain,
            format="bugsnag",
            moment=fields.moment(device.get("time")),
            request=_request(event, versions),
            runtime=Runtime(
                host=fields.text(device.get("hostname")) or None, python=fields.text(versions.get("python")) or None
            ),
            revision=fields.text(fields.table(event.get("app")).get("version")) or None,
            handled=event.get("unhandled") is False,
            breadcrumbs=tuple(_breadcrumbs(event)),
            losses=LOSSES,
        )


def _breadcrumbs(event: Mapping[str, Any]) -> Iterator[Breadcrumb]:
    for each in fields.objects(event.get("breadcrumbs"))[-MAX_BREADCRUMBS:]:
        told = [f"{key}={value}" for key, value in fields.table(each.get("metaData")).items() if isinstance(value, str)]
        yield Breadcrumb(
            at=fields.moment(each.get("timestamp")),
            category=fields.text(each.get("type")),
            message=" ".join([fields.text(each.get("name")), *told])[:1000],
        )


def _exception(each: Mapping[str, Any], roots: tuple[str, str]) -> TextException:
    kind = fields.text(each.get("errorClass"))
    found = (_frame(frame, roots) for frame in reversed(fields.objects(each.get("stacktrace"))))
    return TextException(kind, reading.message_of(each.get("message"), kind), frames=reading.frames(found))


def _frame(each: Mapping[str, Any], roots: tuple[str, str]) -> Optional[TextFrame]:
    path, line = fields.text(each.get("file"), reading.MAX_PATH), each.get("lineNumber")
    project, libraries = roots
    # Paths are cut to what follows their root; a library's must not be taken for one of the project.
    root = project if each.get("inProject") is True else libraries or "/site-packages"
    whole = path if not path or path.startswith("/") else f"{root.rstrip('/')}/{path}"
    source = fields.table(each.get("code")).get(str(line))
    return reading.frame(whole or None, line, each.get("method"), source)


def _request(event: Mapping[str, Any], versions: Mapping[str, Any]) -> Optional[Request]:
    request = fields.table(fields.table(event.get("metaData")).get("request"))
    headers = reading.headers_of(request.get("headers"))
    sent = request.get("data") or request.get("body") or request.get("form")
    method = request.get("method") or fields.text(event.get("context")).partition(" ")[0]
    framework = next((name for name in _FRAMEWORKS if name in versions), None)
    body = reading.body_of(sent, reading.media_of(headers))
    return request_of(method, request.get("url"), headers, body, framework=framework)
