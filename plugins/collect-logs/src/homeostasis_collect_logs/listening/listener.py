"""The collector of what is listened to."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Dict, List, Optional

from homeostasis.collecting.events import EventMaker
from homeostasis_collect_logs.assembly import Assembly
from homeostasis_collect_logs.listening.addresses import Address, parse_address
from homeostasis_collect_logs.listening.intake import Intake
from homeostasis_collect_logs.listening.reception import Reception

if TYPE_CHECKING:
    from homeostasis.collecting.crash import Crash
    from homeostasis.hookspecs import Sink, Stop
    from homeostasis.project import Project
    from homeostasis_collect_logs.settings import CollectLogsSettings

LOG = logging.getLogger("homeostasis.collect_logs")
TURN = 0.1
"""Seconds that a turn waits for something to read."""
TELL_EVERY = 1.0
"""Seconds between two accounts of what was heard while nothing crashes."""
MAX_READY = 10_000
"""Crashes that are kept while the ledger cannot be written."""
UNWRITTEN = "crash that the ledger did not take"


class LogListener:
    """Listens on the addresses of `[tool.homeostasis.collect-logs]`.

    Crashes that the sink did not take are put again when it runs the next time.
    """

    def __init__(self, project: Project, settings: CollectLogsSettings) -> None:
        self.ports: Dict[str, int] = {}
        """The port of each address, while it runs."""
        self._project = project
        self._settings = settings
        self._intakes = {address: self._intake(address) for address in map(parse_address, settings.listen)}
        self._acknowledged: Dict[object, None] = {}
        self._ready: List[Crash] = []
        self._lost: Dict[str, int] = {}
        self._told = 0.0

    def run(self, sink: Sink, stop: Stop) -> None:
        """Put the crashes of all messages into `sink` until `stop` is set."""
        maker = EventMaker(self._project, self._settings)
        key = self._settings.forward_key()
        with Reception(self._project, self._settings, self._intakes, key, self._acknowledged) as reception:
            self.ports = {address.text: _port(address, reception) for address in self._intakes}
            LOG.info("listening on %s", ", ".join(address.text for address in self._intakes))
            while not stop.is_set():
                now = time.monotonic()
                reception.turn(TURN, now)
                for intake in self._intakes.values():
                    intake.settle(now - self._settings.settle)
                self._put(maker, sink, now)
                reception.acknowledge()
            for intake in self._intakes.values():
                intake.finish()
            self._put(maker, sink, None)
            reception.acknowledge()

    def _intake(self, address: Address) -> Intake:
        settings = self._settings
        longest = max(settings.max_line_bytes, settings.max_chunk_bytes if address.protocol == "fluent" else 0)
        assembly = Assembly(max_line=longest, max_event_lines=settings.max_event_lines)
        return Intake(address.text, assembly, longest)

    def _put(self, maker: EventMaker, sink: Sink, now: Optional[float]) -> None:
        """Write what is ready, and every `TELL_EVERY` seconds what was heard; without `now`, all of it."""
        for intake in self._intakes.values():
            self._ready += intake.take()
            for reason, count in intake.take_lost().items():
                self._lost[reason] = self._lost.get(reason, 0) + count
        if len(self._ready) > MAX_READY:
            self._lost[UNWRITTEN] = self._lost.get(UNWRITTEN, 0) + len(self._ready) - MAX_READY
            del self._ready[:-MAX_READY]
        heard = {intake.name: intake.heard for intake in self._intakes.values() if intake.heard}
        due = now is None or now - self._told >= TELL_EVERY
        if not (self._ready or self._lost or (heard and due)):
            return
        with sink.batch():
            maker.put(self._ready, sink)
            for reason, count in self._lost.items():
                sink.lost(reason, count)
            for name, count in heard.items():
                sink.heard(name, count, time.time())
        self._ready, self._lost, self._told = [], {}, now or 0.0
        for intake in self._intakes.values():
            intake.heard = 0


def _port(address: Address, reception: Reception) -> int:
    name = reception.bound[address].getsockname()
    return int(name[1]) if isinstance(name, tuple) else 0
