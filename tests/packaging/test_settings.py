"""The keys of the monitoring are written twice, for two sides that share no code: they must agree."""

from __future__ import annotations

from homeostasis.config import MonitoringTable
from homeostasis.monitoring.config import Settings

FOR_THE_PROCESS = {"service", "project"}
"""What the app side takes from elsewhere than the table."""


def test_both_sides_know_the_same_keys():
    """Each key of `[tool.homeostasis.monitoring]` is one of the monitoring's, and the other way round."""
    assert set(MonitoringTable.model_fields) == set(Settings._fields) - FOR_THE_PROCESS


def test_both_sides_have_the_same_defaults():
    """What the reference says is what the app does."""
    table = MonitoringTable()
    assert {key: getattr(table, key) for key in MonitoringTable.model_fields} == {
        key: value for key, value in Settings._field_defaults.items() if key not in FOR_THE_PROCESS
    }
