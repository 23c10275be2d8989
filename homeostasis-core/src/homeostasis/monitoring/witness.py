"""`Witness`: sees every exception of a replayed app, whether it has monitoring of its own or not."""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import Any

from homeostasis.monitoring.capture import describe
from homeostasis.monitoring.client import current
from homeostasis.monitoring.frames import Boundary


class Witness:
    """Collects events until they are drained; one crash seen in several ways is one event."""

    def __init__(self, project_root: str, service: str) -> None:
        self.project_root = project_root
        self.service = service
        self._events: dict[str, dict[str, Any]] = {}
        self._keep: list[Any] = []
        self._boundary = Boundary(project_root)

    def describe(self, error: BaseException) -> dict[str, Any]:
        """The exception as an event."""
        return describe(error, project_root=self.project_root, service=self.service, boundary=self._boundary)

    def see(self, error: BaseException) -> None:
        """Remember an exception; the framework's own 4xx answers and calls to end the process are none."""
        if isinstance(error, Exception) and not _is_client_error(error):
            event = self.describe(error)
            self._events.setdefault(event["fingerprint"], event)

    def drain(self) -> list[dict[str, Any]]:
        """The events since the last call, with those that the app's own monitoring kept in memory."""
        client = current()
        if client is not None:
            for record in client.records:
                if record.get("record") == "event":
                    self._events.setdefault(record["fingerprint"], record)
            client.records.clear()
        events = list(self._events.values())
        self._events.clear()
        return events

    def attach(self) -> None:
        """Listen to what a framework catches and what the app logs. Call it once the app is imported."""
        logging.getLogger().addHandler(_LogWitness(self))
        flask = sys.modules.get("flask")
        signal = getattr(flask, "got_request_exception", None)
        if signal is not None:

            def caught(sender: Any, exception: BaseException, **_: Any) -> None:  # noqa: ARG001 - named by Flask
                self.see(exception)

            self._keep.append(caught)  # signals hold their receivers weakly
            with contextlib.suppress(RuntimeError):  # Flask before 2.3 without blinker: its errors still reach the log
                signal.connect(caught)


class _LogWitness(logging.Handler):
    """Sees exceptions that the app catches and logs."""

    def __init__(self, witness: Witness) -> None:
        super().__init__(level=logging.ERROR)
        self._witness = witness

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            self._witness.see(record.exc_info[1])


def _is_client_error(error: Exception) -> bool:
    # werkzeug.exceptions.HTTPException has `code`, starlette.exceptions.HTTPException `status_code`.
    names = {cls.__name__ for cls in type(error).__mro__}
    code = getattr(error, "code", None) or getattr(error, "status_code", None)
    return "HTTPException" in names and isinstance(code, int) and code < 500
