"""More about a missing item: loops that run too far, command lines, blank lines, and members that are not in a list."""

from __future__ import annotations

import re

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.origin import origin
from homeostasis_rules_python.code.scope import binding
from homeostasis_rules_python.code.tree import called_name, dotted_name, literal_of
from homeostasis_rules_python.facts.base import Facts, extracts
from homeostasis_rules_python.facts.lookups import index_error

_NOT_THERE = re.compile(
    r"(^(list|deque|array)\.(remove|index)\(x\): x not in (list|deque|array)|^substring not found"
    r"| is not in (list|deque|tuple)$"
    r"|^tuple\.index\(x\): x not in tuple|^list\.index\(x\): x not in list)"
)
_VIEW = re.compile(r"^'(dict_keys|dict_values|dict_items)' object is not subscriptable")


@extracts("IndexError", rank=40)
def far_index(case: Case, site: Site) -> Facts | None:
    """The facts about `sequence[index]`, with how the index ran past the end."""
    facts = index_error(case, site)
    if facts is None:
        return None
    values = facts.values
    if dotted_name(facts.nodes["container"]) == "sys.argv":
        values["argv"] = True
        values["documented"] = site.tree.module.get_docstring() is not None
    _say_overrun(facts)
    values["drains"] = _drained(facts) is not None
    blank = _blank_item(facts)
    if blank is not None:
        facts.say("blank", blank)
    return facts


def _say_overrun(facts: Facts) -> None:
    """`overrun` is `range`, `while` or `length` where the code itself steps past the end of the sequence."""
    tree = facts.site.tree
    container, index = facts.values["container"], facts.nodes["index"]
    if _length_of(index) == container:
        facts.values["overrun"] = "length"
        return
    counter, ahead = (index, 0)
    if isinstance(index, cst.BinaryOperation) and isinstance(index.operator, cst.Add):
        known, step = literal_of(index.right)
        counter, ahead = index.left, step if known and isinstance(step, int) else -1
    if not isinstance(counter, cst.Name) or ahead < 0:
        return
    found = binding(tree, counter.value, facts.node)
    if found.kind == "element" and isinstance(found.value, cst.Call) and called_name(found.value) == "range":
        end = found.value.args[-1 if len(found.value.args) < 3 else 1].value
        if ahead and _length_of(end) == container:
            facts.values["overrun"], facts.values["ahead"] = "range", ahead
            facts.say("end", end)
        elif not ahead and len(found.value.args) == 1 and _beyond(end) == container:
            facts.values["overrun"] = "range"
            facts.say("end", end)
        return
    loop = tree.enclosing(facts.node, cst.While)
    test = loop.test if loop is not None else None
    if isinstance(test, cst.Comparison) and not ahead and len(test.comparisons) == 1:
        target = test.comparisons[0]
        until = isinstance(target.operator, cst.LessThanEqual) and dotted_name(test.left) == counter.value
        if until and _length_of(target.comparator) == container:
            facts.values["overrun"] = "while"
            facts.say("test", test)


def _length_of(node: cst.BaseExpression) -> str | None:
    """`xs` of `len(xs)`."""
    if isinstance(node, cst.Call) and dotted_name(node.func) == "len" and len(node.args) == 1:
        return cst.Module(body=[]).code_for_node(node.args[0].value)
    return None


def _beyond(node: cst.BaseExpression) -> str | None:
    """`xs` of `len(xs) + 1`."""
    if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Add) and literal_of(node.right)[1] == 1:
        return _length_of(node.left)
    return None


def _drained(facts: Facts) -> cst.While | None:
    """The `while True` that takes items out until there are none."""
    loop = facts.site.tree.enclosing(facts.node, cst.While)
    taken = facts.values["access"] == "pop" and facts.values["index_literal"] in (0, -1)
    if loop is None or not taken or dotted_name(loop.test) != "True":
        return None
    statement = facts.site.tree.statement(facts.node)
    return loop if statement is not None and loop.body.body[0] is statement else None


def _blank_item(facts: Facts) -> cst.Name | None:
    """The variable of a loop over lines or rows whose captured value is blank."""
    tree, node = facts.site.tree, facts.nodes["container"]
    for _step in range(6):
        if isinstance(node, cst.Name):
            known, value = facts.site.value(node)
            found = binding(tree, node.value, node)
            if found.kind == "element" and isinstance(found.node, cst.For):
                blank = known and (value == [] or (isinstance(value, str) and not value.strip()))
                return node if blank else None
            if found.kind != "assign" or found.value is None:
                return None
            node = found.value
        elif isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute):
            node = node.func.value
        else:
            return None
    return None


@extracts("ValueError", rank=40)
def not_a_member(case: Case, site: Site) -> Facts | None:
    """Facts about `items.remove(item)`, `items.index(item)` and `text.index(part)`."""
    if not _NOT_THERE.search(case.raised.message):
        return None
    for node in site.nodes(cst.Call):
        if not isinstance(node, cst.Call) or called_name(node) not in ("remove", "index", "rindex"):
            continue
        if not isinstance(node.func, cst.Attribute) or len(node.args) != 1:
            continue
        facts = Facts.about(case, site, node)
        facts.say("container", node.func.value)
        facts.say("key", node.args[0].value)
        facts.values.update(access=called_name(node), absent=True, unused=isinstance(site.tree.parent(node), cst.Expr))
        facts.values["text"] = case.raised.message.startswith("substring")
        facts.blame("container", origin(case, site, node.func.value))
        facts.blame("key", origin(case, site, node.args[0].value))
        facts.sentence = (
            f"{facts.where} looks for `{facts.values['key']}` in `{facts.values['container']}`, which lacks it"
        )
        return facts
    return None


@extracts("TypeError", rank=40)
def view_subscript(case: Case, site: Site) -> Facts | None:
    """Facts about `d.keys()[0]`: a view that has no items to index."""
    found = _VIEW.match(case.raised.message)
    for node in site.nodes(cst.Subscript) if found is not None else ():
        if isinstance(node, cst.Subscript) and found is not None:
            facts = Facts.about(case, site, node)
            facts.say("view", node.value)
            facts.values["view_type"] = found.group(1)
            facts.sentence = (
                f"{facts.where} takes an item of `{facts.values['view']}`, a {found.group(1)} without items"
            )
            return facts
    return None
