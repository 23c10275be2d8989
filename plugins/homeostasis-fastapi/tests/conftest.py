"""A project on disk, and the process-wide client with its records in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator

import pytest

from homeostasis.monitoring import client as clients


@pytest.fixture(autouse=True)
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[clients.Client]:
    """The client of this process; it keeps its records."""
    monkeypatch.setenv("HOMEOSTASIS_STRICT", "1")
    monkeypatch.setenv("HOMEOSTASIS_TRANSPORT", "memory")
    monkeypatch.setenv("HOMEOSTASIS_PROJECT", str(Path(__file__).parent))
    clients.reset()
    yield clients.configure({"service": "shop"})
    clients.reset()
