"""Both deployers keep what every deployer owes, as the engine calls them, where the files were patched before."""

from __future__ import annotations

import sys
from typing import ClassVar

import pytest

from homeostasis.testing.builders import patch_of
from homeostasis.testing.conformance.deploy import DeployConformance
from homeostasis_deploy_hotswap.plugin import hotswap, reload


class Conformance(DeployConformance):
    """The step before, `working-tree`, is played by the test; undo restores the files as well, so they are no change."""

    def world(self, project):
        return None

    @pytest.fixture
    def patch(self, project, event):  # the event is captured before, while the files still crash
        path = next(iter(self.files))
        patch = patch_of({path: ((project.root / path).read_bytes(), self.fixed.encode())})
        patch.apply(project.root)
        return patch


class TestHotswap(Conformance):
    name = "hotswap"
    plugin = hotswap


class TestReload(Conformance):
    name = "reload"
    plugin = reload
    settings: ClassVar = {"command": [sys.executable, "-c", ""]}
