"""Remembers which exception objects were captured, so that one is not captured again on its way through the app.

Exceptions of classes that allow it are held by weak references, invisibly. Built-in exceptions allow none, and holding
them strongly would keep the locals of their frames alive: those carry a mark.
"""

from __future__ import annotations

import weakref
from typing import Any

_MARK = "__homeostasis__"
_references: dict[int, Any] = {}
_weak_offset = type.__dict__["__weakrefoffset__"].__get__
_instance = BaseException.__dict__["__dict__"].__get__


def knows(error: BaseException) -> bool:
    """Whether the exception was seen before."""
    return id(error) in _references or _MARK in _instance(error)


def remember(error: BaseException) -> bool:
    """Whether the exception is seen for the first time; from now on it is not."""
    key = id(error)
    if _weak_offset(type(error)):
        if key in _references:
            return False
        _references[key] = weakref.ref(error, lambda _reference: _references.pop(key, None))
        return True
    names = _instance(error)
    if _MARK in names:
        return False
    names[_MARK] = True
    return True
