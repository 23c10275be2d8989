"""Attributes that a class does not let its objects have: set under another spelling than `__slots__` lists."""

from __future__ import annotations

import re
from typing import Set

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.known import app_class
from homeostasis_rules_python.code.members import meant_by
from homeostasis_rules_python.code.tree import Tree, dotted_name, literal_of
from homeostasis_rules_python.facts.base import Facts, extracts
from homeostasis_rules_python.facts.replacing import replacing

_REFUSED = re.compile(r"^'(?:\w{1,100}\.){0,20}(\w{1,100})' object has no attribute '(\w{1,100})'")


@extracts("AttributeError", rank=27)
def no_such_slot(case: Case, site: Site) -> Facts | None:
    """`mistake` is `slot`: what is set is in no slot, and one slot that nothing else sets is spelt nearly so."""
    found = _REFUSED.match(case.raised.message)
    owner = app_class(case, found.group(1)) if found is not None else None
    if found is None or owner is None:
        return None
    name = found.group(2)
    free = slots(owner[1]) - _set(*owner)
    meant = meant_by(name, free)
    for node in site.nodes(cst.Attribute) if meant is not None else ():
        set_here = isinstance(site.tree.parent(node), (cst.AssignTarget, cst.AnnAssign))
        if not isinstance(node, cst.Attribute) or node.attr.value != name or not set_here or meant is None:
            continue
        sentence = f"{{where}} sets `{name}`, and `__slots__` of `{found.group(1)}` lists `{meant}`"
        return replacing(case, site, "slot", node, node.with_changes(attr=cst.Name(meant)), sentence)
    return None


def slots(cls: cst.ClassDef) -> Set[str]:
    """The names that `__slots__` of a class lists."""
    for line in cls.body.body:
        for small in line.body if isinstance(line, cst.SimpleStatementLine) else ():
            if isinstance(small, cst.Assign) and dotted_name(small.targets[0].target) == "__slots__":
                listed = small.value
                if isinstance(listed, (cst.Tuple, cst.List)):
                    values = [literal_of(item.value)[1] for item in listed.elements]
                    return {value for value in values if isinstance(value, str)}
    return set()


def _set(tree: Tree, cls: cst.ClassDef) -> Set[str]:
    """Attributes of `self` that the class sets."""
    targets = [target.target for node in tree.all(cst.Assign, cls.body) for target in node.targets]
    targets += [node.target for node in tree.all(cst.AnnAssign, cls.body)]
    return {
        each.attr.value for each in targets if isinstance(each, cst.Attribute) and dotted_name(each.value) == "self"
    }
