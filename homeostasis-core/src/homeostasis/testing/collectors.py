"""`run_collectors`: collectors in threads, as the engine runs them, until something has come."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Callable, Iterable

if TYPE_CHECKING:
    from homeostasis.hookspecs import Collector
    from homeostasis.testing.fakes import MemorySink

PATIENCE = 20.0
"""Seconds after which a collector that does not react counts as stuck."""


def run_collectors(
    collectors: Iterable[Collector], sink: MemorySink, done: Callable[[], bool], *, tolerant: bool = False
) -> None:
    """Run collectors until `done()`, and stop them, within `PATIENCE` each.

    Args:
        collectors: each runs in a thread of its own.
        sink: gets what they put.
        done: whether they may stop.
        tolerant: an exception that a collector raises is no failure.

    Raises:
        AssertionError: it took longer, or a collector went on.
        Exception: the first that a collector raised, unless `tolerant`.
    """
    stop, raised = threading.Event(), []

    def run(collector: Collector) -> None:
        try:
            collector.run(sink, stop)
        except Exception as error:  # the test's thread raises it
            raised.append(error)

    threads = [threading.Thread(target=run, args=(collector,), daemon=True) for collector in collectors]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + PATIENCE
    while not done() and not (raised and not tolerant) and time.monotonic() < deadline:
        time.sleep(0.01)
    stop.set()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive(), "the collector went on after stop was set"
    if raised and not tolerant:
        raise raised[0]
    if not done():
        raise AssertionError(f"nothing arrived within {PATIENCE} seconds")
