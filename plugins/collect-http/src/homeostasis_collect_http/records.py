"""Our own records over HTTP: what the monitoring of an app on another machine wrote into its spool."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, ContextManager, Sequence, Set

import orjson

from homeostasis.collecting.paths import PathMap
from homeostasis.collecting.requests import without_secrets
from homeostasis.monitoring.redaction import Redactor
from homeostasis.monitoring.traffic import BOUNDARIES
from homeostasis.spool import put_record
from homeostasis_collect_http.calls import Answer, Call, Refused, Route, Taken, Traffic
from homeostasis_collect_http.endpoint import HttpReceiver

if TYPE_CHECKING:
    from homeostasis.models import Event, Raised, Request
    from homeostasis.project import Project
    from homeostasis_collect_http.settings import CollectHttpSettings

PATH = "/v1/records"
MAX_RECORDS = 10_000
"""Lines of one call."""
MAX_REASONS = 50
"""Reasons of losses that are told apart; senders choose them."""


def receiver(project: Project, settings: CollectHttpSettings) -> HttpReceiver:
    """The receiver of `POST /v1/records`."""
    return HttpReceiver(project, settings, [Route("POST", PATH, Reader(project, settings).read)], source="http")


class Reader:
    """Reads JSON Lines as the monitoring writes them."""

    def __init__(self, project: Project, settings: CollectHttpSettings) -> None:
        self._longest = 4 * project.config.monitoring.max_event_bytes
        self._paths = PathMap(settings.path_map, project.root)
        self._service = settings.service
        self._redactor = Redactor(project.config.monitoring.redact_names)
        self._reasons: Set[str] = set()

    def read(self, call: Call) -> Taken:
        """Records of one call.

        Raises:
            Refused: it holds none, or too many.
        """
        lines = [line for line in call.body.split(b"\n") if line.strip()]
        if not 0 < len(lines) <= MAX_RECORDS:
            raise Refused(400, f"{len(lines)} lines: send 1 to {MAX_RECORDS} records, one JSON object a line")
        heard = _Heard(self, Taken(records=len(lines)))
        for line in lines:
            if len(line) > self._longest:
                heard.dropped("record too long")
            else:
                put_record(line, heard)
        if heard.unreadable == len(lines):
            raise Refused(400, "no line is a record of Homeostasis")
        told = {"accepted": len(lines) - heard.unreadable, "dropped": heard.unreadable}
        heard.taken.answer = Answer(body=orjson.dumps(told))
        return heard.taken

    def service(self, told: str) -> str:
        """The service that a record is of."""
        return self._service or told

    def event(self, event: Event) -> Event:
        """The event with the project's paths, and without secrets that the app did not know for such."""
        return event.model_copy(
            update={
                "exceptions": tuple(map(self._raised, event.exceptions)),
                "request": event.request and self.request(event.request),
                "service": self.service(event.service),
            }
        )

    def request(self, request: Request) -> Request:
        """The request without secrets."""
        return without_secrets(request, self._redactor)

    def reason(self, told: str) -> str:
        """The sender's reason of a loss, as long as there are few."""
        if told not in self._reasons and len(self._reasons) >= MAX_REASONS:
            return "record that an app lost"
        self._reasons.add(told)
        return told

    def _raised(self, raised: Raised) -> Raised:
        frames = [frame.model_copy(update={"path": self._paths.mapped(frame.path)}) for frame in raised.frames]
        return raised.model_copy(update={"frames": tuple(frames), "message": self._redactor.text(raised.message)})


class _Heard:
    """A sink that makes a `Taken` of what it is told."""

    def __init__(self, reader: Reader, taken: Taken) -> None:
        self._reader = reader
        self.taken = taken
        self.unreadable = 0

    def dropped(self, reason: str) -> None:
        """A line was of no use."""
        self.unreadable += 1
        self.taken.drop(reason)

    def event(self, event: Event) -> None:
        """An exception was captured whole."""
        found = self._reader.event(event)
        self.taken.others.append(lambda sink: sink.event(found))

    def recurrence(self, fingerprint: str, count: int, last_seen: float) -> None:
        """A known crash happened again."""
        self.taken.others.append(lambda sink: sink.recurrence(fingerprint, count, last_seen))

    def sample(self, service: str, request: Request) -> None:
        """A request that was answered well."""
        named, found = self._reader.service(service), self._reader.request(request)
        self.taken.others.append(lambda sink: sink.sample(named, found))

    def traffic(
        self,
        service: str,
        route: str,
        requests: int,
        errors: int,
        at: float,
        seconds: float = 0.0,
        buckets: Sequence[int] = (),
    ) -> None:
        """Answered requests of a route.

        Raises:
            ValueError: the histogram has other bounds. In the ledger it would cost the whole batch.
        """
        if len(buckets) not in (0, len(BOUNDARIES) + 1):
            raise ValueError(f"{len(buckets)} buckets are not those of ours")
        named = self._reader.service(service)
        self.taken.traffic.append(Traffic(named, route, requests, errors, at, seconds, buckets))

    def lost(self, reason: str, count: int) -> None:
        """A line could not be read, or the sender lost records."""
        if reason == "unreadable record":
            self.dropped(reason)
        else:
            self.taken.drop(self._reader.reason(reason), count)

    def heard(self, source: str, records: int, at: float) -> None:
        """Not told by a record."""

    def batch(self) -> ContextManager[None]:
        """Nothing is kept here."""
        return contextlib.nullcontext()

    def position(self, source: str) -> int:  # noqa: ARG002
        """Nothing is kept here."""
        return 0

    def advance(self, source: str, position: int) -> None:
        """Nothing is kept here."""
