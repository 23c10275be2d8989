"""Classes as the interpreter knows them: nothing of an app's metaclass or property is asked."""

from __future__ import annotations

from collections import deque
from typing import Any

_qualname = type.__dict__["__qualname__"].__get__
_module = type.__dict__["__module__"].__get__
_mro = type.__dict__["__mro__"].__get__
BASES: tuple[type, ...] = (str, dict, list, tuple, bytes, set, frozenset, int, float, bytearray, complex, deque)
"""Built-in classes whose methods read their instances, and those of their subclasses."""
MAX_CLASSES = 1024
"""Classes that are remembered."""

# By identity: a metaclass of the app may define how its classes compare and hash. An entry holds the class, so that its
# id stays its own.
_known: dict[int, tuple[type | None, type]] = {id(base): (base, base) for base in BASES}
_known[id(bool)] = (None, bool)  # written by its name, not as a number


_names: dict[int, tuple[tuple[str, str], type]] = {}  # as `_known`


def type_name(cls: type) -> tuple[str, str]:
    """Module and qualified name of a class, however it or its metaclass is written."""
    found = _names.get(id(cls))
    if found is None:
        module: Any = _module(cls)
        name: Any = _qualname(cls)
        found = ((module if type(module) is str else "builtins"), (name if type(name) is str else "?")), cls
        if len(_names) < MAX_CLASSES:
            _names[id(cls)] = found
    return found[0]


def mro(cls: type) -> tuple[type, ...]:
    """The method resolution order of a class, read past its metaclass."""
    order: tuple[type, ...] = _mro(cls)
    return order


def inherits(cls: type, base: type) -> bool:
    """`issubclass`, past all metaclasses."""
    return type.__subclasscheck__(base, cls)


def base_of(cls: type) -> type | None:
    """The built-in class whose methods can read an instance of `cls`, or None."""
    known = _known.get(id(cls))
    if known is None:
        found = next((base for candidate in _mro(cls) for base in BASES if candidate is base), None)
        known = found, cls
        if len(_known) < MAX_CLASSES:
            _known[id(cls)] = known
    return known[0]
