"""An event of Sentry's protocol becomes a `Crash`; what takes long is read only if an event is made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Optional

from homeostasis.collecting.crash import MAX_BREADCRUMBS, MAX_FIELD, Crash, is_whole
from homeostasis.collecting.fields import items, moment, table, text, within
from homeostasis.models import Breadcrumb, Runtime
from homeostasis.monitoring.runtime import FRAMEWORKS
from homeostasis_collect_http.endpoint import load_json
from homeostasis_collect_sentry.exceptions import Chain, values_of
from homeostasis_collect_sentry.requests import request_of
from homeostasis_collect_sentry.variables import KEPT, variables

if TYPE_CHECKING:
    from homeostasis.monitoring.redaction import Redactor

LOSSES = (
    "columns of the failing expression and attributes of objects are not in the report",
    f"of a frame at most {KEPT} local variables are in the report, and of a container {KEPT} entries",
)
NO_LOCALS = "no local variables: the SDK was told not to send them"
NOT_PYTHON = "Sentry event of another language"
NO_EXCEPTION = "Sentry event without an exception"
_MAX_TOLD = 1_000
_MAX_ARGUMENTS = 9
"""Command lines of the SDK end at ten words, without a word that there were more."""


class Reader:
    """Reads events.

    Args:
        redactor: takes secrets out of local variables.
        body_limit: longest request body that is kept, in bytes.
    """

    def __init__(self, redactor: Redactor, body_limit: int) -> None:
        self._redactor = redactor
        self._body_limit = body_limit

    def crash(self, event: Dict[str, Any], payload: bytes, event_id: Optional[str]) -> Optional[Crash]:
        """The crash that an event reports, or None if it holds no exception that is whole.

        Args:
            event: what `payload` says.
            payload: the JSON of it. It is kept instead of the event while the crash waits, which is ten times as large.
            event_id: by which the crash is known again.
        """
        chain = Chain(event)
        if not is_whole(chain.exceptions):
            return None
        return Crash(
            chain=chain.exceptions,
            format="event",
            id=event_id,
            moment=moment(event.get("timestamp")),
            handled=chain.handled,
            revision=text(event.get("release"), MAX_FIELD) or None,
            trace_id=text(within(event, "contexts", "trace", "trace_id"), MAX_FIELD) or None,
            span_id=text(within(event, "contexts", "trace", "span_id"), MAX_FIELD) or None,
            losses=LOSSES,
            complete=lambda crash: self._complete(crash, payload),
        )

    def _complete(self, crash: Crash, payload: bytes) -> None:
        event = load_json(payload)
        chain = Chain(event)
        crash.chain = chain.exceptions
        losses: List[str] = list(LOSSES if chain.frames else (LOSSES[0], NO_LOCALS))
        for frame, found in chain.frames:
            frame.locals = variables(found, self._redactor)
        crash.request, missing = request_of(event, self._body_limit)
        crash.runtime = _runtime(event)
        crash.breadcrumbs = tuple(_breadcrumbs(event))
        crash.losses = (*losses, *missing)


def is_python(event: Dict[str, Any]) -> bool:
    """Whether the event is of a Python process."""
    return event.get("platform") in (None, "python", "other")


def _breadcrumbs(event: Dict[str, Any]) -> Iterator[Breadcrumb]:
    """The last ones. One without a message, such as a call of another service, is told by its data."""
    found = [each for each in values_of(event.get("breadcrumbs")) if isinstance(each, dict)]
    for each in found[-MAX_BREADCRUMBS:]:
        told = [f"{name}={value}" for name, value in table(each.get("data")).items() if isinstance(value, (str, int))]
        yield Breadcrumb(
            at=moment(each.get("timestamp")),
            category=text(each.get("category"), MAX_FIELD) or text(each.get("type"), MAX_FIELD),
            level=text(each.get("level"), MAX_FIELD),
            message=text(each.get("message"), _MAX_TOLD) or " ".join(told)[:_MAX_TOLD],
        )


def _runtime(event: Dict[str, Any]) -> Runtime:
    modules, running = table(event.get("modules")), table(within(event, "contexts", "runtime"))
    argv = [text(each, MAX_FIELD) for each in items(within(event, "extra", "sys.argv"))]
    return Runtime(
        python=text(running.get("version"), MAX_FIELD) or None if running.get("name") == "CPython" else None,
        host=text(event.get("server_name"), MAX_FIELD) or None,
        thread=_thread(event),
        argv=tuple(argv) if len(argv) <= _MAX_ARGUMENTS else (),
        frameworks={name: modules[name][:MAX_FIELD] for name in FRAMEWORKS if isinstance(modules.get(name), str)},
    )


def _thread(event: Dict[str, Any]) -> Optional[str]:
    threads = [each for each in values_of(event.get("threads")) if isinstance(each, dict)]
    current = next((each for each in threads if each.get("crashed") or each.get("current")), {})
    named = current.get("name") or within(event, "contexts", "trace", "data", "thread.name")
    return text(named, MAX_FIELD) or None
