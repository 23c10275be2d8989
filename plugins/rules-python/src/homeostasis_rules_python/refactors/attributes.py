"""Refactors for attributes that have another name now."""

from __future__ import annotations

from typing import Iterator, List

import libcst as cst

from homeostasis.models import Effect, Risk
from homeostasis_rules_python.code.edit import Edits
from homeostasis_rules_python.code.known import app_class
from homeostasis_rules_python.code.members import is_instance
from homeostasis_rules_python.code.modules import absolute, modules, package_at
from homeostasis_rules_python.code.tree import Tree, dotted_name
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.refactors.base import Change, register


@register
class RenameAttribute:
    """An attribute that is asked for under a name that its class or module does not have."""

    refactor_id = "rename-attribute"
    needs = ("owner", "attribute", "attribute_meant")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """The defined name, here and wherever the code says that the same class or module is asked."""
        old, new, owner = (facts.values[name] for name in ("attribute", "attribute_meant", "owner"))
        made: List[Edits] = []
        count = 0
        for tree in facts.case.trees(old.encode("utf-8")):
            edits, found = Edits(tree), _uses(facts, tree)
            for use in found:
                edits.replace(use.attr, cst.Name(new))
            count += len(found)
            made += [edits] if found else []
        if not made:
            return
        more = f" The same is asked in {count - 1} other place{'s' if count > 2 else ''}." if count > 1 else ""
        rationale = f"{facts.evidence[0][0].upper()}{facts.evidence[0][1:]}.{more}"
        yield Change(
            tuple(made), Effect.CORRECT, f"Read `{new}` instead of `{old}` of `{owner}`", rationale, 1.0, Risk.LOW
        )


@register
class RenameInitialised:
    """An attribute that `__init__` sets under a name that nothing reads."""

    refactor_id = "rename-initialised"
    needs = ("owner", "attribute", "assigned")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """The name that is read, wherever the class sets the other one."""
        old, new = facts.values["assigned"], facts.values["attribute"]
        found = app_class(facts.case, facts.values["owner"])
        if found is None:
            return
        tree, cls = found
        edits = Edits(tree)
        for use in tree.all(cst.Attribute, cls):
            if use.attr.value == old and dotted_name(use.value) == "self":
                edits.replace(use.attr, cst.Name(new))
        summary = f"Set `{new}`, which is read, instead of `{old}`"
        yield Change.because((edits,), Effect.CORRECT, summary, facts.evidence[0])


def _uses(facts: Facts, tree: Tree) -> List[cst.Attribute]:
    same = [use for use in tree.all(cst.Attribute) if use.attr.value == facts.values["attribute"]]
    if facts.values["owner_kind"] == "module":
        names = _names_of_module(facts, tree)
        return [use for use in same if use is facts.node or dotted_name(use.value) in names]
    found = app_class(facts.case, facts.values["owner"])
    return [use for use in same if use is facts.node or (found is not None and is_instance(tree, use.value, found[1]))]


def _names_of_module(facts: Facts, tree: Tree) -> List[str]:
    """Names under which a file has imported the module."""
    owner = facts.values["owner"]
    package = package_at(facts.case, tree)
    names = [
        alias.evaluated_alias or owner
        for plain in tree.all(cst.Import)
        for alias in plain.names
        if alias.evaluated_name == owner
    ]
    names += [
        alias.evaluated_alias or alias.evaluated_name
        for node in tree.all(cst.ImportFrom)
        for alias in (() if isinstance(node.names, cst.ImportStar) else node.names)
        if f"{absolute(node, package)}.{alias.evaluated_name}" == owner and owner in modules(facts.case)
    ]
    return names
