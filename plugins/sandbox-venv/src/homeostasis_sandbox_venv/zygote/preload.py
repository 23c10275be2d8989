"""What a zygote imports, and whether it may be forked then."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from typing import Dict, Iterable, List, Optional, Set

_HOSTILE = {"grpc._cython.cygrpc": "grpc cannot be used in a process that was forked after its import"}
"""Modules that do not survive a fork, whatever they look like, and why."""


class Place:
    """What a zygote had at its start, and where the project is."""

    def __init__(self, root: str, libraries: List[str]) -> None:
        """Take note of the modules that are there.

        Args:
            root: the project's.
            libraries: directories whose modules are not the project's, even if they lie below its root.
        """
        self.known: Set[str] = set(sys.modules)
        self._root, self._libraries = root, libraries

    def is_of_project(self, file: str) -> bool:
        """Whether a file is one that a patch could change."""
        return _is_below(file, self._root) and not any(_is_below(file, library) for library in self._libraries)


def imported(place: Place) -> List[List[str]]:
    """Name and file of each module that was imported since, and is not of the project, in order of import."""
    found = []
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        spec = getattr(module, "__spec__", None)
        if (
            name in place.known
            or name == "__main__"
            or not isinstance(file, str)
            or getattr(spec, "name", None) != name
        ):
            continue
        if os.path.isabs(file) and not place.is_of_project(file):
            found.append([name, file])
    return found


def monkey_patched() -> Optional[str]:
    """Who has replaced parts of the standard library, in a phrase. Such a program must be imported in its own order."""
    gevent, eventlet = sys.modules.get("gevent.monkey"), sys.modules.get("eventlet.patcher")
    if getattr(gevent, "saved", None):
        return "gevent has patched the standard library"
    if getattr(eventlet, "already_patched", None):
        return "eventlet has patched the standard library"
    return None


def load(names: Iterable[str], place: Place) -> Optional[str]:
    """Import by name; what cannot be imported by itself is left for the runs. Returns why forking is unsafe now."""
    descriptors = _descriptors()
    for name in names:
        try:
            importlib.import_module(name)
        except BaseException:  # noqa: S112 - the run that imports it in its own way shows what is wrong
            continue
        unsafe = _why_unsafe(descriptors)
        if unsafe is not None:
            return f"{name}: {unsafe}"
    gc.collect()
    gc.freeze()
    return monkey_patched() or _of_project(place) or _children()


def _why_unsafe(before: Dict[str, str]) -> Optional[str]:
    threads = len(os.listdir("/proc/self/task"))
    if threads > 1:
        return f"importing it starts {threads - 1} thread{'s' if threads > 2 else ''}"
    for name, reason in _HOSTILE.items():
        if name in sys.modules:
            return reason
    if _opened(before):
        gc.collect()  # a file that was only forgotten
    opened = _opened(before)
    return f"importing it opens {opened[0]}" if opened else None


def _opened(before: Dict[str, str]) -> List[str]:
    return [target for name, target in _descriptors().items() if before.get(name) != target]


def _descriptors() -> Dict[str, str]:
    """The open descriptors and what they lead to."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[name] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue  # the listing's own
    return found


def _of_project(place: Place) -> Optional[str]:
    for name, module in list(sys.modules.items()):
        if name not in place.known and place.is_of_project(str(getattr(module, "__file__", None) or "")):
            return f"a library imports {name} of the project"
    return None


def _children() -> Optional[str]:
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
        return "importing it starts a process" if file.read().strip() else None


def _is_below(file: str, root: str) -> bool:
    return file.startswith(root.rstrip("/") + "/")
