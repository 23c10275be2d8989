"""Decides what becomes of an exception or an answered request, and hands it on."""

from __future__ import annotations

import time
from typing import Any, Mapping

from homeostasis.monitoring import bodies, canary, seen, workers  # noqa: F401 - a request is described with `bodies`
from homeostasis.monitoring.active import configure, current, reset
from homeostasis.monitoring.capture import describe
from homeostasis.monitoring.config import Settings
from homeostasis.monitoring.delivery import Delivery
from homeostasis.monitoring.encode import encode
from homeostasis.monitoring.expected import Expected
from homeostasis.monitoring.frames import Boundary
from homeostasis.monitoring.internal import failed
from homeostasis.monitoring.redaction import Redactor
from homeostasis.monitoring.request import MAX_ROUTE, BodyRecorder, RequestState
from homeostasis.monitoring.spool import SpoolWriter
from homeostasis.monitoring.storms import Sighting, Storms, key_of
from homeostasis.monitoring.traffic import MAX_WAITING, Traffic

EXIT_SECONDS = 2.0
"""Longest time that the end of the process waits for records to be written."""

__all__ = ["Client", "configure", "current", "reset"]


class Client:
    """Captures exceptions and counts requests.

    Args:
        settings: of this process. Without a project, and unless records are kept in memory, the client is passive: it
            does nothing.
        in_memory: keep the records in `records` and write nothing (`HOMEOSTASIS_TRANSPORT=memory`).
    """

    def __init__(self, settings: Settings, *, in_memory: bool = False) -> None:
        self.settings = settings
        self.project = settings.project
        self.in_memory = in_memory
        self.active = settings.enabled and (in_memory or settings.project is not None)
        self.level = settings.level_number
        self.records: list[dict[str, Any]] = []
        self.redactor = Redactor(settings.redact_names)
        self.boundary = Boundary(settings.project)
        self.storms = Storms(settings.sample_rate, settings.max_captures_per_second)
        self.traffic = Traffic(settings.service, settings.healthy_samples)
        self._routes = self.traffic.routes
        self._expected = Expected(settings, self.boundary)
        self._registration: str | None = None
        self._delivery: Delivery | None = None
        if self.active and not in_memory and settings.project is not None:
            workers.load_control()
            writer = SpoolWriter(settings.project, settings.max_spool_bytes)
            self._delivery = Delivery(writer, settings.max_event_bytes, self._counters, self._register)

    def capture(
        self,
        error: BaseException,
        *,
        request: RequestState | None = None,
        handled: bool = False,
        command: Mapping[str, Any] | None = None,
    ) -> bool:
        """Capture an exception, unless it is expected, excluded or captured already. Never raises.

        Args:
            error: with its traceback.
            request: what was being answered.
            handled: whether the app caught it itself.
            command: fields of a `homeostasis.models.Command`.

        Returns:
            Whether it was captured or counted by this call.
        """
        if not self.active:
            return False
        try:
            return self._capture(error, request, handled, command)
        except Exception as failure:
            failed("capturing an exception", failure)
            return False

    def _capture(
        self, error: BaseException, request: RequestState | None, handled: bool, command: Mapping[str, Any] | None
    ) -> bool:
        if seen.knows(error):
            return False  # most frameworks report an exception, and log it too
        now = time.time()
        again = None if self.in_memory else self.storms.on_the_way_of(error, now)
        if (again is None and self._expected.covers(error)) or not seen.remember(error):
            return False
        canary.note(error)
        if request is not None:
            request.captured = True
        if again is not None:
            self._wake(self.storms.count(again, now))
            return True
        key = key_of(error, self.boundary)
        if not self.in_memory:
            sighting = self.storms.sight(key, now)
            if not sighting.capture:
                if self._expected.is_steady(error):
                    self.storms.remember_way(error, key)
                self._wake(sighting)
                return True
        event = describe(
            error,
            project_root=self.project,
            service=self.settings.service,
            request=request.describe(self.redactor) if request is not None else None,
            command=command,
            handled=handled,
            redactor=self.redactor,
            boundary=self.boundary,
        )
        self.storms.captured(key, event["fingerprint"], now)
        self.record({"record": "event", **event})
        return True

    def _wake(self, sighting: Sighting) -> None:
        if self._delivery is not None:
            self._delivery.wake(urgent=sighting.urgent)

    def expects(self, error: BaseException) -> bool:
        """Whether the exception is no incident. Never raises."""
        try:
            return self._expected.covers(error)
        except Exception as failure:
            failed("recognising an exception", failure)
            return True

    def body_recorder(self) -> BodyRecorder | None:
        """What a request's body is recorded with; None if it is not to be. Never raises."""
        if not self.settings.capture_request_body:
            return None
        try:
            return BodyRecorder(self.settings.max_body_bytes)
        except Exception as failure:
            failed("recording a body", failure)
            return None

    def answered(self, request: RequestState, seconds: float, crashed: bool = False) -> None:
        """Count a request, and keep it as a sample if it went well. Never raises.

        Args:
            request: with its `status` and `route`, as far as they are known.
            seconds: how long it took.
            crashed: an exception escaped the app.
        """
        try:
            status, route = request.status, request.route
            known = None if route is None else self._routes.get((request.method, route))
            if known is None or known.wanting or status is None:
                self._count(request, seconds, crashed or (status is not None and status >= 500))
            else:  # as `count` does, which is two calls more
                waiting = known.failed if crashed or status >= 500 else known.healthy
                waiting.append(seconds)
                if len(waiting) >= MAX_WAITING:
                    self.traffic.fold(known)
            delivery = self._delivery
            if delivery is not None and not delivery.awake:
                delivery.wake()
        except Exception as failure:
            failed("counting a request", failure)

    def _count(self, request: RequestState, seconds: float, error: bool) -> None:
        method, route = request.method, request.group[:MAX_ROUTE]
        if self.traffic.count(method, route, seconds, error):
            self._sample(request, method, route)

    def _sample(self, request: RequestState, method: str, route: str) -> None:
        went_well = request.status is None or request.status < 400
        if not went_well or request.captured or (request.body is not None and request.body.truncated):
            return
        if self.traffic.pick(method, route, request.content):
            described = request.describe(self.redactor)
            self.record({"record": "sample", "service": self.settings.service, "request": described})

    def record(self, record: dict[str, Any]) -> None:
        """Hand on a record, as JSON values with the key `record`."""
        if self._delivery is not None:
            self._delivery.put(record)
        elif self.in_memory:
            import json

            line = encode(record, self.settings.max_event_bytes)
            self.records.append(
                json.loads(line) if line else {"record": "lost", "reason": "event too large", "count": 1}
            )

    def start(self) -> None:
        """Begin the thread and register this process now, instead of with the first record."""
        if self._delivery is not None:
            try:
                self._delivery.start()
            except RuntimeError as failure:  # no thread can be had: at the interpreter's end, or at the system's limit
                failed("starting", failure)

    def flush(self, timeout: float = EXIT_SECONDS) -> bool:
        """Write everything, counters included; False if that took longer than the timeout, in seconds."""
        if self._delivery is None:
            for record in self._counters():
                self.record(record)
            return True
        return self._delivery.flush(timeout)

    def settle(self) -> None:
        """Write what is waiting, within a deadline, if this process has had anything to write."""
        if self._delivery is not None and self._delivery.runs:
            self._delivery.flush(EXIT_SECONDS)

    def leave(self) -> None:
        """The app serves no more: settle, and leave the list of workers."""
        self.settle()
        self._unregister()

    def close(self) -> None:
        """Leave, and end the thread."""
        if self._delivery is not None:
            self._delivery.close(EXIT_SECONDS)
        self._unregister()

    def _unregister(self) -> None:
        if self._registration is not None:
            workers.unregister(self._registration)
            self._registration = None

    def after_fork(self) -> None:
        """Begin anew in a child process."""
        self.storms.after_fork()
        self.traffic.after_fork()
        self._registration = None
        if self._delivery is not None:
            self._delivery.after_fork()
            if workers.is_prefork_worker():
                self.start()

    def _counters(self) -> list[dict[str, Any]]:
        return [*self.storms.collect(), *self.traffic.collect()]

    def _register(self) -> None:
        if self.project is not None:
            self._registration = workers.register(self.project, self.settings.service, self.redactor)
