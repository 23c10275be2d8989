"""What speaks for it that a lookup found nothing because the client asked for what is not there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator

import libcst as cst

from homeostasis_rules_python.code.callee import COMMON
from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.known import functions_named
from homeostasis_rules_python.code.leaving import leaves, left_if_none
from homeostasis_rules_python.code.origin import passed_argument
from homeostasis_rules_python.code.scope import binding
from homeostasis_rules_python.code.tree import Tree, argument, called_name, dotted_name, literal_of, subscript_key

_CONVERSIONS = frozenset(("int", "str", "UUID", "strip", "lstrip", "rstrip", "upper", "lower"))
_REFUSALS = ("HTTPException", "abort")


@dataclass(frozen=True)
class Told:
    """How another place of the app answers when the same lookup finds nothing."""

    status: int
    evidence: str


def told_elsewhere(case: Case, site: Site, lookup: cst.BaseExpression) -> Told | None:
    """The 4xx that another place answers when the same lookup finds nothing; None if there is no such place."""
    call = _sought(case, site, lookup)
    name = called_name(call) if call is not None else None
    # `get` and the like seek anything: that another place does it says nothing of this one.
    if name is None or name in COMMON:
        return None
    for tree in case.trees(name.encode("utf-8")):
        for test in tree.all(cst.If):
            subject = _tested(test.test)
            found = _call(tree, subject) if subject is not None else None
            if found is None or found is call or called_name(found) != name:
                continue
            status = next(_statuses(tree, test.body), None)
            if status is not None:
                place = f"{tree.path}:{tree.range(test).start.line}"
                return Told(status, f"{place} answers {status} when `{name}` finds nothing")
    return None


def _sought(case: Case, site: Site | None, node: cst.BaseExpression) -> cst.Call | None:
    """The call that gave a value, also through the arguments of callers."""
    while site is not None:
        call = _call(site.tree, node)
        if call is not None:
            return call
        function = site.tree.function(node)
        found = binding(site.tree, node.value, node) if isinstance(node, cst.Name) else None
        if found is None or function is None or not isinstance(found.node, cst.Param):
            return None
        site = case.caller(site) if function is site.function else None
        given = passed_argument(site, function, found.node) if site is not None else None
        if given is None:
            return None
        node = given
    return None


def _call(tree: Tree, node: cst.BaseExpression) -> cst.Call | None:
    """The call that gave a value, through one name and `await`."""
    if isinstance(node, cst.Name):
        found = binding(tree, node.value, node)
        node = found.value if found.kind == "assign" and found.value is not None else node
    if isinstance(node, cst.Await):
        node = node.expression
    return node if isinstance(node, cst.Call) else None


def _tested(test: cst.BaseExpression) -> cst.BaseExpression | None:
    """The value that `value is None` or `not value` asks about."""
    if isinstance(test, cst.UnaryOperation) and isinstance(test.operator, cst.Not):
        return test.expression
    if isinstance(test, cst.Comparison) and len(test.comparisons) == 1:
        target = test.comparisons[0]
        if isinstance(target.operator, cst.Is) and dotted_name(target.comparator) == "None":
            return test.left
    return None


def _statuses(tree: Tree, body: cst.BaseSuite) -> Iterator[int]:
    for call in tree.all(cst.Call, body):
        if called_name(call) in _REFUSALS:
            status = literal_of(argument(call, 0) or argument(call, 0, "status_code"))[1]
            if isinstance(status, int) and 400 <= status < 500:
                yield status


def key_is_unchanged(key: cst.BaseExpression) -> bool:
    """Whether a key is what the client sent and nothing computed from it: a name or field, perhaps converted."""
    while isinstance(key, cst.Call) and called_name(key) in _CONVERSIONS:
        if key.args:
            key = key.args[0].value
        elif isinstance(key.func, cst.Attribute):
            key = key.func.value
        else:
            return False
    return isinstance(key, (cst.Name, cst.Attribute, cst.Subscript)) or _reads_field(key)


def found_before(case: Case, site: Site, key: cst.BaseExpression, lookup: cst.BaseExpression) -> bool:
    """Whether the function has found something by the same key before: that more is missing is not the client's fault.

    It has if it would have left otherwise: by itself, or in the function of the app that seeks.
    """
    tree, function = site.tree, site.tree.function(lookup)
    if function is None or not isinstance(key, cst.Name):
        return False
    call = _call(tree, lookup)
    start = tree.range(call if call is not None else lookup).start.line
    for assign in tree.all(cst.Assign, function.body):
        target, value = assign.targets[0].target, _call(tree, assign.value)
        if value is None or not isinstance(target, cst.Name) or tree.range(assign).end.line >= start:
            continue
        name = called_name(value)
        if name in _CONVERSIONS or not any(dotted_name(arg.value) == key.value for arg in value.args):
            continue
        if left_if_none(tree, target, lookup):
            return True
        named = list(functions_named(case, name)) if name is not None else []
        if named and all(leaves_unfound(inner, each) for inner, each in named):
            return True
    return False


def leaves_unfound(tree: Tree, function: cst.FunctionDef) -> bool:
    """Whether a function raises or aborts under some condition, and returns a value otherwise."""
    refusing = any(_tested(test.test) is not None and leaves(tree, test.body) for test in tree.all(cst.If, function))
    returned = [item for item in tree.all(cst.Return, function.body) if tree.function(item) is function]
    return refusing and all(item.value is not None and dotted_name(item.value) != "None" for item in returned)


MAX_NAMES = 5
"""Names that are followed to what they were assigned."""
_NUMBERS = frozenset(("float", "Decimal"))
_FIRST = 1
"""What people call the first item, which Python counts from zero."""


def is_as_sent(site: Site, node: cst.BaseExpression) -> bool:
    """Whether nothing was computed of a number that the client sent, also not before it got its name."""
    for _name in range(MAX_NAMES):
        while isinstance(node, cst.Call) and called_name(node) in _NUMBERS and node.args:
            node = node.args[0].value
        if not isinstance(node, cst.Name):
            return key_is_unchanged(node)
        found = binding(site.tree, node.value, node)
        if found.kind == "augment":
            return False
        if found.kind != "assign" or found.value is None:
            return True
        node = found.value
    return False


def counted_from_one(index: cst.BaseExpression) -> cst.BaseExpression:
    """`number` of `number - 1`: what the client calls an item, if that is one more than its index; else the index."""
    less = isinstance(index, cst.BinaryOperation) and isinstance(index.operator, cst.Subtract)
    if isinstance(index, cst.BinaryOperation) and less and literal_of(index.right) == (True, _FIRST):
        return index.left
    return index


def _reads_field(node: cst.BaseExpression) -> bool:
    return isinstance(node, cst.Call) and called_name(node) == "get" and literal_of(argument(node, 0))[0]


def names_entities(site: Site, container: cst.BaseExpression) -> bool:
    """Whether a container holds things by key, and is no record: nothing in its file reads a fixed field of it."""
    name = dotted_name(container)
    if name is None:
        return False
    for node in site.tree.all(cst.Subscript):
        if dotted_name(node.value) == name and isinstance(literal_of(subscript_key(node))[1], str):
            return False
    return True
