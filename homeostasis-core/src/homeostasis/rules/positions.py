"""Where each value of a JSON text stands, so that a mistake can be named by line and column."""

from __future__ import annotations

import json
import re
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any, Dict, Tuple

Path = Tuple[Any, ...]
_SPACE = re.compile(r"[ \t\n\r]*")
_SCALAR = re.compile(r"[^\s,\]}]+")


class JSONPositions:
    """Offsets of the keys and items of a JSON text that is known to be valid."""

    def __init__(self, text: str) -> None:
        """Walk the text once."""
        self._text = text
        self._offsets: Dict[Path, int] = {}
        self.duplicate: Path | None = None
        self._value(self._skip(0), ())

    def line_column(self, path: Path) -> tuple[int, int]:
        """Line and column, counted from 1, of the key or item; of the nearest one around it if it does not exist."""
        while path and path not in self._offsets:
            path = path[:-1]
        return line_column(self._text, self._offsets.get(path, 0))

    def _skip(self, at: int) -> int:
        match = _SPACE.match(self._text, at)
        return match.end() if match else at

    def _value(self, at: int, path: Path) -> int:
        self._offsets.setdefault(path, at)
        first = self._text[at]
        if first == "{":
            return self._object(at, path)
        if first == "[":
            return self._array(at, path)
        if first == '"':
            end: int = scanstring(self._text, at + 1, False)[1]
            return end
        match = _SCALAR.match(self._text, at)
        return match.end() if match else at + 1

    def _object(self, at: int, path: Path) -> int:
        at = self._skip(at + 1)
        while self._text[at] != "}":
            key, end = scanstring(self._text, at + 1, False)
            if (*path, key) in self._offsets and self.duplicate is None:
                self.duplicate = (*path, key)
            self._offsets[(*path, key)] = at
            at = self._value(self._skip(self._skip(end) + 1), (*path, key))
            at = self._skip(at)
            at = self._skip(at + 1) if self._text[at] == "," else at
        return at + 1

    def _array(self, at: int, path: Path) -> int:
        at = self._skip(at + 1)
        index = 0
        while self._text[at] != "]":
            at = self._skip(self._value(at, (*path, index)))
            at = self._skip(at + 1) if self._text[at] == "," else at
            index += 1
        return at + 1


def line_column(text: str, offset: int) -> tuple[int, int]:
    """Line and column of an offset, both counted from 1."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def loads(text: str) -> Any:
    """`json.loads`, which refuses `NaN` and infinities.

    Raises:
        json.JSONDecodeError: the text is not JSON.
    """

    def refuse(name: str) -> Any:
        raise json.JSONDecodeError(f"{name} is not JSON", text, text.find(name))

    return json.loads(text, parse_constant=refuse)
