"""Recursion without an end: attributes that read themselves, and walks over what leads back to its beginning."""

from __future__ import annotations

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.neutral import neutral
from homeostasis_rules_python.code.scope import parameters
from homeostasis_rules_python.code.tree import called_name, dotted_name
from homeostasis_rules_python.facts.base import Facts, extracts
from homeostasis_rules_python.facts.replacing import replacing


@extracts("RecursionError", rank=10)
def reads_itself(case: Case, site: Site) -> Facts | None:
    """`mistake` is `recursive-property`: `self.name` inside of the property `name`, where the class has `_name`."""
    function = site.function
    owner = site.tree.enclosing(function, cst.ClassDef) if function is not None else None
    if function is None or owner is None:
        return None
    name = function.name.value
    marks = [dotted_name(item.decorator) or "" for item in function.decorators]
    if not any(mark in ("property", f"{name}.setter") for mark in marks):
        return None
    assigned = {dotted_name(item.target) for item in site.tree.all(cst.AssignTarget, owner.body)}
    declared = {dotted_name(item) for item in site.tree.all(cst.Attribute, owner.body)}
    if not {f"self._{name}", f"_{name}"} & (assigned | declared):
        return None
    for node in site.tree.all(cst.Attribute, function.body):
        if dotted_name(node) == f"self.{name}":
            new = node.with_changes(attr=cst.Name(f"_{name}"))
            sentence = f"the property `{name}` of `{owner.name.value}` reads or sets itself instead of `_{name}`"
            return replacing(case, site, "recursive-property", node, new, sentence)
    return None


@extracts("RecursionError", rank=11)
def walks_in_circles(case: Case, site: Site) -> Facts | None:
    """`walk`: a function that calls itself for each item of its first parameter, and what stands for nothing found."""
    function = site.function
    if function is None or not isinstance(function.body, cst.IndentedBlock) or function.asynchronous is not None:
        return None
    given = parameters(function)
    first = 1 if given and given[0].name.value in ("self", "cls") else 0
    name = function.name.value
    calls = [call for call in site.tree.all(cst.Call, function.body) if called_name(call) == name]
    simple = len(given) == first + 1 and function.params.star_kwarg is None and not function.decorators
    if not simple or not calls or any(len(call.args) != 1 or call.args[0].keyword for call in calls):
        return None
    if not all(_item_of_loop(site, call, given[first].name.value) for call in calls):
        return None
    empty = _nothing(site, function, calls)
    names = {node.value for node in site.tree.all(cst.Name, function)}
    if empty is None or "seen" in names:
        return None
    facts = Facts.about(case, site, calls[0])
    facts.values.update(walk=name, item=given[first].name.value, nothing=empty, own=first)
    facts.sentence = f"`{name}` follows links that lead back to where it has been, without an end"
    return facts


def _item_of_loop(site: Site, call: cst.Call, parameter: str) -> bool:
    """Whether a call is made for what a loop over a part of the parameter gives."""
    over: cst.BaseExpression | None = None
    loop = site.tree.enclosing(call, (cst.For, cst.BaseSimpleComp))
    if isinstance(loop, cst.For):
        over = loop.iter
    elif isinstance(loop, cst.BaseSimpleComp):
        over = loop.for_in.iter
    reached = over is not None and any(node.value == parameter for node in site.tree.all(cst.Name, over))
    return reached and isinstance(call.args[0].value, (cst.Name, cst.Attribute, cst.Subscript))


def _nothing(site: Site, function: cst.FunctionDef, calls: list[cst.Call]) -> str | None:
    """What a visited item contributes: nothing, or the neutral element of the operation over the items."""
    returns = [item for item in site.tree.all(cst.Return, function.body) if item.value is not None]
    if any(True for _ in site.tree.all(cst.Yield, function.body)):
        return "" if not returns else None
    if not returns:
        return ""
    found = {neutral(site.tree, call).text for call in calls}
    only = found.pop() if len(found) == 1 else None
    return only if only in ("0", "[]", '""') else None
