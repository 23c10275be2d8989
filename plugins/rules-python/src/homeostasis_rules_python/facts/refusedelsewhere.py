"""Arguments that a function cannot work with, where the function itself says how it refuses others."""

from __future__ import annotations

import re
from typing import Iterator, List, NamedTuple, Set, Tuple

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site, read_value
from homeostasis_rules_python.code.origin import passed_argument
from homeostasis_rules_python.code.scope import parameters, target_names
from homeostasis_rules_python.code.tree import Tree, called_name, dotted_name, literal_of, subscript_key
from homeostasis_rules_python.code.web import handler
from homeostasis_rules_python.facts.base import Facts, extracts

DEPTH = 3
"""Frames of the app, from the failing one outwards, whose functions are asked how they refuse."""
_NO_REFUSAL = frozenset(
    ("NotImplementedError", "AssertionError", "StopIteration", "StopAsyncIteration", "SystemExit", "RuntimeError")
)
"""Exceptions that say something of the code and not of an argument."""
_EMPTY = re.compile(
    r"index out of range|not enough values|empty|pop from|popitem|invalid literal|ordinal|expected a char"
)
_NONE = re.compile(r"NoneType")
_TEXT = re.compile(r"expected string or bytes-like object|cannot use a string pattern on a bytes-like object")
_NO_METHOD = re.compile(r"^'(\w{1,100})' object has no attribute '(\w{1,100})'")


class Refusal(NamedTuple):
    """How a function answers arguments that it does not take."""

    statement: cst.SimpleStatementLine
    raises: bool
    named: bool
    """Whether the argument itself is part of what is raised."""


@extracts("TypeError", "AttributeError", "IndexError", "ValueError", rank=28)
def refused_elsewhere(case: Case, site: Site) -> Facts | None:
    """`argument` is at fault in the way `fault` (`none`, `empty`, `type`), and `refusal` is how others are refused.

    Left out where a request is handled: there the framework's answers are the refusals.
    """
    if case.event.request is not None or handler(case) is not None:
        return None
    names: Set[str] | None = None
    for outer in list(reversed([each for each in case.sites if each.index <= site.index]))[:DEPTH]:
        facts = _of_frame(case, outer, names)
        if facts is not None or outer.function is None:
            return facts
        names = _passed_on(case, outer, names)
    return None


def _passed_on(case: Case, site: Site, names: Set[str] | None) -> Set[str]:
    """The parameters of the caller that are passed as those parameters of a function that are in question."""
    caller, found = case.caller(site), set()
    for parameter in parameters(site.function) if site.function is not None and caller is not None else ():
        if caller is not None and site.function is not None and (names is None or parameter.name.value in names):
            given = passed_argument(caller, site.function, parameter)
            found |= {given.value} if isinstance(given, cst.Name) else set()
    return found


def _of_frame(case: Case, site: Site, among: Set[str] | None) -> Facts | None:
    nodes = site.nodes(cst.Call, cst.Subscript, cst.Attribute, cst.BinaryOperation, cst.Comparison, cst.Assign)
    if site.function is None or not nodes:
        return None
    if site.span.column is None:  # any part of the line may have failed
        nodes.sort(key=lambda each: -len(site.tree.code(each)))
    own = {each.name.value for each in parameters(site.function)} - {"self", "cls"}
    names = own if among is None else own & among
    used = [use for use in site.tree.all(cst.Name, nodes[0]) if use.value in names]
    for use in used:
        test = _fault(case, site, use)
        found = refusal(site.tree, site.function, use.value) if test is not None else None
        if found is None or test is None:
            continue
        facts = Facts.about(case, site, nodes[0])
        facts.say("argument", use)
        facts.values.update(mistake="refused-elsewhere", fault=test[0], test=test[1], raises=found.raises)
        facts.values["named"] = found.named
        facts.sentence = f"{facts.where} refuses other arguments, and not `{use.value}` {_SAID[test[0]]}"
        return facts
    return None


_TESTS = {
    "none": ("none", "{} is None"),
    "empty": ("empty", "not {}"),
    "type": ("type", "not isinstance({}, str)"),
}
_SAID = {"none": "that is None", "empty": "that is empty", "type": "of another type"}


def _fault(case: Case, site: Site, use: cst.Name) -> Tuple[str, str] | None:
    """What is wrong with a parameter as the frame had it, and the test for it; None if nothing is known to be."""
    message, value = case.raised.message, site.locals.get(use.value)
    if value is None:
        return _inferred(case, site, use)
    if value.is_none:
        return _TESTS["none"] if _NONE.search(message) or _TEXT.search(message) else None
    known, content = read_value(value)
    if known and isinstance(content, (str, bytes, list, tuple, dict)) and not content:
        return _TESTS["empty"] if _EMPTY.search(message) else None
    lacking = _NO_METHOD.match(message)
    text = bool(_TEXT.search(message)) and value.type != "str"
    if lacking is not None and lacking.group(1) == value.type:
        text = _is_of_text(lacking.group(2)) and value.type != "str"
    return _TESTS["type"] if text else None


