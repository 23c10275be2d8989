"""What a function takes a variable for, by what it does with it: a list, a dict, a set, a text or a whole number."""

from __future__ import annotations

from typing import Dict, FrozenSet

import libcst as cst

from homeostasis_rules_python.code.tree import Tree, literal_of

_METHODS: Dict[str, FrozenSet[str]] = {
    "[]": frozenset(("append", "extend", "insert", "sort", "reverse")),
    "{}": frozenset(("get", "items", "keys", "values", "setdefault", "popitem")),
    "set()": frozenset(("add", "discard", "union", "difference", "intersection", "issubset")),
    '""': frozenset(("upper", "lower", "strip", "split", "startswith", "endswith", "join", "splitlines", "encode")),
}


def used_as(tree: Tree, body: cst.CSTNode, name: str) -> str | None:
    """Source of the empty value that a name stands for, if all its uses that tell anything agree; None if not."""
    found = {_use(tree, use) for use in tree.all(cst.Name, body) if use.value == name} - {None}
    # What is filled by position is a list as well as a dict; what else is done with it tells which.
    found = found - {"[]?"} if len(found) > 1 else found
    return next(iter(found)) if len(found) == 1 and "[]?" not in found else None


def _use(tree: Tree, use: cst.Name) -> str | None:
    parent = tree.parent(use)
    if isinstance(parent, cst.Attribute) and parent.value is use:
        call = tree.parent(parent)
        called = isinstance(call, cst.Call) and call.func is parent
        return next((empty for empty, names in _METHODS.items() if called and parent.attr.value in names), None)
    if isinstance(parent, cst.Subscript) and parent.value is use:
        written = isinstance(tree.parent(parent), (cst.AssignTarget, cst.Del))
        key = parent.slice[0].slice
        by_text = isinstance(key, cst.Index) and isinstance(literal_of(key.value)[1], str)
        return "{}" if by_text else "[]?" if written else None
    if isinstance(parent, cst.AugAssign) and parent.target is use and isinstance(parent.operator, cst.AddAssign):
        return _added(parent.value)
    return "0" if isinstance(parent, cst.Slice) else None


def _added(value: cst.BaseExpression) -> str | None:
    if isinstance(value, (cst.SimpleString, cst.FormattedString)):
        return '""'
    if isinstance(value, (cst.List, cst.ListComp)):
        return "[]"
    return "0" if isinstance(value, cst.Integer) else None
