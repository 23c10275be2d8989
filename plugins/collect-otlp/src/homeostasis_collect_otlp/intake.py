"""What is made of a message, whichever way it came."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Callable, List, NamedTuple, Sequence, Set, Tuple, Union

from homeostasis.collecting.events import REPEATED
from homeostasis.monitoring.redaction import Redactor
from homeostasis_collect_http.calls import Taken
from homeostasis_collect_otlp.correlation import Correlation
from homeostasis_collect_otlp.exceptions import CUT_OFF, FOREIGN, CutOff, Occurrence, Tracebacks, of_record, of_span
from homeostasis_collect_otlp.journal import Journal
from homeostasis_collect_otlp.messages import LOGS, SPAN_ID, TRACE_ID, TRACES, Signal
from homeostasis_collect_otlp.origin import Origin, Origins
from homeostasis_collect_otlp.requests import served
from homeostasis_collect_otlp.samples import Samples
from homeostasis_collect_otlp.traffic import Meter

if TYPE_CHECKING:
    from homeostasis.project import Project
    from homeostasis_collect_otlp.correlation import Left, Waiting
    from homeostasis_collect_otlp.settings import CollectOtlpSettings

MAX_RECORDS = 20_000
"""Records, spans or data points of one message that are read."""
MALFORMED = "record of OTLP with a broken id"
TOO_MANY = f"record of OTLP beyond the first {MAX_RECORDS} of a message"
_SERVER = 2
"""SPAN_KIND_SERVER."""
_REMOTE_PARENT = 0x300
"""Flags of a span whose parent is known to lie in another process."""


class Read(NamedTuple):
    """What was made of a message: what is to be written, and how many of its records were refused."""

    taken: Taken
    rejected: int


class Intake:
    """Reads the messages of all connections, one after the other."""

    def __init__(self, project: Project, settings: CollectOtlpSettings) -> None:
        redactor = Redactor(project.config.monitoring.redact_names)
        self._lock = threading.Lock()
        self._restored = False
        self._origins = Origins(redactor)
        self._tracebacks = Tracebacks()
        self._journal = Journal(project.state / "otlp-waiting.jsonl", redactor)
        self._correlation = Correlation(self._journal, settings.settle)
        self._samples = Samples(project.config.monitoring.healthy_samples, redactor)
        self._meter = Meter(settings.traffic, project.config.service, settings.service)

    def take(self, signal: Signal, decode: Callable[[], Any]) -> Read:
        """What a message holds.

        Args:
            signal: what kind of message it is.
            decode: gives the message, one of `signal.request`. One at a time is decoded: it may need many times the
                memory of its bytes.

        Raises:
            Unreadable: it is none.
        """
        with self._lock:
            reading, message = _Reading(signal), decode()
            if signal is LOGS:
                self._logs(message, reading)
            elif signal is TRACES:
                self._traces(message, reading)
            else:
                self._metrics(message, reading)
            taken = reading.taken
            taken.records = reading.records
            crashes, resent = self._correlation.sort(reading.occurrences)
            taken.crashes += crashes
            for trace in reading.ended:
                self._correlation.arrived(trace)
            if resent:
                taken.drop(REPEATED, resent)
            return Read(taken, reading.rejected)

    # --- what waits for its request

    @property
    def wake(self) -> threading.Event:
        """Set when something need not wait any longer."""
        return self._correlation.wake

    def restore(self) -> None:
        """Take up what waited when the process before this one ended; once.

        Raises:
            OSError: it cannot be read.
        """
        with self._lock:
            if not self._restored:
                self._correlation.restore()
                self._restored = True

    def due(self) -> List[Union[Waiting, Left]]:
        """What need not wait any longer."""
        with self._lock:
            return self._correlation.due()

    def done(self, finished: Sequence[Union[Waiting, Left]]) -> None:
        """These are in the ledger."""
        with self._lock:
            self._correlation.done(finished)

    # --- the signals

    def _logs(self, message: Any, reading: _Reading) -> None:
        for resource_logs in message.resource_logs:
            origin = self._origins.of(resource_logs.resource)
            for scope_logs in resource_logs.scope_logs:
                for record in scope_logs.log_records:
                    if reading.admits() and reading.has_ids(record):
                        self._log(record, origin, reading)

    def _log(self, record: Any, origin: Origin, reading: _Reading) -> None:
        if not record.attributes and not record.body.string_value:
            return
        try:
            occurrence = of_record(record, origin, self._tracebacks)
        except CutOff:
            reading.taken.drop(CUT_OFF)
            return
        if occurrence is not None:
            reading.add(occurrence)

    def _traces(self, message: Any, reading: _Reading) -> None:
        for resource_spans in message.resource_spans:
            origin = self._origins.of(resource_spans.resource)
            for scope_spans in resource_spans.scope_spans:
                scope = scope_spans.scope.name[:200]
                for span in scope_spans.spans:
                    if reading.admits() and reading.has_ids(span, needed=True):
                        self._span(span, scope, origin, reading)

    def _span(self, span: Any, scope: str, origin: Origin, reading: _Reading) -> None:
        request = served(span, scope) if span.kind == _SERVER else None
        trace_id = span.trace_id
        parent_id = b"" if span.flags & _REMOTE_PARENT == _REMOTE_PARENT else span.parent_span_id
        self._correlation.traces.add(origin, trace_id, span.span_id, parent_id, request)
        if request is not None or not parent_id:
            reading.ended.add((origin.peers, trace_id))
        if request is not None:
            traffic = self._meter.of_span(request, origin)
            if traffic is not None:
                reading.taken.traffic.append(traffic)
            service = self._meter.service(origin)
            sample = self._samples.pick(request, service)
            if sample is not None:
                reading.taken.others.append(lambda sink: sink.sample(service, sample))
        for occurrence in of_span(span, origin, self._tracebacks) if span.events else ():
            if occurrence is None:
                reading.taken.drop(CUT_OFF)
            else:
                reading.add(occurrence)

    def _metrics(self, message: Any, reading: _Reading) -> None:
        for resource_metrics in message.resource_metrics:
            origin = self._origins.of(resource_metrics.resource)
            for scope_metrics in resource_metrics.scope_metrics:
                for metric in scope_metrics.metrics:
                    if reading.admits():
                        reading.taken.traffic += self._meter.of_metric(metric, origin, reading.taken.lost)


class _Reading:
    """One message while it is read."""

    def __init__(self, signal: Signal) -> None:
        self.signal = signal
        self.taken = Taken()
        self.occurrences: List[Occurrence] = []
        self.ended: Set[Tuple[Tuple[object, ...], bytes]] = set()
        self.records = 0
        self.rejected = 0

    def admits(self) -> bool:
        """Count a record; false if there were too many before it."""
        if self.records >= MAX_RECORDS:
            self._reject(TOO_MANY)
            return False
        self.records += 1
        return True

    def has_ids(self, record: Any, *, needed: bool = False) -> bool:
        """Whether the ids of a record are such; those that are `needed` are not zero."""
        trace, span = len(record.trace_id), len(record.span_id)
        if needed:
            fine = trace == TRACE_ID and span == SPAN_ID and any(record.trace_id) and any(record.span_id)
        else:
            fine = trace in (0, TRACE_ID) and span in (0, SPAN_ID)
        if fine:
            return True
        self._reject(MALFORMED)
        return False

    def add(self, occurrence: Occurrence) -> None:
        """An exception was told."""
        if occurrence.origin.foreign:
            self.taken.drop(FOREIGN)
        else:
            self.occurrences.append(occurrence)

    def _reject(self, reason: str) -> None:
        self.rejected += 1
        self.taken.drop(reason)
