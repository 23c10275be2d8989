"""`Settings`: what the app may set about its monitoring, and where it is read from.

A key is taken from the `config` argument, else from the variable `HOMEOSTASIS_<KEY>`, else from
`[tool.homeostasis.monitoring]` of the project's `pyproject.toml`. Python below 3.11 cannot read TOML without a third
party: there the orchestrator leaves the same values in `.homeostasis/monitoring.json`.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from typing import Any, Mapping, NamedTuple, Optional, Tuple

from homeostasis.monitoring.internal import warn

_TABLE = re.compile(r"^\s*\[\s*tool\s*\.\s*homeostasis\s*[\].]", re.MULTILINE)
_TRUE = ("1", "true", "yes", "on")
_FALSE = ("0", "false", "no", "off", "")


class Settings(NamedTuple):
    """The keys of `[tool.homeostasis.monitoring]`, and `service` and `project`."""

    enabled: bool = True
    inject: bool = True
    exclude_modules: Tuple[str, ...] = ()
    exclude_error_types: Tuple[str, ...] = ()
    sample_rate: float = 1.0
    capture_request_body: bool = True
    capture_404: bool = False
    max_body_bytes: int = 16384
    max_event_bytes: int = 262144
    max_spool_bytes: int = 67108864
    healthy_samples: int = 5
    level: str = "ERROR"
    redact_names: Tuple[str, ...] = ()
    max_captures_per_second: int = 50
    service: str = "app"
    project: Optional[str] = None

    @property
    def level_number(self) -> int:
        """`level` as `logging` counts it."""
        number = logging.getLevelName(self.level.upper())
        return number if isinstance(number, int) else logging.ERROR


_MINIMUM = {
    "max_body_bytes": 0,
    "max_event_bytes": 4096,
    "max_spool_bytes": 65536,
    "healthy_samples": 0,
    "max_captures_per_second": 1,
    "sample_rate": 0,
}


def load_settings(
    config: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None, cwd: str | None = None
) -> Settings:
    """Read the settings of this process.

    Args:
        config: values of the caller, which win.
        environ: the environment; by default that of the process.
        cwd: directory from which the project is searched upwards; by default the current one.

    Raises:
        ValueError: `config` has an unknown key (the message names the nearest valid one) or a wrong value. Mistakes in
            the environment or in files are logged instead: they must not stop an app from starting.
    """
    given = _checked(dict(config or {}), "config")
    variables = os.environ if environ is None else environ
    values = _lenient(_from_environment(variables), "environment")
    project = given.get("project") or values.get("project") or find_project(cwd or os.getcwd())
    if project and not os.path.isdir(project):
        warn("homeostasis monitors nothing: its project %s is not a directory", project)
        project = given["project"] = None
    table = _lenient(_from_project(project), "project") if project else {}
    merged = {**table, **values, **given}
    merged["project"] = os.path.realpath(project) if project else None
    return Settings(**merged)


def find_project(start: str) -> str | None:
    """The nearest directory, from `start` upwards, whose `pyproject.toml` has a table `[tool.homeostasis]`."""
    directory = os.path.abspath(start)
    while True:
        try:
            with open(os.path.join(directory, "pyproject.toml"), encoding="utf-8") as stream:
                if _TABLE.search(stream.read()):
                    return directory
        except (OSError, UnicodeDecodeError):
            pass
        parent = os.path.dirname(directory)
        if parent == directory:
            return None
        directory = parent


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key in Settings._fields:
        text = environ.get(f"HOMEOSTASIS_{key.upper()}")
        if text is not None:
            found[key] = _parsed(key, text)
    return found


def _parsed(key: str, text: str) -> Any:
    default = Settings._field_defaults[key]
    if isinstance(default, bool):
        low = text.strip().lower()
        return True if low in _TRUE else False if low in _FALSE else text
    if isinstance(default, tuple):
        return [part.strip() for part in text.split(",") if part.strip()]
    if isinstance(default, (int, float)):
        try:
            return type(default)(text)
        except ValueError:
            return text
    return text


def _from_project(project: str) -> dict[str, Any]:
    try:
        document = _document(project)
        monitoring = document.get("monitoring", {})
        values = dict(monitoring) if isinstance(monitoring, dict) else {}
        if isinstance(document.get("service"), str):
            values["service"] = document["service"]
        return values
    except (OSError, ValueError) as error:
        warn("the settings in %s cannot be read (%s); the defaults are used", project, error)
        return {}


def _document(project: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib

        path = os.path.join(project, "pyproject.toml")
        if not os.path.isfile(path):
            return {}
        with open(path, "rb") as stream:
            tool = tomllib.load(stream).get("tool", {})
        table = tool.get("homeostasis", {}) if isinstance(tool, dict) else {}
    else:
        path = os.path.join(project, ".homeostasis", "monitoring.json")
        if not os.path.isfile(path):
            return {}
        import json

        with open(path, encoding="utf-8") as stream:
            table = json.load(stream)
    return table if isinstance(table, dict) else {}


def _lenient(values: dict[str, Any], origin: str) -> dict[str, Any]:
    good: dict[str, Any] = {}
    for key, value in values.items():
        try:
            good.update(_checked({key: value}, origin))
        except ValueError as error:
            warn("ignored: %s", error)
    return good


def _checked(values: dict[str, Any], origin: str) -> dict[str, Any]:
    return {key: _value(key, value, origin) for key, value in values.items()}


def _value(key: str, value: Any, origin: str) -> Any:
    if key not in Settings._fields:
        import difflib

        near = difflib.get_close_matches(str(key), Settings._fields, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"valid keys are {', '.join(Settings._fields)}"
        raise ValueError(f"unknown monitoring setting {key!r} in the {origin}: {hint}")
    default = Settings._field_defaults[key]
    wrong = ValueError(f"monitoring setting {key!r} in the {origin} must be {_expected(key)}, not {str(value)[:80]!r}")
    if isinstance(default, tuple):
        if not isinstance(value, (list, tuple, set, frozenset)) or not all(isinstance(item, str) for item in value):
            raise wrong
        return tuple(value)
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if key == "project":
        value = os.fspath(value) if isinstance(value, os.PathLike) else value
        if value is not None and not isinstance(value, str):
            raise wrong
        return value
    if type(value) is not type(default):
        raise wrong
    if key in _MINIMUM and (value < _MINIMUM[key] or (key == "sample_rate" and value > 1)):
        raise wrong
    if key == "level" and not isinstance(logging.getLevelName(value.upper()), int):
        raise wrong
    return value


def _expected(key: str) -> str:
    default = Settings._field_defaults[key]
    if isinstance(default, tuple):
        return "a list of strings"
    if key == "level":
        return "the name of a logging level"
    if key == "sample_rate":
        return "a number from 0 to 1"
    if key == "project":
        return "the path of a directory"
    kind = {"bool": "true or false", "int": "a whole number", "str": "a string"}[type(default).__name__]
    return f"{kind} of at least {_MINIMUM[key]}" if key in _MINIMUM else kind
