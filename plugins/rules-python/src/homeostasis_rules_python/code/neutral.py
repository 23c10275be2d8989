"""The neutral element of the operation in which a value is used, and values that a function itself declares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import libcst as cst

from homeostasis_rules_python.code.tree import Tree, called_name, literal_of

Use = Literal["sum", "product", "text", "iteration", "mapping", "condition", "unknown"]
_NEUTRAL = {"sum": "0", "product": "1", "text": '""', "iteration": "[]", "mapping": "{}", "condition": "False"}
TEXT_METHODS = frozenset(
    ("upper", "lower", "strip", "lstrip", "rstrip", "title", "capitalize", "casefold", "replace", "format", "join")
)
_ITERATING = frozenset(("len", "list", "tuple", "set", "sorted", "enumerate", "extend", "any", "all", "map", "join"))


@dataclass(frozen=True)
class Neutral:
    """What leaves the result of an operation as it is."""

    use: Use
    text: str | None
    """Source of the neutral element; None if the use has none."""


def neutral(tree: Tree, node: cst.CSTNode) -> Neutral:
    """How the value of an expression is used where it stands."""
    use = _use(tree, node)
    return Neutral(use, _NEUTRAL.get(use))


def _use(tree: Tree, node: cst.CSTNode) -> Use:
    parent = tree.parent(node)
    if isinstance(parent, cst.BinaryOperation):
        return _operand_use(node, parent)
    if isinstance(parent, cst.AugAssign):
        return "sum" if isinstance(parent.operator, (cst.AddAssign, cst.SubtractAssign)) else "unknown"
    if isinstance(parent, (cst.For, cst.CompFor)) and parent.iter is node:
        return "iteration"
    if isinstance(parent, cst.ComparisonTarget) and isinstance(parent.operator, (cst.In, cst.NotIn)):
        return "iteration"
    if isinstance(parent, cst.FormattedStringExpression):
        return "text"
    if isinstance(parent, (cst.If, cst.While, cst.IfExp, cst.BooleanOperation)):
        return (
            "condition"
            if getattr(parent, "test", None) is node or isinstance(parent, cst.BooleanOperation)
            else "unknown"
        )
    if isinstance(parent, cst.UnaryOperation) and isinstance(parent.operator, cst.Not):
        return "condition"
    if isinstance(parent, (cst.GeneratorExp, cst.ListComp, cst.SetComp)) and parent.elt is node:
        return _element_use(tree, parent)
    if isinstance(parent, cst.Arg):
        return _argument_use(tree, parent)
    if isinstance(parent, cst.Attribute) and parent.value is node:
        return _method_use(tree, parent)
    return "unknown"


def _operand_use(node: cst.CSTNode, operation: cst.BinaryOperation) -> Use:
    other = operation.right if operation.left is node else operation.left
    if isinstance(operation.operator, cst.Subtract) and operation.left is node:
        return "unknown"
    if isinstance(operation.operator, (cst.Add, cst.Subtract)):
        if isinstance(other, (cst.FormattedString, cst.SimpleString, cst.ConcatenatedString)):
            return "text"
        return "iteration" if isinstance(other, cst.List) else "sum"
    if isinstance(operation.operator, cst.Multiply):
        return "product"
    if isinstance(operation.operator, cst.Modulo) and isinstance(operation.left, cst.SimpleString):
        return "text"
    return "unknown"


def _element_use(tree: Tree, comprehension: cst.CSTNode) -> Use:
    arg = tree.parent(comprehension)
    call = tree.parent(arg) if arg is not None else None
    if isinstance(call, cst.Call):
        if called_name(call) == "sum":
            return "sum"
        if called_name(call) == "join":
            return "text"
        if called_name(call) in ("any", "all"):
            return "condition"
    return "unknown"


def _argument_use(tree: Tree, arg: cst.Arg) -> Use:
    call = tree.parent(arg)
    name = called_name(call) if isinstance(call, cst.Call) else None
    if name == "sum":
        return "iteration"
    if name in ("int", "float", "round", "abs"):
        return "sum"
    return "iteration" if name in _ITERATING else "unknown"


def _method_use(tree: Tree, attribute: cst.Attribute) -> Use:
    name = attribute.attr.value
    call = tree.parent(attribute)
    if not (isinstance(call, cst.Call) and call.func is attribute):
        return "unknown"
    if name in TEXT_METHODS:
        return "text"
    if name in ("append", "extend", "insert"):
        return "iteration"
    if name in ("get", "items", "keys", "values", "update", "setdefault"):
        return "mapping"
    return "unknown"


def declared_return(tree: Tree, function: cst.FunctionDef | None) -> str | None:
    """A constant that the function itself returns elsewhere, or that its annotation stands for; None if neither."""
    if function is None:
        return None
    for statement in tree.all(cst.Return, function.body):
        if tree.function(statement) is function and literal_of(statement.value)[0]:
            return tree.code(statement.value) if statement.value is not None else None
    return None
