"""Where each tracker's SDK sends to, and what is made of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Callable, Iterator, Optional

from homeostasis.monitoring.redaction import Redactor
from homeostasis_collect_http.endpoint import Answer, Call, HttpReceiver, Route, Taken, bearer_token, load_json
from homeostasis_collect_trackers import bugsnag, elastic_apm, honeybadger, rollbar

if TYPE_CHECKING:
    from homeostasis.collecting.crash import Crash
    from homeostasis.project import Project
    from homeostasis_collect_trackers.settings import CollectTrackersSettings

SOURCE = "trackers"
_Read = Callable[[Any, Redactor], Iterator["Crash"]]


def receiver(project: Project, settings: CollectTrackersSettings) -> HttpReceiver:
    """The endpoint of all trackers."""
    redactor = Redactor(project.config.monitoring.redact_names)
    of_rollbar = _takes(rollbar.crashes_of, redactor, b'{"err": 0, "result": {}}', 200)
    of_bugsnag = _takes(bugsnag.crashes_of, redactor, b"", 200)
    of_honeybadger = _takes(honeybadger.crashes_of, redactor, b"{}", 201)
    by_rollbar, by_bugsnag = _header("x-rollbar-access-token"), _header("bugsnag-api-key")
    routes = [
        Route("POST", "/api/1/item", of_rollbar, by_rollbar, heard="rollbar"),
        Route("POST", "/", of_bugsnag, by_bugsnag, heard="bugsnag"),
        Route("POST", "/sessions", _acknowledge, by_bugsnag, heard="bugsnag"),
        Route("POST", "/v1/notices", of_honeybadger, _header("x-api-key"), heard="honeybadger"),
        Route("POST", "/v1/events", _acknowledge, _header("x-api-key"), heard="honeybadger"),
        Route("POST", "/intake/v2/events", _intake(redactor), _elastic_token, heard="elastic-apm"),
        Route("POST", "/config/v1/agents", _no_settings, _elastic_token, heard="elastic-apm"),
        Route("GET", "/config/v1/agents", _no_settings, _elastic_token, heard="elastic-apm"),
        Route("GET", "/", _information, _elastic_token, heard="elastic-apm"),
    ]
    return HttpReceiver(project, settings, routes, source=SOURCE)


def _takes(read: _Read, redactor: Redactor, answer: bytes, status: int) -> Callable[[Call], Taken]:
    def handler(call: Call) -> Taken:
        crashes = list(read(load_json(call.body), redactor))
        return Taken(crashes, records=max(1, len(crashes)), answer=Answer(status, answer))

    return handler


def _intake(redactor: Redactor) -> Callable[[Call], Taken]:
    def handler(call: Call) -> Taken:
        found = elastic_apm.read(call.body, redactor)
        taken = Taken(found.crashes, found.traffic, records=found.records, answer=Answer(202, b""))
        if found.unreadable:
            taken.drop("unreadable event of Elastic APM", found.unreadable)
        return taken

    return handler


def _acknowledge(_call: Call) -> Taken:
    """What tells of no crash is taken and forgotten."""
    return Taken(answer=Answer(202))


def _no_settings(_call: Call) -> Taken:
    return Taken(records=0, answer=Answer(headers=(("cache-control", "max-age=3600"),)))


def _information(_call: Call) -> Taken:
    return Taken(records=0, answer=Answer(body=json.dumps(elastic_apm.server_information()).encode()))


def _header(name: str) -> Callable[[Call], Optional[str]]:
    return lambda call: call.headers.get(name)


def _elastic_token(call: Call) -> Optional[str]:
    scheme, _, key = call.headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "apikey" else bearer_token(call)
