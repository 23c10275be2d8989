"""`when_imported`: do something to a module as soon as it is imported, and nothing to all others."""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Callable

Action = Callable[[ModuleType], None]

_waiting: dict[str, list[Action]] = {}
_searching: set[str] = set()


def when_imported(name: str, action: Action) -> None:
    """Call `action` with the module: now if it is imported already, else right after its code has run.

    What the action raises is reported as a failure of ours and does not reach whoever imports the module.
    """
    module = sys.modules.get(name)
    if module is not None:
        _act(action, module)
        return
    _waiting.setdefault(name, []).append(action)
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


class _Finder:
    """Finds a module that is waited for through the other finders, and has its loader tell when it is loaded."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if fullname not in _waiting or fullname in _searching:
            return None
        _searching.add(fullname)
        try:
            for finder in list(sys.meta_path):
                find = None if finder is self else getattr(finder, "find_spec", None)
                spec: ModuleSpec | None = find(fullname, path, target) if find is not None else None
                if spec is not None:
                    _tell(spec)
                    return spec
        finally:
            _searching.discard(fullname)
        return None


_finder: Any = _Finder()


def _tell(spec: ModuleSpec) -> None:
    loader: Any = spec.loader
    if loader is None or isinstance(loader, type) or not hasattr(loader, "exec_module"):
        return  # built in or frozen: the loader is a class that all such modules share
    load = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        mine = module.__name__ == spec.name  # archives have one loader for all their modules
        if mine:
            with suppress(AttributeError):
                del loader.exec_module
        load(module)
        if mine:
            _arrived(module)

    with suppress(AttributeError):  # the loader takes no attributes
        loader.exec_module = exec_module


def _arrived(module: ModuleType) -> None:
    actions = _waiting.pop(module.__name__, [])
    if not _waiting and _finder in sys.meta_path:
        sys.meta_path.remove(_finder)
    for action in actions:
        _act(action, module)


def _act(action: Action, module: ModuleType) -> None:
    try:
        action(module)
    except Exception as error:
        from homeostasis.monitoring.internal import failed

        failed(f"watching {module.__name__}", error)
