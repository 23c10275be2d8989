"""Local variables as Sentry's SDK writes them: containers as JSON, everything in them as its `repr`.

Keys of dicts have become strings, tuples lists; of a container and of a frame ten entries are kept, without a word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Iterator, Optional

from homeostasis.collecting.values import from_repr, locals_of
from homeostasis.monitoring.redaction import REDACTED

if TYPE_CHECKING:
    from homeostasis.collecting.values import Described
    from homeostasis.monitoring.redaction import Redactor

FILTERED = "[Filtered]"
KEPT = 10
"""Entries of a container and of a frame that the SDK keeps."""
_MAX_VARIABLES = 100
_MAX_DEPTH = 8
_MAX_WRITTEN = 4096


def variables(found: Dict[str, Any], redactor: Redactor) -> Dict[str, Described]:
    """The fields of a `homeostasis.models.Value` for each variable."""
    first = list(found.items())[:_MAX_VARIABLES]
    return locals_of({name: _variable(name, value, redactor) for name, value in first})


def _variable(name: str, value: Any, redactor: Redactor) -> Described:
    if value == FILTERED:
        return {"type": "object", "repr": REDACTED, "redacted": True}
    described = from_repr(name, _written(value), redactor)
    if not isinstance(value, (list, dict)):
        return described
    described.update(type="list" if isinstance(value, list) else "dict", module="builtins", literal=False)
    described["length"] = len(value) if len(value) != KEPT else None
    if isinstance(value, dict) and described.get("keys") is None and not described.get("redacted"):
        described["keys"] = [redactor.text(repr(key[:100])) for key in list(value)[:KEPT]]
    return described


def _written(value: Any) -> str:
    """The value as Python would write it, or the beginning of that."""
    parts, size = [], 0
    for part in _parts(value, 0):
        parts.append(part)
        size += len(part)
        if size > _MAX_WRITTEN:
            break
    return "".join(parts)


def _parts(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield repr(REDACTED) if value == FILTERED else value
    elif depth > _MAX_DEPTH:
        yield "..."
    elif isinstance(value, list):
        yield "["
        for place, each in enumerate(value):
            yield from _parts(each, depth + 1) if place == 0 else _after_comma(None, each, depth)
        yield "]"
    elif isinstance(value, dict):
        yield "{"
        for place, (key, each) in enumerate(value.items()):
            yield from _after_comma(key, each, depth, comma=place > 0)
        yield "}"
    else:
        yield repr(value)


def _after_comma(key: Optional[str], value: Any, depth: int, *, comma: bool = True) -> Iterator[str]:
    if comma:
        yield ", "
    if key is not None:
        yield f"{key[:_MAX_WRITTEN]!r}: "
    yield from _parts(value, depth + 1)
