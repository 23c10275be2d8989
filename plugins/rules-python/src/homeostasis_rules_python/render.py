"""Rendering a template as a syntax tree: a parameter becomes a node of its declared type and nothing else."""

from __future__ import annotations

import keyword
import math
from typing import Any, Dict, List, Mapping, Union

import libcst as cst

from homeostasis.errors import RuleError
from homeostasis.rules import Template
from homeostasis.rules.template import PLACEHOLDER, Parameter
from homeostasis_rules_python.code.edit import Edits
from homeostasis_rules_python.code.tree import Tree

Rendered = Union[cst.BaseExpression, List[cst.BaseStatement]]
Node = Union[cst.BaseExpression, List[cst.BaseStatement]]
_PREFIX = "_homeostasis_placeholder_"
MAX_SOURCE = 50_000
"""Longest source text of a parameter, in characters."""


def render(template: Template, parameters: Mapping[str, Any]) -> Rendered:
    """The template with its parameters put in: an expression, or statements.

    Raises:
        RuleError: a parameter is missing, unknown or does not have its type; names the template and the parameter.
    """
    nodes = _nodes(template, parameters)
    tree = _parsed(template)
    edits = Edits(tree)
    check_template(template)
    for name_node in tree.all(cst.Name):
        name = name_node.value[len(_PREFIX) :] if name_node.value.startswith(_PREFIX) else None
        if name is None:
            continue
        _substitute(template, tree, edits, name_node, name, nodes[name])
    body: List[cst.BaseStatement] = list(edits.module().body)
    if len(body) == 1 and isinstance(body[0], cst.SimpleStatementLine) and len(body[0].body) == 1:
        only = body[0].body[0]
        if isinstance(only, cst.Expr) and not template.text.rstrip(" ").endswith("\n"):
            return only.value
    return body


def check_template(template: Template) -> None:
    """Check that the text of a template is Python and that each placeholder stands where a node can.

    Raises:
        RuleError: it does not.
    """
    tree = _parsed(template)
    seen = {node.value[len(_PREFIX) :] for node in tree.all(cst.Name) if node.value.startswith(_PREFIX)}
    unused = sorted(set(template.parameters) - seen)
    if unused:
        raise RuleError(f"template {template.template_id}: {{{{{unused[0]}}}}} stands inside a string or comment")


def _parsed(template: Template) -> Tree:
    text = PLACEHOLDER.sub(lambda match: _PREFIX + match.group(1), template.text)
    try:
        return Tree(template.template_id, cst.parse_module(text))
    except cst.ParserSyntaxError as error:
        raise RuleError(f"template {template.template_id} is not valid Python: {error.message}") from None


def _nodes(template: Template, given: Mapping[str, Any]) -> Dict[str, Node]:
    unknown = sorted(set(given) - set(template.parameters))
    if unknown:
        raise RuleError(f"template {template.template_id} has no parameter {unknown[0]!r}")
    nodes: Dict[str, Node] = {}
    for name, parameter in template.parameters.items():
        if name not in given and parameter.required:
            raise RuleError(f"template {template.template_id} needs the parameter {name!r}")
        try:
            nodes[name] = _node(parameter, given.get(name, parameter.default))
        except (TypeError, ValueError, cst.ParserSyntaxError) as error:
            reason = error.message if isinstance(error, cst.ParserSyntaxError) else str(error)
            raise RuleError(
                f"template {template.template_id}: the parameter {name!r} is no {parameter.type}: {reason}"
            ) from None
    return nodes


def _node(parameter: Parameter, value: Any) -> Node:
    if parameter.type == "literal":
        return literal(value)
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.80} is not text")
    if parameter.type == "string":
        return literal(value)
    if len(value) > MAX_SOURCE:
        raise ValueError(f"is longer than {MAX_SOURCE} characters")
    if parameter.type == "identifier":
        if not value.isidentifier() or keyword.iskeyword(value):
            raise ValueError(f"{value!r:.80} is not a name")
        return cst.Name(value)
    if parameter.type == "expression":
        return cst.parse_expression(value)
    statements: List[cst.BaseStatement] = list(cst.parse_module(value).body)
    if parameter.type == "statement" and len(statements) != 1:
        raise ValueError(f"there are {len(statements)} statements")
    if not statements:
        raise ValueError("there is no statement")
    return statements


def literal(value: Any) -> cst.BaseExpression:
    """A JSON value as a constant of the source.

    Raises:
        ValueError: it is none.
    """
    if not _is_json(value, 0):
        raise ValueError(f"{value!r:.80} is not a JSON value")
    if isinstance(value, str):
        return cst.SimpleString(ascii(value))
    return cst.parse_expression(ascii(value))


def _is_json(value: Any, depth: int) -> bool:
    if depth > 10:
        return False
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(item, depth + 1) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return all(_is_json(item, depth + 1) for item in value)
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, (str, int))


def _substitute(template: Template, tree: Tree, edits: Edits, place: cst.Name, name: str, node: Node) -> None:
    parent = tree.parent(place)
    if isinstance(node, list):
        line = tree.parent(parent) if parent is not None else None
        alone = isinstance(parent, cst.Expr) and isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1
        if not alone or line is None:
            raise RuleError(f"template {template.template_id}: {{{{{name}}}}} must stand on a line of its own")
        edits.replace(line, cst.FlattenSentinel(node))  # type: ignore[arg-type]
        return
    name_only = (
        (isinstance(parent, cst.Attribute) and parent.attr is place)
        or (isinstance(parent, cst.Arg) and parent.keyword is place)
        or isinstance(parent, (cst.Param, cst.FunctionDef, cst.ClassDef, cst.ImportAlias, cst.AsName))
    )
    if name_only and not isinstance(node, cst.Name):
        raise RuleError(f"template {template.template_id}: {{{{{name}}}}} stands where only a name can")
    edits.replace(place, node)
