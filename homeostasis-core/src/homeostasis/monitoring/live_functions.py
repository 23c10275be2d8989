"""Finds the function objects of source files in this process, wherever the app keeps them."""

from __future__ import annotations

import functools
import gc
import os
import sys
from types import FunctionType, ModuleType
from typing import Any, Iterable, Iterator

LRU_CACHE = type(functools.lru_cache(maxsize=1)(len))


class Survey:
    """All live functions of some files, and all `lru_cache` wrappers of the process.

    `importing` holds those of the files whose text had begun to run as a module, and not ended, before functions were
    looked for: some may be missing.

    Functions are found through the garbage collector, so it does not matter whether a decorator, a route table, a
    closure or a class holds them. Objects that `gc.freeze` hid from it are found by following references.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        """Look at the whole process once.

        Args:
            paths: real paths of the files.
        """
        self.functions: dict[str, list[FunctionType]] = {path: [] for path in paths}
        self.importing = {path for path in self.functions if _is_importing(path)}
        self._caches: list[Any] = []
        self._real: dict[str, str] = {}
        self._endings = tuple(os.path.basename(path) for path in self.functions)
        seen: set[int] = set()
        objects = gc.get_objects()
        for found in [found for found in objects if _is_wanted(type(found))]:
            self._look_at(found, seen)
        if gc.get_freeze_count():
            self._follow([*objects, *sys.modules.values()], seen)

    def _follow(self, objects: list[Any], seen: set[int]) -> None:
        visited: set[int] = set()
        kept: list[Any] = []  # keeps what was visited alive, so that an id is not used twice
        while objects:
            new = [found for found in objects if id(found) not in visited]
            visited.update(map(id, new))
            kept.extend(new)
            for found in [found for found in new if _is_wanted(type(found))]:
                self._look_at(found, seen)
            objects = gc.get_referents(*new)

    def _look_at(self, found: Any, seen: set[int]) -> None:
        if isinstance(found, FunctionType):
            path = self._real_path(found.__code__.co_filename)
            if path is not None and id(found) not in seen:
                seen.add(id(found))
                self.functions[path].append(found)
        elif id(found) not in seen:
            seen.add(id(found))
            self._caches.append(found)

    def _real_path(self, filename: str) -> str | None:
        if not filename.endswith(self._endings):
            return None
        real = self._real.get(filename)
        if real is None:
            real = self._real[filename] = os.path.realpath(filename)
        return real if real in self.functions else None

    def clear_caches(self, functions: Iterable[FunctionType]) -> None:
        """Empty the `lru_cache` wrappers around some functions: they hold what the replaced code answered."""
        wanted = {id(function) for function in functions}
        for cache in self._caches:
            inner: Any = cache
            for _ in range(20):
                inner = vars(inner).get("__wrapped__")
                if type(inner) not in (FunctionType, LRU_CACHE):
                    break
                if id(inner) in wanted:
                    cache.cache_clear()
                    break


def _is_wanted(kind: type) -> bool:
    return kind is FunctionType or kind is LRU_CACHE  # compared by identity: a metaclass of the app may define equality


def namespaces_of(path: str) -> Iterator[dict[str, Any]]:
    """The namespaces of the modules that were, or are being, loaded from a file, given by its real path."""
    for module in list(sys.modules.values()):
        if isinstance(module, ModuleType):
            names = ModuleType.__getattribute__(module, "__dict__")  # not `vars`: a lazy module would load itself now
            file = names.get("__file__")
            same_name = isinstance(file, str) and os.path.basename(file) == os.path.basename(path)
            if same_name and os.path.realpath(str(file)) == path:
                yield names


def _is_importing(path: str) -> bool:
    specs = [names.get("__spec__") for names in namespaces_of(path)]
    return any(getattr(spec, "_initializing", False) is True for spec in specs)
