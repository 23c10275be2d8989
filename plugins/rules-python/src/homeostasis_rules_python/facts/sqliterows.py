"""Rows of sqlite3 that are used as if they were dicts: asked by `get`, changed, or written as JSON."""

from __future__ import annotations

import re
from typing import Iterator, Tuple

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.known import functions_named
from homeostasis_rules_python.code.leaving import left_if_none
from homeostasis_rules_python.code.scope import Binding, binding
from homeostasis_rules_python.code.tree import Tree, called_name
from homeostasis_rules_python.facts.base import Facts, extracts
from homeostasis_rules_python.facts.replacing import call_of, replacing

_READ = re.compile(r"^'sqlite3\.Row' object has no attribute '(get|items|values|copy)'")
_CHANGED = re.compile(r"^'sqlite3\.Row' object (?:does not support item assignment|doesn't support item deletion)")
_WRITTEN = "Object of type Row is not JSON serializable"
_WRITERS = frozenset(("jsonify", "dumps", "dump", "JSONResponse"))
_DISPLAYS = (cst.List, cst.Tuple)
_FETCHES_ALL = frozenset(("fetchall", "fetchmany"))
_MAX_CALLS = 4
"""Functions of the app that are followed to where a row is fetched."""


@extracts("AttributeError", rank=20)
def row_read_as_dict(case: Case, site: Site) -> Facts | None:
    """`mistake` is `row-read`: a method of dicts is asked for of a row."""
    found = _READ.match(case.raised.message)
    for node in site.nodes(cst.Attribute) if found is not None else ():
        if isinstance(node, cst.Attribute) and found is not None and node.attr.value == found.group(1):
            sentence = f"{{where}} calls `{found.group(1)}`, which dicts have, but not the rows of sqlite3"
            return replacing(case, site, "row-read", node.value, call_of("dict", node.value), sentence)
    return None


@extracts("TypeError", rank=20)
def row_changed(case: Case, site: Site) -> Facts | None:
    """Facts about `row[key] = value`: `row`, and `rows` if the row is one of a list that the function keeps."""
    if not _CHANGED.match(case.raised.message):
        return None
    for node in site.nodes(cst.Subscript):
        if not isinstance(node, cst.Subscript) or not isinstance(node.value, cst.Name):
            continue
        found = binding(site.tree, node.value.value, node)
        facts = Facts.about(case, site, node)
        facts.say("row", node.value)
        if found.kind == "element" and isinstance(found.node, cst.For) and isinstance(found.value, cst.Name):
            facts.say("rows", found.value)
        facts.values.update(mistake="row-changed", kept_elsewhere=_kept_elsewhere(site, found, node.value.value))
        facts.sentence = f"{facts.where} changes a row of sqlite3, which can only be read"
        return facts
    return None


def _kept_elsewhere(site: Site, found: Binding, name: str) -> bool:
    """Whether somebody else holds the row, who does not see what is changed in a copy."""
    if found.kind == "parameter" and site.function is not None:
        returned = [item.value for item in site.tree.all(cst.Return, site.function.body) if item.value is not None]
        return not returned or any(not isinstance(item, cst.Name) or item.value != name for item in returned)
    if found.kind == "element":
        return not isinstance(found.value, (cst.Call, cst.Name))
    return found.kind != "assign" or not isinstance(found.value, (cst.Call, cst.Await))


@extracts("TypeError", rank=20)
def row_as_json(case: Case, site: Site) -> Facts | None:
    """`mistake` is `row-as-json`: the one row, or list of rows, in what is written as JSON."""
    if not case.raised.message.startswith(_WRITTEN) or not any(True for _tree in case.trees(b"sqlite3.Row")):
        return None
    for node in site.nodes(cst.Call):
        if not isinstance(node, cst.Call) or called_name(node) not in _WRITERS or not node.args:
            continue
        if any(arg.keyword is not None and arg.keyword.value in ("default", "cls") for arg in node.args):
            return None
        fitting = list(_rows(case, site, node.args[0].value))
        if len(fitting) != 1:
            return None
        value, shape, sure = fitting[0]
        one, many = call_of("dict", value), cst.parse_expression("[dict(row) for row in rows]")
        sentence = "{where} writes a row of sqlite3 as JSON, which knows dicts only"
        new: cst.BaseExpression = one if shape == "row" else many.with_deep_changes(_iterable(many), iter=value)
        facts = replacing(case, site, "row-as-json", value, new, sentence)
        if facts is not None:
            facts.values["doubtful"] = not sure
        return facts
    return None


def _iterable(comprehension: cst.BaseExpression) -> cst.CompFor:
    return cst.ensure_type(comprehension, cst.ListComp).for_in


def _rows(case: Case, site: Site, value: cst.BaseExpression) -> Iterator[Tuple[cst.BaseExpression, str, bool]]:
    """Parts of a value that are rows or lists of rows, with which of both, and whether they are so each time."""
    if isinstance(value, cst.Dict):
        for item in value.elements:
            yield from _rows(case, site, item.value)
    elif isinstance(value, _DISPLAYS):
        for element in value.elements:
            yield from _rows(case, site, element.value)
    elif isinstance(value, cst.ListComp):
        yield from _rows(case, site, value.elt)
    else:
        known = site.locals[value.value].type if isinstance(value, cst.Name) and value.value in site.locals else None
        if known is not None and known.split(".")[-1] == "Row":
            yield value, "row", left_if_none(site.tree, value) or not _may_be_none(site.tree, value)
            return
        shape = _fetched(case, site.tree, value, _MAX_CALLS)
        if shape is not None and known in (None, "list"):
            yield value, *shape


def _fetched(case: Case, tree: Tree, value: cst.BaseExpression, calls: int) -> Tuple[str, bool] | None:
    """Whether the code fetches `row` or `rows` as a value, and whether it is never None."""
    if isinstance(value, cst.Name):
        found = binding(tree, value.value, value)
        if found.kind == "element" and found.value is not None:
            rows = _fetched(case, tree, found.value, calls)
            return ("row", True) if rows is not None and rows[0] == "rows" else None
        inner = _fetched(case, tree, found.value, calls) if found.kind == "assign" and found.value is not None else None
        return None if inner is None else (inner[0], inner[1] or left_if_none(tree, value))
    if not isinstance(value, cst.Call):
        return None
    name = called_name(value)
    if name == "list" and len(value.args) == 1:
        return _fetched(case, tree, value.args[0].value, calls)
    if name == "fetchone":
        return "row", False
    if name in _FETCHES_ALL:
        return "rows", True
    named = list(functions_named(case, name)) if name is not None and calls else []
    own = [each for each in named if each[0] is tree]
    named = own if own and isinstance(value.func, cst.Name) else named
    if len(named) != 1:
        return None
    inner_tree, function = named[0]
    returned = [item.value for item in inner_tree.all(cst.Return, function.body) if item.value is not None]
    return _fetched(case, inner_tree, returned[0], calls - 1) if len(returned) == 1 else None


def _may_be_none(tree: Tree, name: cst.BaseExpression) -> bool:
    """Whether a row is what `fetchone` or another call gave, not one of the rows of a loop."""
    return not isinstance(name, cst.Name) or binding(tree, name.value, name).kind != "element"
