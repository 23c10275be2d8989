"""Describes the values of local variables without running any code of the app.

Only what the interpreter itself implements is called; objects of other classes are described by their class alone.
"""

from __future__ import annotations

import sys
from itertools import islice
from typing import Any

from homeostasis.monitoring.classes import MAX_CLASSES, base_of, type_name
from homeostasis.monitoring.redaction import REDACTED, Redactor
from homeostasis.monitoring.tables import describe_table, kind_of, read
from homeostasis.monitoring.writing import MAX_KEY, MAX_KEYS, MAX_REPR, Writer, is_harmless, is_plain_atom, write_key


def encodable(text: str) -> str:
    """The text without lone surrogates, which no UTF-8 file and no JSON parser takes."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def describe_value(value: Any, redactor: Redactor, name: str | None = None) -> dict[str, Any]:
    """The fields of a `homeostasis.models.Value`.

    Args:
        value: any object, also a hostile one.
        redactor: decides what is a secret.
        name: the variable or key that holds it; a secret name hides everything but its class.
    """
    cls = type(value)
    if name is not None and redactor.is_secret(name) and not is_harmless(value):
        module, kind = type_name(cls)
        return {"type": kind, "module": module, "repr": REDACTED, "redacted": True}
    if cls is str and value in redactor.clean:  # it is short, too
        return {**_PLAIN, "type": "str", "repr": repr(value), "length": len(value)}
    if is_plain_atom(value, cls):
        return {**_PLAIN, "type": cls.__name__, "repr": repr(value)}
    return _described(value, cls, redactor)


_PLAIN = {"type": "", "module": "builtins", "repr": "", "literal": True, "redacted": False}


def _described(value: Any, cls: type, redactor: Redactor) -> dict[str, Any]:
    """Of a value that is not among the simplest."""
    bare = _bare.get(id(cls))
    if bare is not None:
        return bare[0].copy()
    module, kind = type_name(cls)
    described: dict[str, Any] = {"type": kind, "module": module}
    writer = Writer(redactor)
    text = writer.outermost(value, cls)
    if text is not None:
        if len(text) > MAX_REPR:
            text, writer.complete = text[:MAX_REPR] + "...", False
        described["repr"] = text
        described["literal"] = writer.complete
        described["redacted"] = writer.redacted
    base = base_of(cls)
    if base is None:
        described.update(_facts(value, cls, redactor))
        if text is None and not module.startswith(_TELLING) and len(_bare) < MAX_CLASSES:
            _bare[id(cls)] = described.copy(), cls
    elif base is dict:
        described["length"] = dict.__len__(value)
        described["keys"] = _keys(value, writer)
    elif base is not int and base is not float and base is not complex:
        described["length"] = base.__len__(value)  # type: ignore[attr-defined]
    return described


# By the id of a class: all that is told of its instances. An entry holds the class, so that its id stays its own.
_bare: dict[int, tuple[dict[str, Any], type]] = {}
_TELLING = ("builtins", "array", "numpy", "pandas", "datetime", "decimal", "uuid")
"""Modules of classes that tell more of some of their instances than of others."""


def _facts(value: Any, cls: type, redactor: Redactor) -> dict[str, Any]:
    """Of an array, or a table."""
    module, kind = type_name(cls)
    if (module, kind) in _ARRAYS:
        return _array(value, module, kind)
    table = kind_of(cls)
    return {} if table is None else describe_table(value, table, redactor)


def _keys(value: dict[Any, Any], writer: Writer) -> list[str]:
    """The keys as short texts: those that the writer has written, and those that it had no room for."""
    done = writer.keys
    if len(done) < min(dict.__len__(value), MAX_KEYS):
        rest = list(islice(dict.keys(value), len(done), MAX_KEYS))
        done += [write_key(key, writer.redactor) for key in rest]
    return [text if len(text) <= MAX_KEY else f"{text[:MAX_KEY]}..." for text in done]


_ARRAYS = {
    ("builtins", "memoryview"): ("shape", "format"),
    ("array", "array"): (None, "typecode"),
    ("numpy", "ndarray"): ("shape", "dtype"),
}
"""By class: where the lengths of its dimensions are, and where the type code of its items is."""


def _array(value: Any, module: str, name: str) -> dict[str, Any]:
    """Shape and type code of an array, if it is exactly of a class that is known to run nothing when it is asked."""
    cls = type(value)
    if getattr(sys.modules.get(module), name, None) is not cls:
        return {}
    shape, dtype = _ARRAYS[module, name]
    try:
        lengths = read(value, shape) if shape else (value.__len__(),)
        code = read(value, dtype)
        code = code if type(code) is str else read(code, "str")
        return {"shape": list(lengths), "dtype": code}
    except Exception:
        return {}  # a memoryview that was released, or a type of items without a code
