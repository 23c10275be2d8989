"""What log lines look like, whatever wrote them: colours, levels, times."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Any, Optional, Pattern

HEADER = "Traceback (most recent call last):"
LEVELS = r"(?:TRACE|DEBUG|INFO|NOTICE|SUCCESS|WARN(?:ING)?|ERROR|CRITICAL|FATAL)"
_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]{0,64}[ -/]{0,8}[@-~]|\][^\x07\x1b]{0,4096}(?:\x07|\x1b\\)|[@-Z\\^_=>])")
_LEVEL = re.compile(rf"(?<![A-Za-z0-9_]){LEVELS}(?![A-Za-z0-9_])", re.IGNORECASE)
_RECORD = re.compile(
    rf"^[\[(<]?(?:\d{{4}}[-/]\d\d[-/]\d\d[T ]|\d\d:\d\d:\d\d|[A-Z][a-z]{{2}} [ \d]\d \d\d:|{LEVELS}[\s:\])|-])"
)
_SHAPED_TOKENS = 8
_TIME = re.compile(
    r"(\d{4})[-/](\d\d)[-/](\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))? ?(Z|UTC|[+-]\d\d:?\d\d)?(?![\d:])"
)
_FORMER, _LATEST = 946_684_800.0, 32_503_680_000.0  # the years 2000 and 3000


def without_escapes(text: str) -> str:
    """The text without the sequences that colour it or steer a terminal."""
    return _ESCAPES.sub("", text) if "\x1b" in text else text


def begins_record(line: str) -> bool:
    """Whether a line is the beginning of a log record by one of the usual formats."""
    return _RECORD.match(line) is not None


def record_shape(line: str) -> Optional[Pattern[str]]:
    """What the records of a log look like up to their level, learned from one; None if it names no level.

    `myapp - ERROR - boom` gives a pattern that matches `myapp.db - INFO - connected`.
    """
    tokens = line[:400].split()[:_SHAPED_TOKENS]
    place = next((number for number, token in enumerate(tokens) if _LEVEL.search(token)), None)
    if place is None:
        return None
    before = [r"\S+" if any(map(str.isalnum, token)) else re.escape(token) for token in tokens[:place]]
    return re.compile(r"^\s*" + "".join(part + r"\s+" for part in before) + rf"[^\sA-Za-z]*{LEVELS}\b", re.IGNORECASE)


def moment_in(text: str) -> Optional[float]:
    """The first time of day of a text, in seconds since the epoch; None if there is none.

    A time without a zone is taken for one of this machine's zone, as `logging` writes it. One that no log of this
    century has is none: calendars end before some of them.
    """
    found = _TIME.search(text[:400])
    if not found:
        return None
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    fraction = float(f"0.{found[7]}") if found[7] else 0.0
    try:
        naive = datetime(year, month, day, hour, minute, second)  # its zone follows
        moment = _zoned(naive, found[8]).timestamp() + fraction
    except (ValueError, OverflowError, OSError):
        return None
    return moment if _FORMER <= moment <= _LATEST else None


def _zoned(naive: datetime, zone: Optional[str]) -> datetime:
    if zone is None:
        return naive
    if zone in ("Z", "UTC"):
        return naive.replace(tzinfo=timezone.utc)
    return datetime.strptime(f"{naive.isoformat()}{zone.replace(':', '')}", "%Y-%m-%dT%H:%M:%S%z")


def moment_of(value: Any) -> Optional[float]:
    """Seconds since the epoch that a field of a record means: a text, or a number of s, ms, us or ns."""
    if isinstance(value, str):
        if not value.replace(".", "", 1).isdecimal() or len(value) > 30:
            return moment_in(value)
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    while number > _LATEST and number < 1e20:
        number /= 1000
    return number if _FORMER <= number <= _LATEST else None
