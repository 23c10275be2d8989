"""The collector keeps its contract, with the test server as the store."""

from __future__ import annotations

import time

import pytest

import homeostasis_collect_loki.plugin
from homeostasis.testing import traceback_of
from homeostasis.testing.conformance import CollectConformance


class TestLoki(CollectConformance):
    name = "collect-loki"
    plugin = homeostasis_collect_loki.plugin

    @pytest.fixture
    def project(self, loki, project_factory):
        """A fresh project whose settings name the server."""
        self.server = loki
        table = {"url": self.server.url, "interval": 0.05, "delay": 0.5, "settle": 0.1}
        return project_factory(self.files, {"plugins": [self.name], self.name: table})

    def feed(self, project, event):
        """Put the traceback into the store, as an agent does."""
        self.server.push({"app": "shop", "job": "shop"}, time.time_ns(), f"it failed\n{traceback_of(event)}")
