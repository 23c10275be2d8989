"""Empty where something was expected: `max`, `min`, `mean`, `choice`, `reduce` and `next` of nothing."""

from __future__ import annotations

import re
from typing import Dict, Pattern, Tuple

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.neutral import declared_return
from homeostasis_rules_python.code.origin import asked_by_client, origin
from homeostasis_rules_python.code.scope import binding
from homeostasis_rules_python.code.tree import Comprehension, called_name, dotted_name
from homeostasis_rules_python.facts.base import Facts, extracts

_KINDS: Dict[str, Tuple[str, Pattern[str]]] = {
    "extreme": ("max min", re.compile(r"^(max|min)\(\) (arg is an empty sequence|iterable argument is empty)")),
    "statistics": (
        "mean fmean median median_low median_high mode stdev pstdev variance pvariance quantiles geometric_mean",
        re.compile(r"requires at least (one|two) data points?|^no (median|mode) for empty data|must have at least"),
    ),
    "choice": ("choice choices", re.compile(r"^Cannot choose from an empty sequence")),
    "reduce": ("reduce", re.compile(r"^reduce\(\) of empty (sequence|iterable) with no initial value")),
}


@extracts("ValueError", "StatisticsError", "IndexError", "TypeError", rank=30)
def empty_argument(case: Case, site: Site) -> Facts | None:
    """Facts about a function that cannot work on nothing; None if the message speaks of something else."""
    for kind, (names, message) in _KINDS.items():
        if not message.search(case.raised.message):
            continue
        for node in site.nodes(cst.Call):
            if isinstance(node, cst.Call) and called_name(node) in names.split() and node.args:
                position = 1 if kind == "reduce" else 0
                if len(node.args) > position and not node.args[0].star:
                    return _facts(case, site, node, kind, node.args[position].value)
    return None


@extracts("StopIteration", rank=30)
def exhausted(case: Case, site: Site) -> Facts | None:
    """Facts about `next(iterator)` without a default."""
    for node in site.nodes(cst.Call):
        if isinstance(node, cst.Call) and dotted_name(node.func) == "next" and len(node.args) == 1:
            facts = _facts(case, site, node, "next", _iterated(site, node.args[0].value))
            _say_sought(facts, node.args[0].value)
            return facts
    return None


def _facts(case: Case, site: Site, node: cst.Call, kind: str, argument: cst.BaseExpression) -> Facts:
    facts = Facts.about(case, site, node)
    items = _items(argument)
    facts.say("container", items)
    facts.values.update(
        empty_of=kind,
        called=called_name(node),
        filtered=_is_filtered(argument),
        declared=declared_return(site.tree, site.function),
        returned=isinstance(site.tree.parent(node), cst.Return),
    )
    facts.blame("container", origin(case, site, items))
    facts.blame("lookup", asked_by_client(case, site, items)[0])
    facts.sentence = f"{facts.where} takes `{called_name(node)}` of `{facts.values['container']}`, which is empty"
    return facts


def _iterated(site: Site, node: cst.BaseExpression) -> cst.BaseExpression:
    """`d` of `iter(d)`, and what a name stands for that was assigned just so."""
    if isinstance(node, cst.Name):
        found = binding(site.tree, node.value, node)
        node = found.value if found.kind == "assign" and found.value is not None else node
    if isinstance(node, cst.Call) and called_name(node) == "iter" and len(node.args) == 1:
        return node.args[0].value
    return node


def _items(node: cst.BaseExpression) -> cst.BaseExpression:
    """What must not be empty: the source of a comprehension, or the argument of `list`, `sorted` and the like."""
    while True:
        if isinstance(node, Comprehension) and not node.for_in.ifs and node.for_in.inner_for_in is None:
            node = node.for_in.iter
        elif isinstance(node, cst.Call) and called_name(node) in ("list", "tuple", "sorted", "set", "enumerate"):
            if not node.args or not isinstance(node.func, cst.Name):
                return node
            node = node.args[0].value
        elif isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) and not node.args:
            if node.func.attr.value not in ("keys", "values", "items"):
                return node
            node = node.func.value
        else:
            return node


def _is_filtered(node: cst.BaseExpression) -> bool:
    """Whether items may be left out, so that the source tells nothing about emptiness."""
    items = _items(node)
    return isinstance(items, (cst.GeneratorExp, cst.ListComp, cst.SetComp, cst.DictComp)) or (
        isinstance(items, cst.Call) and called_name(items) in ("filter", "map", "zip")
    )


def _say_sought(facts: Facts, argument: cst.BaseExpression) -> None:
    """For `next(x for x in xs if x.id == wanted)`: what is compared, and who gave it."""
    generator = argument
    if isinstance(argument, cst.Name):
        generator = binding(facts.site.tree, argument.value, argument).value or argument
    if not isinstance(generator, (cst.GeneratorExp, cst.ListComp)):
        return
    for condition in generator.for_in.ifs:
        for comparison in facts.site.tree.all(cst.Comparison, condition):
            for side in (comparison.left, comparison.comparisons[0].comparator):
                found = origin(facts.case, facts.site, side)
                if found.from_client:
                    facts.say("sought", side)
                    facts.blame("sought", found)
                    return
