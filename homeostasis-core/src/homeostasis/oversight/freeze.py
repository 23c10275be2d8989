"""Change freezes: times in which nothing goes live without a person.

A window is either weekly, `Fri 16:00 - Mon 08:00`, or between two dates, `2026-12-20 - 2027-01-02` or
`2026-12-20 18:00 - 2027-01-02 08:00`. A date without a time means the whole day. The end is exclusive.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEKLY = re.compile(r"(?P<day>[A-Za-z]{3,9})\s+(?P<hour>\d{1,2}):(?P<minute>\d{2})\Z")
_DATED = re.compile(r"(?P<date>\d{4}-\d{2}-\d{2})(?:[T ](?P<time>\d{1,2}:\d{2}))?\Z")
_WEEK = 7 * 24 * 60


@dataclass(frozen=True)
class Weekly:
    """Minutes of the week, counted from Monday 00:00; `until` may lie before `since`, in the next week."""

    since: int
    until: int

    def covers(self, moment: datetime) -> bool:
        """Whether the window is open at a moment, in local time of its zone."""
        now = moment.weekday() * 24 * 60 + moment.hour * 60 + moment.minute
        return (now - self.since) % _WEEK < (self.until - self.since) % _WEEK


@dataclass(frozen=True)
class Dated:
    """Between two moments without a time zone."""

    since: datetime
    until: datetime

    def covers(self, moment: datetime) -> bool:
        """Whether the window is open at a moment, in local time of its zone."""
        return self.since <= moment.replace(tzinfo=None) < self.until


def parse(text: str) -> Weekly | Dated:
    """Read one window.

    Raises:
        ValueError: says what is wrong with the text, and shows how it is written.
    """
    ends = re.split(r"\s+-\s+", text.strip())
    if len(ends) == 2:
        weekly = [_WEEKLY.match(end) for end in ends]
        if weekly[0] and weekly[1]:
            since, until = (_minute_of_week(found) for found in (weekly[0], weekly[1]))
            if since != until:
                return Weekly(since, until)
        dated = [_DATED.match(end) for end in ends]
        if dated[0] and dated[1]:
            since_moment, until_moment = _moment(dated[0], last=False), _moment(dated[1], last=True)
            if since_moment < until_moment:
                return Dated(since_moment, until_moment)
            raise ValueError(f"{text!r} ends before it begins")
    raise ValueError(
        f"{text!r} is no freeze window: write 'Fri 16:00 - Mon 08:00' or '2026-12-20 - 2027-01-02', times optional"
    )


def zone(name: str) -> tzinfo:
    """A time zone by its IANA name; `UTC` needs no database.

    Raises:
        ValueError: it is not known here.
    """
    if name.upper() == "UTC":
        return timezone.utc
    try:
        from zoneinfo import ZoneInfo
    except ImportError:  # Python 3.8
        from backports.zoneinfo import ZoneInfo  # type: ignore[import-not-found,no-redef,unused-ignore]
    try:
        found: tzinfo = ZoneInfo(name)
    except (OSError, ValueError, LookupError) as error:
        raise ValueError(f"the time zone {name!r} is not known here: use an IANA name such as Europe/Berlin") from error
    return found


def open_window(windows: tuple[str, ...], time_zone: str, now: float) -> str | None:
    """The first window that is open.

    Args:
        windows: as `parse` reads them.
        time_zone: as `zone` reads it.
        now: seconds since the epoch.
    """
    moment = datetime.fromtimestamp(now, zone(time_zone))
    return next((text for text in windows if parse(text).covers(moment)), None)


def _minute_of_week(found: re.Match[str]) -> int:
    name, hour, minute = found["day"].lower()[:3], int(found["hour"]), int(found["minute"])
    if name not in _DAYS or hour > 24 or minute > 59 or (hour == 24 and minute):
        raise ValueError(f"{found[0]!r} is no time of the week: write it like 'Fri 16:00'")
    return _DAYS.index(name) * 24 * 60 + hour * 60 + minute


def _moment(found: re.Match[str], *, last: bool) -> datetime:
    try:
        day = datetime.strptime(found["date"], "%Y-%m-%d")
        if found["time"]:
            clock = datetime.strptime(found["time"], "%H:%M")
            return day.replace(hour=clock.hour, minute=clock.minute)
    except ValueError:
        raise ValueError(f"{found[0]!r} is no date: write it like 2026-12-20 or 2026-12-20 18:00") from None
    return day + timedelta(days=1) if last else day
