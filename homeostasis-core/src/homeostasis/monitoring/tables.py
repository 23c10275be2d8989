"""Facts of the tables of pandas: rows, columns and type codes, read past all of their Python code.

What is read is what their C code holds: the blocks and axes of a manager, the buffer of an array. The names of these
parts are those of pandas 2 and 3; where one is missing, or is implemented in Python, less is told.
"""

from __future__ import annotations

import sys
from types import GetSetDescriptorType, MemberDescriptorType
from typing import Any, Iterator

from homeostasis.monitoring.classes import mro, type_name
from homeostasis.monitoring.redaction import Redactor
from homeostasis.monitoring.writing import MAX_KEYS, write_key

KINDS = ("DataFrame", "Series", "Index", "RangeIndex")


def kind_of(cls: type) -> str | None:
    """Which of the `KINDS` a class is: exactly that of pandas, not a subclass of the app."""
    if not type_name(cls)[0].startswith("pandas"):
        return None
    return next((kind for kind in KINDS if _exported("pandas", kind) is cls), None)


def describe_table(value: Any, kind: str, redactor: Redactor) -> dict[str, Any]:
    """Fields of a `homeostasis.models.Value`: `shape`, `dtype` and, of a DataFrame, its columns as `keys`."""
    try:
        if kind == "DataFrame":
            return _frame(_parts(value)["_mgr"], redactor)
        if kind == "Series":
            (block,) = _parts(_parts(value)["_mgr"])["blocks"]
            return _of_array(read(block, "values"))
        return _of_index(value)
    except Exception:
        return {}  # half-made, or of a version with other parts


def _frame(manager: Any, redactor: Redactor) -> dict[str, Any]:
    columns, rows = read(manager, "axes")
    width = _length(columns)
    codes = dict.fromkeys(range(min(width, MAX_KEYS)), "?")
    for block in read(manager, "blocks"):
        code = _code(read(block, "values"))
        for position in _items(read(read(block, "_mgr_locs"), "as_array")):
            if position in codes:
                codes[position] = code
    names = [write_key(name, redactor) for name in _names(columns)]
    return {"shape": [_length(rows), width], "dtype": ", ".join(codes.values()), "keys": names}


def _of_array(values: Any) -> dict[str, Any]:
    return {"shape": [_shape(values)[-1]], "dtype": _code(values)}


def _of_index(index: Any) -> dict[str, Any]:
    parts = _parts(index)
    if type(parts.get("_range")) is range:
        return {"shape": [len(parts["_range"])], "dtype": "<i8"}
    return _of_array(parts["_data"])


def _length(index: Any) -> int:
    parts = _parts(index)
    if type(parts.get("_range")) is range:
        return len(parts["_range"])
    if "_data" in parts:
        return _shape(parts["_data"])[-1]
    return _shape(next(iter(parts["_codes"])))[-1]  # of several levels


def _names(index: Any) -> list[Any]:
    parts = _parts(index)
    if type(parts.get("_range")) is range:
        return list(parts["_range"][:MAX_KEYS])
    return list(_items(_buffer(parts["_data"]))) if "_data" in parts else []


def _items(array: Any) -> Iterator[Any]:
    """The first items of an array of numpy, as Python's own objects where it has them."""
    cls = _exported("numpy", "ndarray")
    if type(array) is not cls:
        raise TypeError(type(array))
    yield from cls.tolist(cls.__getitem__(array, slice(0, MAX_KEYS)))


def _shape(values: Any) -> tuple[int, ...]:
    shape: tuple[int, ...] = read(_buffer(values), "shape")
    return shape


def _buffer(values: Any) -> Any:
    """The array of numpy that an array of pandas is made of."""
    return values if type(values) is _exported("numpy", "ndarray") else read(values, "_ndarray")


def _code(values: Any) -> str:
    """Numpy's type code, or the class of an array of pandas."""
    if type(values) is not _exported("numpy", "ndarray"):
        return type_name(type(values))[1]
    code = read(read(values, "dtype"), "str")
    return code if type(code) is str else "?"


def _parts(value: Any) -> dict[str, Any]:
    parts = read(value, "__dict__")
    return parts if type(parts) is dict else {}


def _exported(module: str, name: str) -> Any:
    return getattr(sys.modules.get(module), "__dict__", {}).get(name)


def read(value: Any, name: str) -> Any:
    """An attribute that is implemented by the interpreter or an extension, not in Python.

    Raises:
        TypeError: it is implemented in another way, or missing.
    """
    found: Any = next((base.__dict__[name] for base in mro(type(value)) if name in base.__dict__), None)
    if type(found) not in (GetSetDescriptorType, MemberDescriptorType):
        raise TypeError(name)
    return found.__get__(value)
