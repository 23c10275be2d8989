"""The founding sandbox keeps its contract."""

from __future__ import annotations

import homeostasis_sandbox_venv.plugin
from homeostasis.testing.conformance import SandboxConformance


class TestSandboxVenv(SandboxConformance):
    name = "sandbox-venv"
    plugin = homeostasis_sandbox_venv.plugin
