"""What the objects of an app's class have, and which expressions are such objects."""

from __future__ import annotations

import difflib
from typing import Dict, Iterable, List, Set

import libcst as cst

from homeostasis_rules_python.code.case import Case
from homeostasis_rules_python.code.known import Class, app_class
from homeostasis_rules_python.code.scope import binding, parameters
from homeostasis_rules_python.code.tree import Tree, called_name, dotted_name

CLOSE = 0.75
"""Least similarity of two spellings, as `difflib` counts it, for one to be taken for the other."""
MAX_BASES = 10


def members(case: Case, found: Class) -> Set[str] | None:
    """Names that the class and its bases of the app define, methods and attributes; None if it answers to any name."""
    names: Set[str] = set()
    pending, seen = [found], 0
    while pending and seen < MAX_BASES:
        tree, cls = pending.pop()
        seen += 1
        names |= _own(tree, cls)
        for base in cls.bases:
            named = (dotted_name(base.value) or "").split(".")[-1]
            outer = app_class(case, named) if named else None
            if outer is not None:
                pending.append(outer)
    return None if names & {"__getattr__", "__getattribute__"} else names


def _own(tree: Tree, cls: cst.ClassDef) -> Set[str]:
    names: Set[str] = set()
    for statement in cls.body.body:
        if isinstance(statement, (cst.FunctionDef, cst.ClassDef)):
            names.add(statement.name.value)
        elif isinstance(statement, cst.SimpleStatementLine):
            for small in statement.body:
                for target in _targets(small):
                    if isinstance(target, cst.Name):
                        names.add(target.value)
    for kind in (cst.Assign, cst.AnnAssign, cst.AugAssign):
        for node in tree.all(kind, cls):
            for target in _targets(node):
                if isinstance(target, cst.Attribute) and dotted_name(target.value) == "self":
                    names.add(target.attr.value)
    return names


def _targets(node: cst.CSTNode) -> List[cst.BaseExpression]:
    if isinstance(node, cst.Assign):
        return [target.target for target in node.targets]
    return [node.target] if isinstance(node, (cst.AnnAssign, cst.AugAssign)) else []


def meant_by(name: str, known: Iterable[str]) -> str | None:
    """The one known name that another spelling means: the same but for case and underscores, else a close one."""
    candidates: Dict[str, str] = {each: each.replace("_", "").lower() for each in known if not each.startswith("__")}
    plain = name.replace("_", "").lower()
    same = [each for each, form in candidates.items() if form == plain]
    if same:
        return same[0] if len(same) == 1 else None
    close = difflib.get_close_matches(name, list(candidates), 2, CLOSE)
    return close[0] if len(close) == 1 else None


def is_instance(tree: Tree, node: cst.CSTNode, cls: cst.ClassDef) -> bool:
    """Whether the code says that an expression is an object of a class: `self`, an annotation, or a call of it."""
    name = cls.name.value
    if isinstance(node, cst.Call):
        return called_name(node) == name
    if not isinstance(node, cst.Name):
        return False
    if node.value == "self":
        return tree.enclosing(node, cst.ClassDef) is cls
    function = tree.function(node)
    for parameter in parameters(function) if function is not None else ():
        if parameter.name.value == node.value and parameter.annotation is not None:
            return (dotted_name(parameter.annotation.annotation) or "").split(".")[-1] == name
    found = binding(tree, node.value, node)
    return found.kind == "assign" and isinstance(found.value, cst.Call) and called_name(found.value) == name
