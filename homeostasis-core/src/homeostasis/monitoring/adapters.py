"""Finds the adapter of an app's framework among the installed packages.

An adapter is a module that an entry point of the group `homeostasis.monitoring` names; the entry point is called like
the root package of the framework (`flask`, `starlette`). The module has:

- `matches(app) -> bool`: whether it knows this app,
- `instrument(app, client) -> None`: reach into the app; calling it twice does no more than calling it once.

Adapters of ASGI frameworks also have what `HomeostasisMiddleware` asks:

- `prepare(asgi_app) -> None`: reach into the middleware stack, once it is built,
- `framework(scope) -> str` and `route(scope) -> str | None`: the name, and the pattern of the matched route.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

from homeostasis.monitoring.classes import mro
from homeostasis.monitoring.internal import failed

GROUP = "homeostasis.monitoring"
KNOWN = {"flask": "homeostasis-flask", "fastapi": "homeostasis-fastapi", "starlette": "homeostasis-fastapi"}
"""Packages that we publish adapters in, by framework."""


def frameworks_of(app: Any) -> list[str]:
    """Root packages of the app's classes, nearest first."""
    roots = [str(cls.__module__).partition(".")[0] for cls in mro(type(app))]
    return list(dict.fromkeys(root for root in roots if root != "builtins"))


def find(app: Any) -> ModuleType | None:
    """The adapter that knows the app, or None. A broken adapter is reported and passed over."""
    modules = installed()
    for framework in frameworks_of(app):
        for name in modules.get(framework, ()):
            try:
                module = importlib.import_module(name)
                if module.matches(app):
                    return module
            except Exception as error:
                failed(f"loading the adapter {name}", error)
    return None


def advice(app: Any) -> str | None:
    """How to install the adapter that the app's framework lacks."""
    for framework in frameworks_of(app):
        if framework in KNOWN:
            return f"pip install {KNOWN[framework]}"
    return None


def installed() -> dict[str, list[str]]:
    """The modules of the installed adapters, by framework."""
    from importlib import metadata

    found: Any = metadata.entry_points()
    if sys.version_info >= (3, 10):
        points = metadata.entry_points(group=GROUP)
    else:
        points = found.get(GROUP, ())
    modules: dict[str, list[str]] = {}
    for point in points:
        modules.setdefault(point.name, [])
        if point.value not in modules[point.name]:
            modules[point.name].append(point.value)
    return modules
