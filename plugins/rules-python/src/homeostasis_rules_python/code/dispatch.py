"""Who answers the request: the function of the app that the web framework called, by the frames of the traceback."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, FrozenSet, Tuple
from weakref import WeakKeyDictionary

import libcst as cst

from homeostasis.models import Frame
from homeostasis_rules_python.code.case import Case, Site

_CALLERS: Dict[str, FrozenSet[str]] = {
    "flask/app.py": frozenset(("dispatch_request", "preprocess_request")),
    "flask/views.py": frozenset(("view", "dispatch_request")),
    "flask_restful/__init__.py": frozenset(("dispatch_request",)),
    "flask_restx/resource.py": frozenset(("dispatch_request",)),
    "quart/app.py": frozenset(("dispatch_request", "preprocess_request")),
    "quart/views.py": frozenset(("view", "dispatch_request")),
    "starlette/routing.py": frozenset(("app",)),
    "starlette/endpoints.py": frozenset(("dispatch",)),
    "fastapi/routing.py": frozenset(("run_endpoint_function", "app")),
    "fastapi/dependencies/utils.py": frozenset(("solve_dependencies",)),
}
"""Files of frameworks, and their functions that call what the app registered."""


@dataclass(frozen=True)
class Dispatched:
    """The frame of the app that answers."""

    site: Site
    answers: bool
    """Whether what it returns is the answer; what a dependency returns is not."""


_FOUND: WeakKeyDictionary[Case, Dispatched | None] = WeakKeyDictionary()


def dispatched(case: Case) -> Dispatched | None:
    """What the framework called to answer, past decorators of the app that hand on what they get; None without it."""
    if case not in _FOUND:
        _FOUND[case] = _dispatched(case)
    return _FOUND[case]


def _dispatched(case: Case) -> Dispatched | None:
    """Of several calls by the framework the innermost counts: an app may be mounted in another."""
    found, before = None, -1
    for number, site in enumerate(case.sites):
        caller = _last_of_framework(case, before + 1, site.index)
        before = site.index
        if caller is not None:
            found = Dispatched(_decorated(case.sites[number:]), caller.function != "solve_dependencies")
    return found


def _decorated(sites: Tuple[Site, ...]) -> Site:
    """The first frame that is no decorator's."""
    return next((site for site in sites[:-1] if not _hands_on(site)), sites[-1])


def _last_of_framework(case: Case, start: int, end: int) -> Frame | None:
    """The last frame of a framework's dispatching files between two frames of the app, if it calls handlers."""
    for frame in reversed(case.raised.frames[start:end]):
        parts = frame.path.replace("\\", "/").split("/")
        names = _CALLERS.get("/".join(parts[-2:])) or _CALLERS.get("/".join(parts[-3:]))
        if names is not None:
            return frame if frame.function in names else None
    return None


def _hands_on(site: Site) -> bool:
    """Whether the call at a frame passes on the function's own `*args` or `**kwargs`, as a decorator does."""
    given = site.function.params if site.function is not None else None
    stars = (given.star_arg, given.star_kwarg) if given is not None else ()
    own = {param.name.value for param in stars if isinstance(param, cst.Param)}
    for call in site.nodes(cst.Call)[:1] if own else ():
        passed = {arg.value.value for arg in getattr(call, "args", ()) if arg.star and isinstance(arg.value, cst.Name)}
        return bool(own & passed)
    return False
