"""Reads the attributes of an app's objects without running any of its code.

What an instance holds is read from its `__dict__` and its slots, through the descriptors that the interpreter made for
them. Properties, `__getattr__`, and whatever an object-relational mapper would load are never asked.
"""

from __future__ import annotations

import re
from types import BuiltinFunctionType, FunctionType, GetSetDescriptorType, MemberDescriptorType, MethodType, ModuleType
from typing import Any, Iterator, Sequence

from homeostasis.monitoring.classes import base_of, inherits, mro
from homeostasis.monitoring.redaction import Redactor
from homeostasis.monitoring.values import describe_value

MAX_ATTRIBUTES = 20
"""Attributes of one object that are kept, those of the failing expression first."""
MAX_STEPS = 3
"""Length of a chain such as `order.customer.name` that is followed."""
_CHAIN = re.compile(r"(?<![\w.])([^\W\d]\w*)((?:\s*\.\s*[^\W\d]\w*)*)")
_namespace = type.__dict__["__dict__"].__get__
_OPAQUE = (ModuleType, FunctionType, BuiltinFunctionType, MethodType)


def chains_in(expression: str) -> dict[str, list[tuple[str, ...]]]:
    """The names of an expression, each with the attributes that are taken of it: `a.b + a` gives `a: [(b,), ()]`."""
    found: dict[str, list[tuple[str, ...]]] = {}
    for match in _CHAIN.finditer(expression[:2000]):
        steps = tuple(step.strip() for step in match.group(2).split(".")[1:])
        found.setdefault(match.group(1), []).append(steps[:MAX_STEPS])
    return found


def describe_attributes(value: Any, redactor: Redactor, chains: Sequence[tuple[str, ...]]) -> dict[str, Any]:
    """The attributes that an object itself holds, as fields of `homeostasis.models.Value`.

    Args:
        value: any object, also a hostile one; built-in values, modules, functions and classes have none.
        redactor: decides what is a secret.
        chains: attributes that the failing expression takes of it; the objects on their way are described too.
    """
    cls = type(value)
    if value is None or base_of(cls) is not None or cls in _OPAQUE or inherits(cls, type):
        return {}
    held = dict(_held(value, cls))
    wanted = [chain[0] for chain in chains if chain and chain[0] in held]
    described: dict[str, Any] = {}
    for name in [*wanted, *held]:
        if name not in described and len(described) < MAX_ATTRIBUTES:
            described[name] = describe_value(held[name], redactor, name)
            further = [chain[1:] for chain in chains if chain[:1] == (name,)]
            if further and not described[name].get("redacted"):
                inner = describe_attributes(held[name], redactor, further)
                if inner:
                    described[name]["attributes"] = inner
    return described


def _held(value: Any, cls: type) -> Iterator[tuple[str, Any]]:
    descriptors = [(name, found) for base in mro(cls) for name, found in list(_namespace(base).items())]
    holder: Any = next((found for name, found in descriptors if name == "__dict__"), None)
    if type(holder) in (GetSetDescriptorType, MemberDescriptorType):  # anything else is the app's own
        names = holder.__get__(value)
        if type(names) is dict:
            for name, held in list(names.items()):
                if type(name) is str and not name.startswith("__"):
                    yield name, held
    for name, found in descriptors:
        if type(found) is MemberDescriptorType and type(name) is str and not name.startswith("__"):
            try:
                yield name, found.__get__(value)
            except AttributeError:
                continue  # a slot that was never filled
