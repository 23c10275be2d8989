"""Values that cannot be hashed and are looked for among values that can."""

from __future__ import annotations

import re
from typing import List

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.express import is_repeatable
from homeostasis_rules_python.code.imports import NewImport, conflicts
from homeostasis_rules_python.code.tree import Tree, called_name
from homeostasis_rules_python.facts.base import Facts, extracts
from homeostasis_rules_python.facts.replacing import replacing

_UNHASHABLE = re.compile(r"unhashable type: '(list|set|dict|bytearray)'")
HASHABLE = NewImport("collections.abc", "Hashable")
_BINDS = "item"


@extracts("TypeError", rank=33)
def sought_unhashable(case: Case, site: Site) -> Facts | None:
    """`sought` is what is looked for in a set or dict with `in`, and cannot be a member of one."""
    if not _UNHASHABLE.search(case.raised.message):
        return None
    for node in site.nodes(cst.Comparison):
        if not isinstance(node, cst.Comparison) or not is_search(node) or not is_repeatable(node.left):
            continue
        if site.type_of(node.left) not in ("list", "set", "dict", "bytearray", None) or conflicts(site.tree, HASHABLE):
            return None
        facts = Facts.about(case, site, node)
        facts.say("sought", node.left)
        facts.values["mistake"] = "sought-unhashable"
        facts.sentence = f"{facts.where} looks for `{facts.values['sought']}`, which nothing that is hashed can equal"
        return facts
    return None


def is_search(node: cst.Comparison) -> bool:
    """Whether it is `x in y` or `x not in y`."""
    return len(node.comparisons) == 1 and isinstance(node.comparisons[0].operator, (cst.In, cst.NotIn))


@extracts("TypeError", rank=33)
def difference_of_unhashable(case: Case, site: Site) -> Facts | None:
    """`mistake` is `unhashable-difference`: `set(a) - set(b)` of items that need not be hashable."""
    if not _UNHASHABLE.search(case.raised.message):
        return None
    for node in site.nodes(cst.Call):
        whole = site.tree.parent(node)
        if not isinstance(whole, cst.BinaryOperation) or not isinstance(whole.operator, cst.Subtract):
            continue
        left, right = _made_of(whole.left), _made_of(whole.right)
        if left is None or right is None or not is_repeatable(right) or not _is_walked(site.tree, whole):
            continue
        if any(name.value == _BINDS for part in (left, right) for name in site.tree.all(cst.Name, part)):
            continue
        test = cst.Comparison(cst.Name(_BINDS), [cst.ComparisonTarget(cst.NotIn(), right)])
        new = cst.ListComp(
            cst.Name(_BINDS), cst.CompFor(target=cst.Name(_BINDS), iter=left, ifs=[cst.CompIf(test=test)])
        )
        sentence = f"{{where}} makes a set of `{site.tree.code(left)}`, which has items that cannot be hashed"
        facts = replacing(case, site, "unhashable-difference", whole, new, sentence)
        if facts is not None:
            facts.values["doubtful"] = True  # a set holds each item once
        return facts
    return None


def _made_of(node: cst.BaseExpression) -> cst.BaseExpression | None:
    """`x` of `set(x)`."""
    if isinstance(node, cst.Call) and called_name(node) in ("set", "frozenset") and len(node.args) == 1:
        return node.args[0].value if not node.args[0].star else None
    return None


def _is_walked(tree: Tree, node: cst.BinaryOperation) -> bool:
    """Whether the result is only asked whether it is empty, or walked through: a list serves as well as a set."""
    parent = tree.parent(node)
    if _serves(tree, node):
        return True
    target = parent.targets[0].target if isinstance(parent, cst.Assign) and len(parent.targets) == 1 else None
    function = tree.function(node)
    if not isinstance(target, cst.Name) or function is None:
        return False
    uses: List[cst.Name] = [
        use for use in tree.all(cst.Name, function.body) if use.value == target.value and use is not target
    ]
    return bool(uses) and all(_serves(tree, use) for use in uses)


_WALKERS = frozenset(("tuple", "list", "sorted", "len", "bool", "any", "all", "set", "str", "map", "join", "enumerate"))


def _serves(tree: Tree, node: cst.CSTNode) -> bool:
    parent = tree.parent(node)
    if isinstance(parent, (cst.If, cst.While)) or (
        isinstance(parent, cst.UnaryOperation) and isinstance(parent.operator, cst.Not)
    ):
        return True
    if isinstance(parent, (cst.For, cst.CompFor)):
        return parent.iter is node
    call = tree.parent(parent) if isinstance(parent, cst.Arg) else None
    return isinstance(call, cst.Call) and called_name(call) in _WALKERS
