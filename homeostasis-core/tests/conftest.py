"""Fixtures for the tests of core: a small project, and a way to publish plugins without building packages."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any, Callable

import pytest

from homeostasis.hookspecs import hookimpl
from homeostasis.ledger import Ledger
from homeostasis.models import Event, Frame, Raised, Span
from homeostasis.plugins import Plugins
from homeostasis.project import Project
from homeostasis.stages.context import Context, Notice

SHOP = b"""PRICES = {"tea": 3}


def price(name):
    return PRICES[name]
"""


@pytest.fixture
def make_project(tmp_path: Path) -> Callable[..., Project]:
    """A project in an empty directory: files by path, and the body of [tool.homeostasis]."""

    def make(settings: str = "", files: dict[str, bytes] | None = None) -> Project:
        root = tmp_path / "project"
        root.mkdir(exist_ok=True)
        (root / "pyproject.toml").write_text(f"[tool.homeostasis]\n{textwrap.dedent(settings)}", encoding="utf-8")
        for name, content in (files or {"shop.py": SHOP}).items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
        return Project.load(root)

    return make


@pytest.fixture
def publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Installs a distribution with one entry point: its metadata and a module with the given source."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    before = set(sys.modules)

    def install(name: str, source: str, *, distribution: str | None = None, target: str | None = None) -> None:
        dist = distribution or f"published-{name}"
        module = f"{dist}_plugin".replace("-", "_")
        (site / f"{module}.py").write_text(textwrap.dedent(source), encoding="utf-8")
        info = site / f"{dist.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: 1.0\n", encoding="utf-8")
        entry = f"[homeostasis]\n{name} = {module}{f':{target}' if target else ''}\n"
        (info / "entry_points.txt").write_text(entry, encoding="utf-8")

    yield install
    for module in set(sys.modules) - before:
        if module.startswith("published_") or module.endswith("_plugin"):
            del sys.modules[module]


@pytest.fixture
def plugin_of() -> Callable[..., ModuleType]:
    """A plugin module made of functions: `plugin_of(homeostasis_validate=function)`."""

    def make(**hooks: Any) -> ModuleType:
        module = ModuleType("made_plugin")
        for name, function in hooks.items():
            # A bound method carries the marker of its function.
            hookimpl(getattr(function, "__func__", function))
            setattr(module, name, function)
        return module

    return make


@pytest.fixture
def event_of() -> Callable[..., Event]:
    """An event of a crash in `shop.price` of a project."""

    def make(project: Project, **changes: Any) -> Event:
        frame = Frame(
            path=str(project.root / "shop.py"),
            module="shop",
            function="price",
            qualname="price",
            first_line=4,
            span=Span(line=5, end_line=5, column=11, end_column=23),
            source_line="return PRICES[name]",
            in_app=True,
        )
        values = {
            "id": "e1",
            "timestamp": 1000.0,
            "service": project.config.service,
            "fingerprint": "f" * 16,
            "exceptions": (Raised(type="KeyError", message="'milk'", bases=("LookupError",), frames=(frame,)),),
        }
        return Event(**{**values, **changes})

    return make


@pytest.fixture
def context_of() -> Callable[..., Context]:
    """A context with the given plugins, a ledger in the project, and the notices in `context.observer.notices`."""
    opened: list[Ledger] = []

    class Notices:
        def __init__(self) -> None:
            self.notices: list[Notice] = []

        def __call__(self, notice: Notice) -> None:
            self.notices.append(notice)

    def make(project: Project, **modules: ModuleType) -> Context:
        plugins = Plugins(project)
        for name, module in modules.items():
            refused = plugins.add(name.replace("_", "-"), module)
            assert refused is None, refused
        opened.append(Ledger.open(project))
        return Context(project, plugins, opened[-1], Notices())

    yield make
    for ledger in opened:
        ledger.close()
