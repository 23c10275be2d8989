"""The refactor of a search for what cannot be hashed."""

from __future__ import annotations

from typing import Iterator, List

import libcst as cst

from homeostasis.models import Effect
from homeostasis_rules_python.code.edit import Edits
from homeostasis_rules_python.code.tree import Tree
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.facts.unhashable import HASHABLE, is_search
from homeostasis_rules_python.refactors.base import Change, register


@register
class OnlyIfHashable:
    """`x in members` for an `x` that no set or dict can hold."""

    refactor_id = "only-if-hashable"
    needs = ("sought",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`isinstance(x, Hashable) and x in members`, in all branches of an `if` that ask the same."""
        tree, sought = facts.site.tree, facts.values["sought"]
        edits = Edits(tree)
        for node in _searches(facts, tree, sought):
            absent = isinstance(node.comparisons[0].operator, cst.NotIn)
            test: cst.BaseExpression = cst.parse_expression(f"isinstance({sought}, Hashable)")
            if absent:
                test = cst.UnaryOperation(cst.Not(), test)
            operator = cst.Or() if absent else cst.And()
            edits.replace(node, cst.BooleanOperation(left=test, operator=operator, right=node))
        edits.add_imports([HASHABLE])
        evidence = f"`{sought}` cannot be hashed, and so it is no member of a set and no key of a dict"
        summary = f"Find `{sought}` in nothing when it cannot be hashed"
        yield Change.because((edits,), Effect.CORRECT, summary, evidence)


def _searches(facts: Facts, tree: Tree, sought: str) -> List[cst.Comparison]:
    """The failing search, and those of the same value in the tests of the `if` statement that it stands in."""
    node = facts.node
    chain = [around for around in tree.ancestors(node) if isinstance(around, cst.If)]
    tests = [chain[0].test] if chain and _in_test(tree, node, chain[0]) else []
    branch = chain[0].orelse if tests else None
    while isinstance(branch, cst.If):
        tests.append(branch.test)
        branch = branch.orelse
    found = [
        each
        for test in tests
        for each in tree.all(cst.Comparison, test)
        if is_search(each) and tree.code(each.left) == sought
    ]
    return found or ([node] if isinstance(node, cst.Comparison) else [])


def _in_test(tree: Tree, node: cst.CSTNode, statement: cst.If) -> bool:
    return node is statement.test or any(around is statement.test for around in tree.ancestors(node))
