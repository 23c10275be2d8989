"""What is known about containers, from captured values or from the source; classes and functions by their names."""

from __future__ import annotations

import ast
import builtins
from typing import Iterator, Tuple

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.scope import binding
from homeostasis_rules_python.code.tree import Tree, dotted_name, literal_of

_ENUMS = frozenset(("Enum", "IntEnum", "StrEnum", "Flag", "IntFlag", "TextChoices", "IntegerChoices", "Choices"))
_BUILTIN = frozenset(
    ("NoneType", *(name for name, value in vars(builtins).items() if isinstance(value, type) and name.islower()))
)
Class = Tuple[Tree, cst.ClassDef]
Function = Tuple[Tree, cst.FunctionDef]


def known_keys(site: Site, container: cst.BaseExpression) -> Tuple[object, ...]:
    """Keys that a dict is known to have, text and numbers only; empty if nothing is known."""
    if isinstance(container, cst.Name) and container.value in site.locals:
        return tuple(_read(site.locals[container.value].keys or ()))
    known, value = site.value(container)
    if known and isinstance(value, dict):
        return tuple(value)
    if isinstance(container, cst.Name):
        found = binding(site.tree, container.value, container)
        if found.kind in ("assign", "module") and isinstance(found.value, cst.Dict):
            keys = [item.key for item in found.value.elements if isinstance(item, cst.DictElement)]
            return tuple(literal_of(key)[1] for key in keys if literal_of(key)[0])
    return ()


def _read(reprs: Tuple[str, ...]) -> Iterator[object]:
    for text in reprs:
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        if isinstance(value, (str, int)):
            yield value


def app_class(case: Case, name: str) -> Class | None:
    """The one class of that name in the app, with its tree; None if there is none or several."""
    if not name.isidentifier() or name in _BUILTIN:
        return None
    found = [
        (tree, definition)
        for tree in case.trees(b"class " + name.encode())
        for definition in tree.all(cst.ClassDef)
        if definition.name.value == name
    ]
    return found[0] if len(found) == 1 else None


def functions_named(case: Case, name: str) -> Iterator[Function]:
    """The functions and methods of that name in the app, with their trees."""
    for tree in case.trees(b"def " + name.encode("utf-8")):
        for function in tree.all(cst.FunctionDef):
            if function.name.value == name:
                yield tree, function


def base_names(definition: cst.ClassDef) -> Tuple[str, ...]:
    """Last parts of the names of a class's bases."""
    return tuple((dotted_name(base.value) or "").split(".")[-1] for base in definition.bases)


def is_enum(case: Case, node: cst.CSTNode) -> bool:
    """Whether an expression names an enumeration of the app."""
    name = (dotted_name(node) or "").split(".")[-1]
    found = app_class(case, name) if name[:1].isupper() else None
    return found is not None and bool(_ENUMS & set(base_names(found[1])))
