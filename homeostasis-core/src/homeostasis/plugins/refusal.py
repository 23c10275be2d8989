"""Why an object cannot be a plugin."""

from __future__ import annotations

import difflib
import inspect
from types import ModuleType
from typing import Any

import pluggy

from homeostasis import hookspecs

PREFIX = "homeostasis_"


def refusal(module: Any) -> str | None:
    """Why an object cannot be a plugin, in a sentence that names the way out; None if it can.

    The checks run in a scratch manager: pluggy leaves a plugin half registered when its signature is wrong.
    """
    if not isinstance(module, ModuleType):
        kind = "class" if inspect.isclass(module) else type(module).__name__
        return f"the entry point names a {kind}, not a module: point it at the module that holds the hook functions"
    unmarked = [name for name, value in vars(module).items() if _is_unmarked(name, value)]
    if unmarked:
        return f"{unmarked[0]} has no @homeostasis.hookimpl: without it the function would never be called"
    scratch = new_manager()
    try:
        scratch.register(module, "candidate")
        scratch.check_pending()
    except pluggy.PluginValidationError as error:
        return _explain(module, error)
    callers = scratch.get_hookcallers(module) or []
    for caller in callers:
        for implementation in caller.get_hookimpls():
            function = implementation.function
            if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
                return f"{caller.name} is async, but hooks are called without an event loop: make it a plain def"
            if implementation.hookwrapper or getattr(implementation, "wrapper", False):
                return f"{caller.name} is a wrapper, but each plugin is called alone: do the work in the hook itself"
    return None if callers else "the module implements no hook: see homeostasis.hookspecs"


def _is_unmarked(name: str, value: Any) -> bool:
    marked = hasattr(value, f"{hookspecs.NAMESPACE}_impl")
    return name.startswith(PREFIX) and inspect.isfunction(value) and not marked


def _explain(module: ModuleType, error: pluggy.PluginValidationError) -> str:
    known = [name for name in vars(hookspecs) if name.startswith(PREFIX)]
    for name, value in vars(module).items():
        if hasattr(value, f"{hookspecs.NAMESPACE}_impl") and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"hooks are {', '.join(known)}"
            return f"there is no hook {name}: {hint}"
        if name in known and inspect.isfunction(value):
            allowed = set(inspect.signature(getattr(hookspecs, name)).parameters)
            extra = [each for each in inspect.signature(value).parameters if each not in allowed]
            if extra:
                return (
                    f"{name} takes {extra[0]!r}, which the hook does not pass: it passes {', '.join(sorted(allowed))}"
                )
    return " ".join(str(error).split())


def new_manager() -> pluggy.PluginManager:
    """A plugin manager that knows our hooks."""
    manager = pluggy.PluginManager(hookspecs.NAMESPACE)
    manager.add_hookspecs(hookspecs)
    return manager
