"""The fixtures of the test kit: `pytest_plugins = ["homeostasis.testing.fixtures"]` in the root `conftest.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.register_assert_rewrite("homeostasis.testing.conformance")

from homeostasis.testing.fakes import MemorySink, RecordingJournal  # noqa: E402  # after the rewriting is set up
from homeostasis.testing.projects import ProjectFactory  # noqa: E402


@pytest.fixture
def project_factory(tmp_path: Path) -> ProjectFactory:
    """Makes small projects; see `homeostasis.testing.projects.ProjectFactory`."""
    return ProjectFactory(tmp_path / "projects")


@pytest.fixture
def memory_sink() -> MemorySink:
    """A sink that keeps what collectors put."""
    return MemorySink()


@pytest.fixture
def journal() -> RecordingJournal:
    """A journal that keeps what deployers intend."""
    return RecordingJournal()
