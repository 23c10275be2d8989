"""Which request an exception belongs to: spans are remembered for a while, by trace and process."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Dict, Optional, Tuple

if TYPE_CHECKING:
    from homeostasis_collect_otlp.exceptions import Occurrence
    from homeostasis_collect_otlp.origin import Origin
    from homeostasis_collect_otlp.requests import Served

MAX_SPANS, MAX_CHARACTERS = 20_000, 20_000_000
"""Spans that are remembered, and texts in them; the traces that nothing was told of for longest are forgotten."""
MAX_SPANS_OF_TRACE = 500
_STEPS = 100
"""Parents that are followed."""

Key = Tuple[Tuple[object, ...], bytes]
"""Peers of an origin, and trace."""


class _Trace:
    __slots__ = ("characters", "instances", "parents", "servers")

    def __init__(self) -> None:
        self.parents: Dict[bytes, bytes] = {}
        self.servers: Dict[bytes, Served] = {}
        self.instances: Dict[bytes, Tuple[object, ...]] = {}
        self.characters = 0

    def __len__(self) -> int:
        return len(self.parents) + len(self.servers)

    def outermost(self, span_id: bytes) -> bytes:
        """The nearest span of a server, or the last that is known, among a span and its parents."""
        for _ in range(_STEPS):
            parent = self.parents.get(span_id)
            if not parent or span_id in self.servers:
                break
            if parent not in self.parents and parent not in self.servers:
                return parent
            span_id = parent
        return span_id


class Traces:
    """The spans that ended lately, as far as they lead from an exception to its request."""

    def __init__(self) -> None:
        self._traces: OrderedDict[Key, _Trace] = OrderedDict()
        self._spans = self._characters = 0

    def add(self, origin: Origin, trace_id: bytes, span_id: bytes, parent_id: bytes, served: Optional[Served]) -> None:
        """Remember a span, and the request that it is about; `parent_id` is empty for the first one of its process."""
        key = origin.peers, trace_id
        trace = self._traces.get(key)
        if trace is None:
            trace = self._traces[key] = _Trace()
        else:
            self._traces.move_to_end(key)
        if len(trace) >= MAX_SPANS_OF_TRACE:
            return
        before = len(trace)
        if served is not None:
            replaced = trace.servers.get(span_id)
            added = served.characters - (0 if replaced is None else replaced.characters)
            trace.characters += added
            self._characters += added
            trace.servers[span_id] = served
            trace.instances[span_id] = origin.instance
        else:
            trace.parents[span_id] = parent_id
        self._spans += len(trace) - before
        while self._spans > MAX_SPANS or self._characters > MAX_CHARACTERS:
            _, forgotten = self._traces.popitem(last=False)
            self._spans -= len(forgotten)
            self._characters -= forgotten.characters

    def served(self, occurrence: Occurrence) -> Optional[Served]:
        """The request during which an exception was raised, if its span has come.

        It is that of the nearest span of a server among the exception's own and its parents. Where a parent is not
        known, it is the one that this process was answering at the moment, if there was only one.
        """
        trace = self._traces.get((occurrence.origin.peers, occurrence.trace_id))
        if trace is None or not trace.servers:
            return None
        outermost = trace.outermost(occurrence.span_id)
        if outermost in trace.servers:
            return trace.servers[outermost]
        at, instance = occurrence.nanoseconds, occurrence.origin.instance
        around = [
            each
            for span_id, each in trace.servers.items()
            if each.start <= at <= each.end and trace.instances[span_id] == instance
        ]
        return around[0] if len(around) == 1 else None

    def is_over(self, occurrence: Occurrence) -> bool:
        """Whether the work during which an exception was raised has ended, and was not the answer to a request."""
        trace = self._traces.get((occurrence.origin.peers, occurrence.trace_id))
        return trace is not None and trace.parents.get(trace.outermost(occurrence.span_id)) == b""
