"""Local variables that a report tells as text or JSON, described like those that the monitoring captured."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any, Dict, Mapping

from homeostasis.monitoring.redaction import REDACTED
from homeostasis.monitoring.values import describe_value
from homeostasis.monitoring.writing import MAX_REPR

if TYPE_CHECKING:
    from homeostasis.monitoring.redaction import Redactor

MAX_LOCALS = 100
"""Variables of one frame that are kept."""
_MAX_LITERAL = 4096
_MAX_NESTED, _MAX_SIGNS = 60, 60
"""Brackets within each other and signs in a row are bounded: Python's parser is recursive."""
_OBJECT = re.compile(r"<(?:(?P<module>[A-Za-z_][\w.]{0,200})\.)?(?P<type>[A-Za-z_]\w{0,100}) (?:object|instance)\b")
_CALL = re.compile(r"(?P<type>[A-Z]\w{0,100})\(")

Described = Dict[str, Any]
"""The fields of a `homeostasis.models.Value`."""


def from_repr(name: str, text: str, redactor: Redactor) -> Described:
    """A variable of which its `repr` is known.

    A complete literal is read back and described as what it is; of anything else the class is told, if the text has it.
    """
    try:
        return describe_value(_literal(text), redactor, name)
    except ValueError:
        pass
    if redactor.is_secret(name):
        return {"type": "object", "repr": REDACTED, "redacted": True}
    shown = redactor.text(text[:MAX_REPR])
    found = _OBJECT.match(text) or _CALL.match(text)
    described: Described = {
        "type": found["type"] if found else "object",
        "repr": shown,
        "redacted": shown != text[:MAX_REPR],
    }
    if found:
        described["module"] = found.groupdict().get("module") or "__main__"
    return described


def from_json(name: str, value: Any, redactor: Redactor) -> Described:
    """A variable that came as a JSON value: lists may have been tuples, and keys other things than strings."""
    described = describe_value(value, redactor, name)
    described["literal"] = False if isinstance(value, (list, dict)) else described.get("literal", False)
    return described


def locals_of(found: Mapping[str, Described]) -> Dict[str, Described]:
    """The first `MAX_LOCALS` variables whose names Python can have."""
    named = ((name, value) for name, value in found.items() if name.isidentifier() and len(name) <= 200)
    return {name: value for _, (name, value) in zip(range(MAX_LOCALS), named)}


def _literal(text: str) -> Any:
    """The value of a complete literal.

    Raises:
        ValueError: it is none, or one that is not worth the risk.
    """
    if len(text) > _MAX_LITERAL or _too_deep(text):
        raise ValueError("too long or too deep")
    try:
        return ast.literal_eval(text.strip())
    except (SyntaxError, RecursionError, MemoryError, TypeError) as error:
        raise ValueError("no literal") from error


def _too_deep(text: str) -> bool:
    depth = signs = 0
    for letter in text:
        depth += (letter in "([{") - (letter in ")]}")
        signs = signs + 1 if letter in "+-~" else signs if letter == " " else 0
        if depth > _MAX_NESTED or signs > _MAX_SIGNS:
            return True
    return False
