"""Values that have no order among themselves, and are sorted."""

from __future__ import annotations

import re

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.tree import Tree, called_name, dotted_name
from homeostasis_rules_python.facts.base import Facts, extracts

_UNORDERED = re.compile(r"^'[<>]' not supported between instances of '([\w.]{1,80})' and '([\w.]{1,80})'")
_SORTERS = ("sorted", "sort", "min", "max", "nsmallest", "nlargest")
_PLAIN = frozenset(("str", "int", "float", "bool", "bytes", "NoneType"))


@extracts("TypeError", rank=34)
def unsorted(case: Case, site: Site) -> Facts | None:
    """Facts about a sort of values of different types: `order` is `text` or `none-last`, `shown` if it is for people.

    `sort_key` is the function that the sort has already.
    """
    found = _UNORDERED.match(case.raised.message)
    if found is None or found.group(1) == found.group(2) or not set(found.groups()) <= _PLAIN:
        return None
    for node in site.nodes(cst.Call):
        if not isinstance(node, cst.Call) or called_name(node) not in _SORTERS or _is_comparison(site):
            continue
        key = next((arg.value for arg in node.args if arg.keyword is not None and arg.keyword.value == "key"), None)
        if key is not None and not _is_simple(key):
            return None
        facts = Facts.about(case, site, node)
        facts.values["order"] = "none-last" if "NoneType" in found.groups() else "text"
        facts.values["shown"] = is_shown(site.tree, node)
        if key is not None:
            facts.say("sort_key", key)
        kinds = " and ".join(sorted({kind.replace("NoneType", "None") for kind in found.groups()}))
        facts.sentence = f"{facts.where} sorts {kinds}, which have no order"
        return facts
    return None


def _is_comparison(site: Site) -> bool:
    """Whether the frame's expression is a comparison of its own, in or around the call."""
    nearest = site.nodes(cst.Comparison, cst.Call)[:1]
    return site.span.column is not None and bool(nearest) and isinstance(nearest[0], cst.Comparison)


def _is_simple(key: cst.BaseExpression) -> bool:
    return isinstance(key, cst.Lambda) and len(key.params.params) == 1


def is_shown(tree: Tree, node: cst.CSTNode) -> bool:
    """Whether a value is made into text where it stands, and used for nothing else."""
    parent = tree.parent(node)
    if isinstance(parent, cst.FormattedStringExpression):
        return True
    if isinstance(parent, cst.BinaryOperation) and isinstance(parent.operator, cst.Modulo):
        return isinstance(parent.left, cst.SimpleString)
    call = tree.parent(parent) if isinstance(parent, cst.Arg) else None
    if not isinstance(call, cst.Call):
        return False
    formats = isinstance(call.func, cst.Attribute) and call.func.attr.value == "format"
    return formats or dotted_name(call.func) in ("str", "repr", "print")
