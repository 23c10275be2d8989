"""Change freezes: what is a window, and when it is open."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from homeostasis.errors import ConfigError
from homeostasis.oversight.freeze import open_window, parse

WEEKEND = "Fri 16:00 - Mon 08:00"
YEAR_END = "2026-12-20 - 2027-01-02"


def at(text, zone=timezone.utc):
    return datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=zone).timestamp()


@pytest.mark.parametrize(
    ("window", "moment", "is_open"),
    [
        (WEEKEND, "2026-11-27 15:59", False),
        (WEEKEND, "2026-11-27 16:00", True),
        (WEEKEND, "2026-11-29 23:59", True),
        (WEEKEND, "2026-11-30 07:59", True),
        (WEEKEND, "2026-11-30 08:00", False),
        ("mon 09:00 - mon 17:00", "2026-11-30 12:00", True),
        ("Mon 09:00 - Mon 17:00", "2026-12-01 12:00", False),
        ("Sunday 22:00 - Sunday 24:00", "2026-11-29 23:59", True),
        (YEAR_END, "2026-12-19 23:59", False),
        (YEAR_END, "2026-12-20 00:00", True),
        (YEAR_END, "2027-01-02 23:59", True),
        (YEAR_END, "2027-01-03 00:00", False),
        ("2026-12-20 18:00 - 2026-12-20 20:00", "2026-12-20 20:00", False),
    ],
)
def test_window_is_open_from_its_beginning_to_before_its_end(window, moment, is_open):
    """Also over the end of a week; a date without a time means the whole day."""
    assert (open_window((window,), "UTC", at(moment)) == window) is is_open


def test_windows_are_meant_in_their_time_zone():
    """At 15:30 UTC it is 16:30 in Berlin in winter, and 17:30 in summer."""
    assert open_window((WEEKEND,), "Europe/Berlin", at("2026-11-27 15:30"))
    assert open_window((WEEKEND,), "Europe/Berlin", at("2026-07-03 14:30"))
    assert not open_window((WEEKEND,), "Europe/Berlin", at("2026-07-03 13:30"))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("always", "is no freeze window"),
        ("Fri 16:00", "is no freeze window"),
        ("Fri 16:00 - Fri 16:00", "is no freeze window"),
        ("Foo 16:00 - Mon 08:00", "is no time of the week"),
        ("Fri 25:00 - Mon 08:00", "is no time of the week"),
        ("2026-13-01 - 2027-01-01", "is no date"),
        ("2027-01-02 - 2026-12-20", "ends before it begins"),
    ],
)
def test_what_is_no_window_is_told(text, complaint):
    """With the text, and how it is written."""
    with pytest.raises(ValueError, match=complaint):
        parse(text)


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ('policy.freeze = ["tomorrow"]', r"policy\.freeze.*no freeze window"),
        ('policy.time_zone = "Mars/Olympus"', r"policy\.time_zone.*not known"),
        ('policy.tokens = { ci = "plain" }', r"policy\.tokens.*no hex SHA-256"),
        ('policy.rules = [{ action = "hope" }]', r"policy\.rules"),
    ],
)
def test_mistakes_in_the_settings_name_the_key(make_project, setting, complaint):
    """At the start, not on the first Friday."""
    with pytest.raises(ConfigError, match=complaint):
        make_project(setting)
