from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any, Callable

import pytest

from homeostasis.monitoring.config import Settings
from homeostasis.monitoring.expected import Expected
from homeostasis.monitoring.frames import Boundary


@pytest.fixture
def covers(project: Path) -> Callable[..., bool]:
    """Whether an exception is left alone under some settings."""

    def decide(error: BaseException, **settings: Any) -> bool:
        made = Settings()._replace(**{key: tuple(v) if isinstance(v, list) else v for key, v in settings.items()})
        return Expected(made, Boundary(str(project))).covers(error)

    return decide


def http(module: str, **attributes: Any) -> BaseException:
    """An HTTP exception like that of a framework."""
    base = type("HTTPException", (Exception,), {"__module__": module, "code": None})
    error = type("Own", (base,), {})()
    vars(error).update(attributes)
    return error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1), GeneratorExit(), asyncio.CancelledError()])
def test_ways_to_end(covers: Any, error: BaseException) -> None:
    """Interrupts, exits and cancellations are no crashes."""
    assert covers(error)


def test_http_exceptions(covers: Any) -> None:
    """An answer below 500 that the app means to give is no crash; one of 500 is; 404 only if it is asked for."""
    assert covers(http("werkzeug.exceptions", code=404))
    assert covers(http("starlette.exceptions", status_code=422))
    assert not covers(http("werkzeug.exceptions", code=500))
    assert not covers(http("starlette.exceptions", status_code=503))
    assert not covers(http("werkzeug.exceptions", code=404), capture_404=True)
    assert not covers(http("somewhere.else", code=404))


class Base(Exception):
    pass


class Derived(Base):
    pass


@pytest.mark.parametrize(
    ("pattern", "covered"),
    [("Base", True), ("Derived", True), ("D*", True), ("*.Base", True), ("base", False), ("Der", False)],
)
def test_excluded_types(covers: Any, pattern: str, covered: bool) -> None:
    """Types are excluded by name, dotted name and glob, with their subclasses."""
    assert covers(Derived(), exclude_error_types=[pattern]) is covered
    assert covers(Derived(), exclude_error_types=[f"{Base.__module__}.Base"])


def test_excluded_modules(covers: Any, load: Any, raised_by: Any) -> None:
    """A module is excluded with all below it, by the frame that crashed."""
    error = raised_by(load("shop.experiments", "import json\ndef crash():\n    json.loads('{')\n")["crash"])
    assert covers(error, exclude_modules=["shop"])
    assert covers(error, exclude_modules=["shop.experiments"])
    assert covers(error, exclude_modules=["shop.*"])
    assert not covers(error, exclude_modules=["sho"])
    assert not covers(error, exclude_modules=["shop.experiment"])
    assert not covers(error)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exception groups came with 3.11")
def test_groups(covers: Any) -> None:
    """A group is left alone if all its members are."""
    from builtins import BaseExceptionGroup as Group

    assert covers(Group("x", [KeyboardInterrupt(), SystemExit()]))
    assert not covers(Group("x", [KeyboardInterrupt(), ValueError()]))
