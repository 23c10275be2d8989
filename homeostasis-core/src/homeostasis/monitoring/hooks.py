"""Captures what no request answers for: exceptions that nobody catches in this process, and log records."""

from __future__ import annotations

from homeostasis.monitoring.client import current as current_client
from homeostasis.monitoring.request import current as current_request
from homeostasis.monitoring.seen import knows


def install() -> None:
    """Listen to what escapes and what is logged; a second call changes nothing."""
    from homeostasis.autostart import escapes

    escapes.watch("monitoring", escapes.Listener(uncaught, logged, ending, replaced))


def uncaught(error: BaseException) -> None:
    """Capture an exception that escaped from the process, a thread, an event loop, or the like."""
    client = current_client()
    if client is not None:
        client.capture(error, request=current_request.get())


def logged(error: BaseException, level: int, logger: str) -> None:
    """Capture an exception that the app caught and logged, if the level, as `logging` counts it, is high enough."""
    client = current_client()
    if client is None or level < client.level or logger == "homeostasis" or logger.startswith("homeostasis."):
        return
    if knows(error):
        return  # most frameworks log what they have reported; this spares the way through the client
    client.capture(error, request=current_request.get(), handled=True)


def ending() -> None:
    """Write what waits, within a deadline: this process ends without running exit handlers."""
    client = current_client()
    if client is not None:
        client.close()


def replaced() -> None:
    """Write what waits: this process becomes another program, or stays what it is if that fails."""
    client = current_client()
    if client is not None:
        client.settle()
