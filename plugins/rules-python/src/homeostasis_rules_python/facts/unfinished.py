"""None that a function asks for and then does nothing about: `if rows is None: pass`."""

from __future__ import annotations

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.scope import parameters
from homeostasis_rules_python.code.tree import Tree, dotted_name
from homeostasis_rules_python.code.usedas import used_as
from homeostasis_rules_python.facts.base import Facts, extracts

MAX_NODES = 5
"""Expressions of the failing line that are looked through."""


@extracts("AttributeError", "TypeError", rank=25)
def unfinished_guard(case: Case, site: Site) -> Facts | None:
    """`unfinished` is the parameter that is asked for None in vain, `start` the empty value that it is used as."""
    function = site.function
    if function is None or "NoneType" not in case.raised.message:
        return None
    names = {each.name.value for each in parameters(function)}
    failing = site.nodes(cst.Attribute, cst.Subscript, cst.For, cst.CompFor, cst.Comparison, cst.Call)[:MAX_NODES]
    for use in (use for node in failing for use in site.tree.all(cst.Name, node)):
        guard = empty_guard(site.tree, function, use.value) if use.value in names else None
        start = used_as(site.tree, function.body, use.value) if guard is not None else None
        if guard is None or start is None or site.type_of(use) not in (None, "NoneType"):
            continue
        facts = Facts.about(case, site, guard)
        facts.values.update(unfinished=use.value, start=start)
        line = site.tree.range(guard).start.line
        facts.evidence.append(f"{site.path}:{line} asks whether `{use.value}` is None and does nothing about it")
        facts.sentence = f"{facts.where} uses `{use.value}`, which is None"
        return facts
    return None


def empty_guard(tree: Tree, function: cst.FunctionDef, name: str) -> cst.If | None:
    """`if name is None:` with nothing under it."""
    for conditional in tree.all(cst.If, function.body):
        test = conditional.test
        if not isinstance(test, cst.Comparison) or len(test.comparisons) != 1 or dotted_name(test.left) != name:
            continue
        target = test.comparisons[0]
        asks = isinstance(target.operator, cst.Is) and dotted_name(target.comparator) == "None"
        lines = [small for line in conditional.body.body for small in getattr(line, "body", ())]
        if asks and conditional.orelse is None and all(isinstance(each, cst.Pass) for each in lines):
            return conditional
    return None
