from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from homeostasis.config import MonitoringTable
from homeostasis.monitoring import setup_monitoring
from homeostasis.monitoring.config import Settings, find_project, load_settings


def test_keys_and_defaults_are_those_of_the_orchestrator() -> None:
    """The app and the orchestrator agree on every key of [tool.homeostasis.monitoring] and on its default."""
    settings = Settings()._asdict()
    assert set(settings) - {"service", "project"} == set(MonitoringTable.model_fields)
    assert {key: settings[key] for key in MonitoringTable.model_fields} == MonitoringTable().model_dump()


def configure(project: Path, **values: Any) -> None:
    if sys.version_info >= (3, 11):
        lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
        text = "[tool.homeostasis]\nservice = 'shop'\n[tool.homeostasis.monitoring]\n" + "\n".join(lines)
        (project / "pyproject.toml").write_text(text, encoding="utf-8")
    else:
        (project / ".homeostasis").mkdir(exist_ok=True)
        document = {"service": "shop", "source": ["."], "monitoring": values}
        (project / ".homeostasis" / "monitoring.json").write_text(json.dumps(document), encoding="utf-8")


def test_argument_wins_over_environment_over_file(project: Path) -> None:
    """Each key is taken from the nearest place that sets it."""
    configure(project, sample_rate=0.5, healthy_samples=1, capture_404=True, exclude_modules=["a"])
    environ = {
        "HOMEOSTASIS_PROJECT": str(project),
        "HOMEOSTASIS_HEALTHY_SAMPLES": "2",
        "HOMEOSTASIS_CAPTURE_404": "no",
        "HOMEOSTASIS_EXCLUDE_ERROR_TYPES": "Timeout, shop.Gone",
    }
    settings = load_settings({"capture_404": True}, environ)
    assert settings.sample_rate == 0.5
    assert settings.healthy_samples == 2
    assert settings.capture_404 is True
    assert settings.exclude_modules == ("a",)
    assert settings.exclude_error_types == ("Timeout", "shop.Gone")
    assert settings.service == "shop"
    assert settings.project == str(project)


def test_project_is_found_upwards(project: Path) -> None:
    """The nearest directory above with a [tool.homeostasis] table is the project; other pyproject files are passed over."""
    inner = project / "pkg" / "sub"
    inner.mkdir(parents=True)
    (inner / "pyproject.toml").write_text("[project]\nname = 'x'\n", encoding="utf-8")
    assert find_project(str(inner)) == str(project)


def test_unknown_key_names_the_nearest(project: Path) -> None:
    """A misspelt key in the code is an error that says which key was meant."""
    with pytest.raises(
        ValueError, match=r"unknown monitoring setting 'exclude_module'.*did you mean 'exclude_modules'"
    ):
        setup_monitoring(config={"exclude_module": []})


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("enabled", "yes", "true or false"),
        ("sample_rate", 1.5, "from 0 to 1"),
        ("exclude_modules", "abc", "list of strings"),
        ("max_event_bytes", 10, "at least 4096"),
        ("max_body_bytes", True, "whole number"),
        ("level", "LOUD", "logging level"),
        ("project", 3, "directory"),
    ],
)
def test_wrong_value_names_what_is_expected(key: str, value: Any, expected: str) -> None:
    """A wrong value in the code is an error that says what the key takes."""
    with pytest.raises(ValueError, match=f"{key}.*{expected}"):
        load_settings({key: value})


def test_mistakes_outside_the_code_are_logged_only(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A typo in a variable or a file does not keep the app from starting: it is logged, and the default is used."""
    configure(project, sampel_rate=0.5, level="INFO")
    with caplog.at_level(logging.WARNING, "homeostasis"):
        settings = load_settings({}, {"HOMEOSTASIS_PROJECT": str(project), "HOMEOSTASIS_MAX_BODY_BYTES": "many"})
    assert settings.level == "INFO"
    assert settings.max_body_bytes == 16384
    assert "did you mean 'sample_rate'" in caplog.text
    assert "max_body_bytes" in caplog.text


def test_missing_project_is_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A project that does not exist is not made: monitoring stays passive and says so."""
    assert load_settings({}, {"HOMEOSTASIS_PROJECT": str(tmp_path / "gone")}).project is None
    assert "is not a directory" in caplog.text


def test_broken_file_is_logged_only(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file that cannot be parsed leaves the defaults."""
    (project / "pyproject.toml").write_text("[tool.homeostasis]\n= broken", encoding="utf-8")
    (project / ".homeostasis").mkdir()
    (project / ".homeostasis" / "monitoring.json").write_text("{", encoding="utf-8")
    assert load_settings({}, {}, str(project)).service == "app"
    assert "cannot be read" in caplog.text
