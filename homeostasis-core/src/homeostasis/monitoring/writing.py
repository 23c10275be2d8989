"""Writes a value as bounded text without secrets, running no code of the app.

Built-in containers are read through the methods of their built-in class, whatever a subclass overrides.
"""

from __future__ import annotations

import sys
from itertools import islice
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

from homeostasis.monitoring.classes import base_of, inherits, type_name
from homeostasis.monitoring.redaction import REDACTED, Redactor

MAX_TEXT = 1024
"""Characters of a string that are kept."""
MAX_REPR = 4096
"""Characters of a whole value that are kept."""
MAX_ITEMS = 40
"""Items of a container that are kept."""
MAX_KEYS = 40
"""Keys of a dict, or columns of a table, that are kept by themselves."""
MAX_KEY = 120
"""Characters of a key."""
MAX_DEPTH = 5
MAX_BITS = 2048
"""Longer integers are not written out: it takes quadratic time and newer interpreters refuse."""
_OTHER_SCALARS = {id(cls): cls for cls in (complex, range, type(...))}
_CUT: dict[type, str] = {dict: "{...}", tuple: "(...)", set: "{...}"}
_PLAIN = frozenset(
    (
        ("datetime", "date"),
        ("datetime", "time"),
        ("datetime", "datetime"),
        ("datetime", "timedelta"),
        ("decimal", "Decimal"),
        ("uuid", "UUID"),
    )
)


_LARGE = 1 << MAX_BITS


def is_plain_atom(value: Any, cls: type) -> bool:
    """Whether `repr` writes it in short, and `ast.literal_eval` reads it back: a number, a boolean, None."""
    if cls is int:
        return bool(-_LARGE < value < _LARGE)
    return value is None or cls is bool or (cls is float and bool(value - value == 0))  # nan and inf are names


def is_harmless(value: Any) -> bool:
    """None and booleans are no secrets, whatever holds them, and a cause hides in them often."""
    return value is None or value is True or value is False


