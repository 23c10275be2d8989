"""Tell whether an exception that was raised in a trial is the crash of an incident."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Iterable

from homeostasis.models import Event


def same_crash(found: Event, expected: Event) -> bool:
    """Whether two events are one crash: the same fingerprint, or the same type from the same line of the same function.

    The second is for events with other frames than ours: read from a text traceback, or from a call made again.
    """
    if found.fingerprint == expected.fingerprint:
        return True
    here, there = found.crash_frame, expected.crash_frame
    if found.raised.type.rsplit(".", 1)[-1] != expected.raised.type.rsplit(".", 1)[-1] or here is None or there is None:
        return False
    if PurePosixPath(here.path).name != PurePosixPath(there.path).name or here.function != there.function:
        return False
    if here.source_line and there.source_line:
        return here.source_line.strip() == there.source_line.strip()
    return here.span.line == there.span.line


def crashes(events: Iterable[Event], expected: Event) -> list[Event]:
    """The events that are the expected crash."""
    return [event for event in events if same_crash(event, expected)]


def brief(event: Event) -> str:
    """An event in a phrase: type, message and place."""
    frame = event.crash_frame
    place = f" in {frame.function} at {PurePosixPath(frame.path).name}:{frame.span.line}" if frame else ""
    message = event.raised.message.split("\n", 1)[0][:120]
    return f"{event.raised.dotted}: {message}{place}"
