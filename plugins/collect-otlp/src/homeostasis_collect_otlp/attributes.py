"""Attributes of OTLP, read as plain values: what is asked for, and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, AbstractSet, Dict, Iterable, List, Optional, Union

if TYPE_CHECKING:
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

MAX_ATTRIBUTES = 256
"""Attributes of one record that are looked at."""
MAX_ITEMS = 100
"""Items of a list that are kept."""
MAX_TEXT = 16_384
"""Characters of a text that are kept, unless it may be longer."""

Plain = Union[str, int, float, bool, List[str]]
Attributes = Dict[str, Plain]


def read(
    attributes: Iterable[KeyValue],
    wanted: AbstractSet[str],
    prefix: Optional[str] = None,
    longest: Optional[int] = MAX_TEXT,
) -> Attributes:
    """The attributes with one of the wanted names, or with a name that begins with the prefix.

    Maps, bytes and empty values are left out. Of a list the texts are kept, and of a text the first `longest`
    characters.
    """
    found: Attributes = {}
    for _, item in zip(range(MAX_ATTRIBUTES), attributes):
        key = item.key
        if key in wanted or (prefix is not None and key.startswith(prefix)):
            value = plain(item.value, longest)
            if value is not None:
                found[key] = value
    return found


def plain(value: AnyValue, longest: Optional[int] = MAX_TEXT) -> Optional[Plain]:
    """A value as Python has it; None for one that is nothing or a map."""
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return value.string_value[:longest]
    if kind == "int_value":
        return value.int_value
    if kind == "double_value":
        return value.double_value
    if kind == "bool_value":
        return value.bool_value
    if kind == "array_value":
        items = (item.string_value[:longest] for _, item in zip(range(MAX_ITEMS), value.array_value.values))
        return [item for item in items if item]
    return None


def text(attributes: Attributes, *names: str) -> Optional[str]:
    """The first of these attributes that is a text with something in it."""
    for name in names:
        value = attributes.get(name)
        if isinstance(value, str) and value:
            return value
    return None


def number(attributes: Attributes, *names: str) -> Optional[int]:
    """The first of these attributes that is a whole number, or the text of one."""
    for name in names:
        value = attributes.get(name)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
            return int(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return None
