"""What the client sent, and what it calls it: the names of fields, and whether a value is the whole body."""

from __future__ import annotations

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.origin import passed_argument, request_place
from homeostasis_rules_python.code.recorded import read_field
from homeostasis_rules_python.code.scope import binding
from homeostasis_rules_python.code.tree import called_name
from homeostasis_rules_python.code.web import returns_answers

MAX_STEPS = 10
_READING = frozenset(("decode", "loads", "strip", "int", "float", "str"))


def field_name(case: Case, site: Site, node: cst.CSTNode | None) -> str | None:
    """The field of the request that a variable was filled from, followed through assignments and callers."""
    item = False
    for _step in range(MAX_STEPS):
        field = read_field(node)
        if field is not None:
            # An item of a list has the list's name only in a query or form.
            return field if not item or (isinstance(node, cst.Call) and called_name(node) != "get") else None
        if isinstance(node, cst.Call) and called_name(node) in _READING and node.args:
            node = node.args[0].value
            continue
        if isinstance(node, cst.BooleanOperation):
            node = node.left
            continue
        if not isinstance(node, cst.Name):
            return None
        found, function = binding(site.tree, node.value, node), site.tree.function(node)
        if found.kind in ("assign", "element"):
            item = item or found.kind == "element"
            node = found.value
        elif found.kind == "parameter" and function is not None and isinstance(found.node, cst.Param):
            if returns_answers(case, site.tree, function):
                return None if item else node.value
            caller = case.caller(site) if function is site.function else None
            if caller is None:
                return None
            site, node = caller, passed_argument(caller, function, found.node)
        else:
            return None
    return None


def is_whole_body(site: Site, node: cst.CSTNode | None) -> bool:
    """Whether a value is all of the request's body, as bytes, text or JSON."""
    for _step in range(MAX_STEPS):
        if node is None or request_place(node) == "body":
            return node is not None
        if isinstance(node, cst.Name):
            found = binding(site.tree, node.value, node)
            node = found.value if found.kind == "assign" else None
        elif isinstance(node, cst.Await):
            node = node.expression
        elif isinstance(node, cst.Call) and called_name(node) == "loads" and node.args:
            node = node.args[0].value
        elif isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) and called_name(node) == "decode":
            node = node.func.value
        else:
            return False
    return False
