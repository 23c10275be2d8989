"""The routes of Sentry's protocol, and what is made of each item."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional, Tuple

import orjson

from homeostasis.collecting.fields import items, text
from homeostasis.collecting.requests import without_secrets
from homeostasis.errors import ConfigError
from homeostasis.monitoring.redaction import Redactor
from homeostasis_collect_http.endpoint import Answer, Call, HttpReceiver, Refused, Route, Taken, load_json
from homeostasis_collect_sentry.access import key_of
from homeostasis_collect_sentry.crashes import NO_EXCEPTION, NOT_PYTHON, Reader, is_python
from homeostasis_collect_sentry.envelopes import BROKEN, Envelope
from homeostasis_collect_sentry.forwarding import Forwarder, Target
from homeostasis_collect_sentry.transactions import Samples, answered

if TYPE_CHECKING:
    from homeostasis.hookspecs import Sink, Stop
    from homeostasis.project import Project
    from homeostasis_collect_sentry.settings import CollectSentrySettings

UNREADABLE = "Sentry item that is no JSON object"
_ReadItem = Callable[[Dict[str, Any], bytes, Optional[str], Taken], None]
_MAX_ID, _MAX_REASONS, _MAX_COUNT = 40, 20, 1_000_000


class SentryReceiver:
    """A collector: the endpoint, and the tee if there is one.

    Raises:
        ConfigError: the tokens or the DSN to send on to are not in the environment.
    """

    def __init__(self, project: Project, settings: CollectSentrySettings) -> None:
        self._forwarder = _forwarder(settings)
        handling = Handling(project, settings, self._forwarder)
        routes = [
            Route("POST", "/api/{project}/envelope/", handling.envelope, key_of, refusal, late_token=True),
            Route("POST", "/api/{project}/store/", handling.store, key_of, refusal),
        ]
        self.http = HttpReceiver(project, settings, routes, source="sentry")

    def run(self, sink: Sink, stop: Stop) -> None:
        """Serve until `stop` is set."""
        if self._forwarder is None:
            self.http.run(sink, stop)
            return
        with self._forwarder as forwarder:
            self.http.run(sink, stop)
        for reason, count in forwarder.losses().items():
            sink.lost(reason, count)


def _forwarder(settings: CollectSentrySettings) -> Optional[Forwarder]:
    name = settings.forward_env
    if name is None:
        return None
    target = Target.of(os.environ.get(name, ""), name)
    if settings.port and target.base.endswith((f"://{settings.host}:{settings.port}", f"://localhost:{settings.port}")):
        raise ConfigError(f"{name} names this endpoint itself: set it to the DSN that the app had before")
    return Forwarder(target, settings.max_forwarding)


def refusal(refused: Refused) -> Answer:
    """An error as Sentry tells it; with 429 also the header that its SDKs look at first."""
    headers = list(refused.headers)
    if refused.status == 429:
        seconds = dict(refused.headers).get("retry-after", "1")
        headers.append(("x-sentry-rate-limits", f"{seconds}::organization"))
    return Answer(refused.status, orjson.dumps({"detail": refused.message}), headers=tuple(headers))


class Handling:
    """Makes something of calls."""

    def __init__(self, project: Project, settings: CollectSentrySettings, forwarder: Optional[Forwarder]) -> None:
        monitoring = project.config.monitoring
        self._redactor = Redactor(monitoring.redact_names)
        self._reader = Reader(self._redactor, monitoring.max_body_bytes)
        self._samples = Samples(monitoring.max_body_bytes)
        self._service = settings.service or project.config.service
        self._forwarder = forwarder
        self._kinds: Dict[str, _ReadItem] = {
            "event": self._event,
            "transaction": self._transaction,
            "client_report": self._report,
        }

    def envelope(self, call: Call) -> Taken:
        """An envelope: any number of items."""
        envelope = Envelope(call.body)
        event_id = text(envelope.header.get("event_id"), _MAX_ID) or None
        taken = Taken(records=0, answer=_accepted(event_id))
        for item in envelope.items():
            taken.records += 1
            read = self._kinds.get(item.type)
            if read is not None:
                self._read(read, item.payload, event_id, taken)
        if envelope.broken:
            taken.drop(BROKEN, envelope.broken)
        return self._passed_on(call, "envelope", taken)

    def store(self, call: Call) -> Taken:
        """A single event, as older SDKs send it."""
        event = load_json(call.body)
        if not isinstance(event, dict):
            raise Refused(400, "an event is a JSON object")
        event_id = text(event.get("event_id"), _MAX_ID) or None
        taken = Taken(answer=_accepted(event_id))
        self._event(event, call.body, event_id, taken)
        return self._passed_on(call, "store", taken)

    def _passed_on(self, call: Call, kind: str, taken: Taken) -> Taken:
        if self._forwarder is not None:
            self._forwarder.take(call, kind)
            for reason, count in self._forwarder.losses().items():
                taken.drop(reason, count)
        return taken

    def _read(
        self,
        read: _ReadItem,
        payload: bytes,
        event_id: Optional[str],
        taken: Taken,
    ) -> None:
        try:
            found = load_json(payload)
        except Refused:
            found = None
        if isinstance(found, dict):
            read(found, payload, event_id, taken)
        else:
            taken.drop(UNREADABLE)

    def _event(self, event: Dict[str, Any], payload: bytes, event_id: Optional[str], taken: Taken) -> None:
        if not is_python(event):
            taken.drop(NOT_PYTHON)
            return
        crash = self._reader.crash(event, payload, text(event.get("event_id"), _MAX_ID) or event_id)
        if crash is not None:
            taken.crashes.append(crash)
        elif event.get("exception"):
            taken.drop(NO_EXCEPTION)

    def _transaction(self, event: Dict[str, Any], _payload: bytes, _event_id: Optional[str], taken: Taken) -> None:
        found = answered(event, time.time())
        if found is None or not is_python(event):
            return
        taken.traffic.append(found.traffic(self._service))
        sample = self._samples.pick(event, found)
        if sample is not None:
            request = without_secrets(sample, self._redactor)
            taken.others.append(lambda sink: sink.sample(self._service, request))

    def _report(self, report: Dict[str, Any], _payload: bytes, _event_id: Optional[str], taken: Taken) -> None:
        """What the SDK had to drop, such as for too many events."""
        for each in items(report.get("discarded_events"))[:_MAX_REASONS]:
            category, reason, count = _discarded(each)
            if category == "error" and reason in _REASONS and count:
                taken.drop(f"event that the Sentry SDK of the app dropped: {reason}", count)


_REASONS = ("queue_overflow", "cache_overflow", "ratelimit_backoff", "network_error", "backpressure", "send_error")
"""Reasons that are no wish of the app."""


def _discarded(value: Any) -> Tuple[str, str, int]:
    found = value if isinstance(value, dict) else {}
    count = found.get("quantity")
    if type(count) is not int or not 0 < count <= _MAX_COUNT:
        count = 0
    return text(found.get("category"), 50), text(found.get("reason"), 50), count


def _accepted(event_id: Optional[str]) -> Answer:
    return Answer(body=orjson.dumps({"id": event_id}) if event_id else b"{}")
