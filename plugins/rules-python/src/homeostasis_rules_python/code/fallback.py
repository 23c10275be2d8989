"""What the code itself takes where there is no value, in the very expression that a value comes from."""

from __future__ import annotations

import libcst as cst

from homeostasis_rules_python.code.scope import binding, parameters
from homeostasis_rules_python.code.tree import Tree, argument, called_name, dotted_name, literal_of


def fallback(tree: Tree, node: cst.BaseExpression, function: cst.FunctionDef | None) -> str | None:
    """The default of `x.get(key, default)` or of `x or default`, or the function's own parameter `default`.

    A default of the environment is none: what was set there and is no number is a mistake of the person who set it.
    """
    if isinstance(node, cst.Name):
        found = binding(tree, node.value, node)
        node = found.value if found.kind == "assign" and found.value is not None else node
    given: cst.BaseExpression | None = None
    if isinstance(node, cst.BooleanOperation) and isinstance(node.operator, cst.Or):
        given, node = node.right, node.left
    environment = any(name.value in ("environ", "getenv") for name in tree.all(cst.Name, node))
    if isinstance(node, cst.Call) and called_name(node) in ("get", "getattr", "pop") and given is None:
        given = argument(node, 2 if called_name(node) == "getattr" else 1)
    own = {each.name.value for each in parameters(function)} if function is not None else set()
    if environment or (given is None and "default" not in own):
        return None
    if given is None:
        return "default"
    usable = literal_of(given)[0] and dotted_name(given) != "None"
    return tree.code(given) if usable or (isinstance(given, cst.Name) and given.value in own) else None