def _inferred(case: Case, site: Site, use: cst.Name) -> Tuple[str, str] | None:
    """The same where the frame's variables were not captured: by what the failing line does with the parameter."""
    parent = site.tree.parent(use)
    lacking = _NO_METHOD.match(case.raised.message)
    if isinstance(parent, cst.Subscript) and parent.value is use and case.raised.type == "IndexError":
        return _TESTS["empty"] if literal_of(subscript_key(parent))[1] in (0, -1) else None
    if isinstance(parent, cst.Attribute) and lacking is not None and parent.attr.value == lacking.group(2):
        if lacking.group(1) == "NoneType":
            return _TESTS["none"]
        return _TESTS["type"] if _is_of_text(lacking.group(2)) else None
    if isinstance(parent, cst.Arg) and _TEXT.search(case.raised.message):
        return _TESTS["none"] if _NONE.search(case.raised.message) else _TESTS["type"]
    return None


def _is_of_text(method: str) -> bool:
    """Whether texts have a method that lists do not."""
    return hasattr(str, method) and not hasattr(list, method)


def refusal(tree: Tree, function: cst.FunctionDef, name: str) -> Refusal | None:
    """How a function refuses values of a parameter: by raising, or else by returning False."""
    found: List[Refusal] = []
    derived = _derived(tree, function, name)
    local = _bound(tree, function)
    for line in tree.all(cst.SimpleStatementLine, function.body):
        if tree.function(line) is not function or len(line.body) != 1:
            continue
        if not _is_about(tree, line, derived):
            continue
        small = line.body[0]
        if isinstance(small, cst.Raise) and small.exc is not None and small.cause is None and _refuses(small.exc):
            used = {use.value for use in tree.all(cst.Name, small.exc)}
            if not used & local:
                found.append(Refusal(line, True, name in used))
        elif isinstance(small, cst.Return) and isinstance(small.value, cst.Name) and small.value.value == "False":
            found.append(Refusal(line, False, False))
    ranked = sorted(found, key=lambda each: (not each.raises, not each.named))
    if not ranked or (not ranked[0].raises and not _is_predicate(tree, function)):
        return None
    return ranked[0]


def _refuses(raised: cst.BaseExpression) -> bool:
    kind = dotted_name(raised.func if isinstance(raised, cst.Call) else raised)
    return kind is not None and kind.split(".")[-1] not in _NO_REFUSAL and kind.split(".")[-1][:1].isupper()


def _is_about(tree: Tree, line: cst.CSTNode, names: Set[str]) -> bool:
    """Whether a statement runs on a condition on one of the names, or says one of them."""
    if any(use.value in names for use in tree.all(cst.Name, line)):
        return True
    for outer in tree.ancestors(line):
        if isinstance(outer, cst.FunctionDef):
            return False
        if isinstance(outer, cst.If) and any(use.value in names for use in tree.all(cst.Name, outer.test)):
            return True
    return False


def _assigned(tree: Tree, function: cst.FunctionDef) -> Iterator[Tuple[Set[str], cst.BaseExpression]]:
    for each in tree.all(cst.Assign, function.body):
        for target in each.targets:
            yield set(target_names(target.target)), each.value


def _derived(tree: Tree, function: cst.FunctionDef, name: str) -> Set[str]:
    """The parameter and the variables that are worked out from it."""
    names = {name}
    for targets, value in _assigned(tree, function):
        if any(use.value in names for use in tree.all(cst.Name, value)):
            names |= targets
    return names


def _bound(tree: Tree, function: cst.FunctionDef) -> Set[str]:
    """The names that a function binds itself, its parameters left out."""
    names: Set[str] = set()
    for targets, _value in _assigned(tree, function):
        names |= targets
    for loop in tree.all(cst.For, function.body):
        names |= set(target_names(loop.target))
    for clause in tree.all(cst.CompFor, function.body):
        names |= set(target_names(clause.target))
    for renamed in tree.all(cst.AsName, function.body):
        names |= set(target_names(renamed.name))
    for named in tree.all(cst.NamedExpr, function.body):
        names |= set(target_names(named.target))
    for grown in tree.all(cst.AugAssign, function.body):
        names |= set(target_names(grown.target))
    for declared in tree.all(cst.AnnAssign, function.body):
        names |= set(target_names(declared.target))
    return names - {each.name.value for each in parameters(function)}


def _is_predicate(tree: Tree, function: cst.FunctionDef) -> bool:
    """Whether all that a function returns is true or false."""
    returned = [each for each in tree.all(cst.Return, function.body) if tree.function(each) is function]
    return len(returned) > 1 and all(_is_truth(each.value) for each in returned)


def _is_truth(value: cst.BaseExpression | None) -> bool:
    if isinstance(value, cst.Name):
        return value.value in ("True", "False")
    if isinstance(value, cst.BooleanOperation):
        return _is_truth(value.left) and _is_truth(value.right)
    if isinstance(value, cst.UnaryOperation):
        return isinstance(value.operator, cst.Not)
    if isinstance(value, cst.Call):
        return called_name(value) in ("all", "any", "bool", "isinstance", "startswith", "endswith", "isdigit", "match")
    return isinstance(value, cst.Comparison)
