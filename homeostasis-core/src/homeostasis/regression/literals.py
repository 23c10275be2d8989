"""Python literals as a person would write them."""

from __future__ import annotations

import math
from typing import Any

WIDTH = 96
"""Characters of a line that a literal is kept within, where it can be."""


class NoLiteral(ValueError):
    """The value has no literal, such as NaN."""


def literal(value: Any, indentation: int = 0, used: int = 0) -> str:
    """The source text of a value of JSON's types, bytes, tuples and sets; it can be nothing but a literal.

    Args:
        value: what to write.
        indentation: spaces before the line on which it starts.
        used: characters of that line that are taken.

    Raises:
        NoLiteral: it holds something else.
    """
    short = _flat(value)
    if len(short) + indentation + used <= WIDTH or not isinstance(value, (dict, list)) or not value:
        return short
    inner = " " * (indentation + 4)
    if isinstance(value, dict):
        keys = [_flat(key) for key in value]
        items = [literal(item, indentation + 4, len(key) + 3) for key, item in zip(keys, value.values())]
        lines = [f"{inner}{key}: {item},\n" for key, item in zip(keys, items)]
        return "{\n" + "".join(lines) + " " * indentation + "}"
    return "[\n" + "".join(f"{inner}{literal(item, indentation + 4, 1)},\n" for item in value) + " " * indentation + "]"


def _flat(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        raise NoLiteral(repr(value))
    if value is None or type(value) in (bool, int, float, complex):
        return repr(value)
    if type(value) in (str, bytes):
        return _quoted(repr(value))
    if type(value) is dict:
        return "{" + ", ".join(f"{_flat(key)}: {_flat(item)}" for key, item in value.items()) + "}"
    if type(value) is list:
        return "[" + ", ".join(map(_flat, value)) + "]"
    if type(value) is tuple:
        return "(" + ", ".join(map(_flat, value)) + ("," if len(value) == 1 else "") + ")"
    if type(value) is set and value:
        return "{" + ", ".join(sorted(map(_flat, value))) + "}"
    raise NoLiteral(type(value).__name__)


def _quoted(text: str) -> str:
    """With double quotes, where that needs no further backslash."""
    prefix, body = ("b", text[2:-1]) if text.startswith("b") else ("", text[1:-1])
    return f'{prefix}"{body}"' if text[len(prefix)] == "'" and '"' not in body and "\\'" not in body else text
