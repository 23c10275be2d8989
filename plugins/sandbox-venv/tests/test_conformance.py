"""The plugin keeps what core promises of every sandbox."""

from __future__ import annotations

import pytest

from homeostasis.testing.conformance import SandboxConformance
from homeostasis_sandbox_venv import plugin


class TestSandbox(SandboxConformance):
    name = "sandbox-venv"
    plugin = plugin

    @pytest.fixture(autouse=True)
    def _at_each_level(self, level):
        """The suite runs at each level of isolation."""