class Writer:
    """Writes one value; afterwards `complete` says whether `ast.literal_eval` reads the text back."""

    __slots__ = ("complete", "keys", "left", "redacted", "redactor")

    def __init__(self, redactor: Redactor) -> None:
        self.redactor = redactor
        self.complete = True
        self.redacted = False
        self.left = MAX_REPR
        self.keys: list[str] = []
        """Of a dict that is the value itself: its keys as they were written."""

    def write(self, value: Any, depth: int) -> str | None:
        """The text, or None if it cannot be had without running code of the app."""
        cls = type(value)
        if cls is str:
            return self._string(value)
        if is_plain_atom(value, cls):
            return repr(value)
        if cls is dict and depth < MAX_DEPTH and self.left > 0:
            return self._dict(value, depth)
        if cls is float:
            self.complete = False
            return repr(value)
        if id(cls) in _OTHER_SCALARS:
            text = repr(value)
            self.complete = self.complete and cls is complex and "n" not in text
            return text
        base = base_of(cls)
        if base is None:
            self.complete = False
            return _from_standard_library(value, cls)
        text = self._base(value, base, depth)
        if base is not cls:
            self.complete = False
            return f"{type_name(cls)[1]}({text})"
        return text

    def outermost(self, value: Any, cls: type) -> str | None:
        """As `write`, of the value itself: most are of the classes that it would come to last."""
        if cls is dict:
            return self._dict(value, 0)
        if cls is list or cls is tuple:
            return self._sequence(value, cls, 0)
        return self.write(value, 0)

    def item(self, value: Any, depth: int) -> str:
        """An item of a container: as `write`, with the class for what cannot be written."""
        text = self.write(value, depth)
        return _class_of(value) if text is None else text

    def _base(self, value: Any, base: type, depth: int) -> str:
        if base is dict or base in (list, tuple):
            pass
        elif base is str:
            return self._string(value)
        elif base in (bytes, bytearray):
            return self._bytes(value, base)
        elif base is int:
            return self._int(value)
        elif base in (float, complex):
            return str(base.__repr__(value))
        if depth >= MAX_DEPTH or self.left <= 0:
            self.complete = False
            return _CUT.get(base, "[...]")
        return self._dict(value, depth) if base is dict else self._sequence(value, base, depth)

    def _int(self, value: int) -> str:
        bits = int.bit_length(value)
        if bits > MAX_BITS:
            self.complete = False
            return f"<int of {bits} bits>"
        return int.__repr__(value)

    def _string(self, value: str) -> str:
        length = str.__len__(value)
        head = value if type(value) is str and length <= MAX_TEXT else str.__getitem__(value, slice(0, MAX_TEXT * 2))
        clean = head if head in self.redactor.clean else self.redactor.text(head)
        if clean is not head and clean != head:
            self.complete, self.redacted = False, True
        text = repr(clean[:MAX_TEXT])
        self.left -= len(text)
        if length > MAX_TEXT:
            self.complete = False
            return text + "..."
        return text

    def _bytes(self, value: Any, base: type) -> str:
        head = _part_of(base, value)
        plain = head.decode("latin-1")
        clean = self.redactor.text(plain)
        if clean != plain:
            self.complete, self.redacted = False, True
            head = clean.encode("latin-1")
        text = repr(head[:MAX_TEXT])
        self.left -= len(text)
        if base.__len__(value) > MAX_TEXT:  # type: ignore[attr-defined]
            self.complete = False
            text += "..."
        if base is bytearray:
            self.complete = False
            return f"bytearray({text})"
        return text

    def _dict(self, value: dict[Any, Any], depth: int) -> str:
        parts = []
        keys = [] if depth else self.keys
        is_secret, clean = self.redactor.is_secret, self.redactor.clean
        within = depth + 1
        for key, item in list(islice(dict.items(value), MAX_ITEMS)):
            named = type(key) is str
            written = repr(key) if named and key in clean else self.item(key, within)
            keys.append(written)
            cls = type(item)
            if named and is_secret(key) and not is_harmless(item) and not _is_session(key, item):
                self.complete, self.redacted = False, True
                part = f"{written}: '{REDACTED}'"
            elif item in clean if cls is str else is_plain_atom(item, cls):  # the most frequent, without two calls
                part = f"{written}: {item!r}"
            else:
                part = f"{written}: {self.item(item, within)}"
            parts.append(part)
            self.left -= len(part)
            if self.left <= 0:
                break
        length = dict.__len__(value)
        return "{" + ", ".join(self._cut(parts, length) if len(parts) < length else parts) + "}"

    def _sequence(self, value: Any, base: type, depth: int) -> str:
        parts: list[str] = []
        items = list(islice(base.__iter__(value), MAX_ITEMS))  # type: ignore[attr-defined]
        if base is tuple and self._is_secret_pair(items):
            items[1] = REDACTED
            self.complete, self.redacted = False, True
        clean = self.redactor.clean
        for item in items:
            cls = type(item)
            plain = item in clean if cls is str else is_plain_atom(item, cls)
            part = repr(item) if plain else self.item(item, depth + 1)
            parts.append(part)
            self.left -= len(part)
            if self.left <= 0:
                break
        length: int = base.__len__(value)  # type: ignore[attr-defined]
        inside = ", ".join(self._cut(parts, length) if len(parts) < length else parts)
        if base is tuple:
            return f"({inside},)" if length == 1 else f"({inside})"
        if base is list:
            return f"[{inside}]"
        if base is set and length:
            return "{" + inside + "}"
        self.complete = False
        return f"{base.__name__}({inside and f'[{inside}]'})"

    def _is_secret_pair(self, items: list[Any]) -> bool:
        """Whether the items are a name and its value, as `dict.items()` yields them."""
        if len(items) != 2 or type(items[0]) is not str or type(items[1]) not in (str, bytes):
            return False
        return self.redactor.is_secret(items[0])

    def _cut(self, parts: list[str], length: int) -> list[str]:
        """The parts, and how many are missing."""
        self.complete = False
        return [*parts, f"... {length - len(parts)} more"]


def write_key(key: Any, redactor: Redactor) -> str:
    """A key of a dict as a short text."""
    text = repr(key) if type(key) is str and key in redactor.clean else Writer(redactor).item(key, MAX_DEPTH - 1)
    return text if len(text) <= MAX_KEY else text[:MAX_KEY] + "..."


def _class_of(value: Any) -> str:
    """What stands for a value that cannot be written."""
    return f"<{'.'.join(type_name(type(value)))}>"


def _is_session(key: str, item: Any) -> bool:
    """Whether it is what a session holds, and not the id of one."""
    return type(item) in (dict, list) and key.lower() == "session"


def _part_of(base: type, value: Any) -> bytes:
    """The beginning of bytes or of a bytearray."""
    part = slice(0, MAX_TEXT * 2)
    return bytes.__getitem__(value, part) if base is bytes else bytes(bytearray.__getitem__(value, part))


def _from_standard_library(value: Any, cls: type) -> str | None:
    """Text of classes, functions and plain values of the standard library, whose reprs call nothing of the app."""
    if inherits(cls, type):
        return f"<class {'.'.join(type_name(value))}>"
    if cls is FunctionType or cls is BuiltinFunctionType:
        name = value.__qualname__
        return f"<function {name}>" if type(name) is str else None
    if cls is MethodType and type(value.__func__) is FunctionType:
        return f"<method {value.__func__.__qualname__}>"
    if cls is ModuleType:
        name = ModuleType.__getattribute__(value, "__dict__").get("__name__")
        return f"<module {name}>" if type(name) is str else None
    module, name = type_name(cls)
    if (module, name) in _PLAIN and getattr(sys.modules.get(module), name, None) is cls:
        if name in ("datetime", "time") and value.tzinfo is not None and type(value.tzinfo).__module__ != "datetime":
            return None
        try:
            return repr(value)
        except AttributeError:
            return None  # half-made: the crash happened in its constructor, as of `UUID("x")`
    return None
