"""Values that may be None where they are not this time."""

from __future__ import annotations

import libcst as cst

from homeostasis_rules_python.code.case import Site
from homeostasis_rules_python.code.scope import binding
from homeostasis_rules_python.code.tree import called_name, literal_of


def may_be_none(site: Site, node: cst.BaseExpression) -> bool:
    """Whether the code provides for None: by a default, an annotation, or a `get` without a default."""
    if not isinstance(node, cst.Name):
        return _got(node)
    found = binding(site.tree, node.value, node)
    if isinstance(found.node, cst.Param):
        annotation = found.node.annotation
        text = site.tree.code(annotation.annotation) if annotation is not None else ""
        return literal_of(found.node.default) == (True, None) or "Optional" in text or "None" in text
    if found.kind == "element" and isinstance(found.node, cst.Assign):
        return _got(_unpacked(found.node, node.value))
    return found.kind == "assign" and _got(found.value)


def _unpacked(assignment: cst.Assign, name: str) -> cst.BaseExpression | None:
    """`y` for `b` of `a, b = x, y`."""
    target, value = assignment.targets[0].target, assignment.value
    if not isinstance(target, cst.Tuple) or not isinstance(value, cst.Tuple):
        return None
    pairs = zip(target.elements, value.elements) if len(target.elements) == len(value.elements) else ()
    return next((v.value for t, v in pairs if isinstance(t.value, cst.Name) and t.value.value == name), None)


def _got(node: cst.BaseExpression | None) -> bool:
    """Whether an expression is `container.get(key)`, which says nothing of what is there instead."""
    if not isinstance(node, cst.Call) or called_name(node) != "get":
        return False
    plain = [arg for arg in node.args if arg.keyword is None or arg.keyword.value == "default"]
    return len(plain) == 1 or literal_of(plain[-1].value) == (True, None)
