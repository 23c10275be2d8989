"""Reads fields of JSON that may hold anything anywhere: each accessor gives a value of its type."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Dict, List, Optional

from homeostasis.collecting.crash import MAX_FIELD

_ISO = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(\.\d{1,9})?(Z|[+-]\d\d:?\d\d)?")
_LATEST = 253_402_300_799.0
"""The end of the year 9999."""


def table(value: Any) -> Dict[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> List[Any]:
    """The value if it is an array, else an empty one."""
    return value if isinstance(value, list) else []


def objects(value: Any) -> List[Dict[str, Any]]:
    """The objects of an array."""
    return [item for item in items(value) if isinstance(item, dict)]


def text(value: Any, limit: int = MAX_FIELD) -> str:
    """The value if it is a string, at most so many characters of it, else an empty one."""
    return value[:limit] if isinstance(value, str) else ""


def number(value: Any) -> Optional[float]:
    """The value if it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if -1e300 < value < 1e300 else None


def within(value: Any, *names: str) -> Any:
    """What lies at a path of names; None if there is nothing."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def moment(value: Any) -> Optional[float]:
    """Seconds since the epoch that a timestamp means: a number of seconds, or ISO 8601 (UTC unless it has a zone)."""
    if isinstance(value, str):
        value = _written(value)
    seconds = number(value)
    return seconds if seconds is not None and 0 < seconds <= _LATEST else None


def _written(stamp: str) -> Optional[float]:
    found = _ISO.fullmatch(stamp[:40])
    if found is None:
        return None
    day, time, fraction, zone = found.groups()
    written = "+00:00" if zone in (None, "Z") else f"{zone[:3]}:{zone[-2:]}"
    try:
        return datetime.fromisoformat(f"{day}T{time}{written}").timestamp() + float(fraction or 0)
    except (ValueError, OverflowError):
        return None
