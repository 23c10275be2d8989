"""Names and calls: unbound locals, wrong arity and keywords; loops over what they change; datetimes; JSON."""

from __future__ import annotations

import difflib
import re
from typing import Iterator

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.known import app_class, base_names, functions_named
from homeostasis_rules_python.code.scope import binding, parameters
from homeostasis_rules_python.code.tree import Tree, called_name, dotted_name
from homeostasis_rules_python.facts.base import Facts, extracts

_UNBOUND = re.compile(
    r"(?:local variable '(\w{1,200})' referenced before|cannot access local variable '(\w{1,200})' where)"
)
CALLED = r"^(?:[\w.<>]{1,200}?\.)??(?:(?P<owner>\w{1,200})\.)?(?P<name>\w{1,200})\(\) "
"""How a message names what was called: `owner` from Python 3.10 on, and `name`; what stands before is not kept."""
_POSITIONAL = re.compile(
    CALLED + r"(?:takes (?:from \d+ to )?\d+ positional arguments? but \d+ (?:was|were) given"
    r"|got multiple values for argument '\w{1,200}')"
)
_KEYWORD = re.compile(CALLED + r"got an unexpected keyword argument '(?P<keyword>\w{1,200})'")
_NOT_JSON = re.compile(r"^Object of type (\w{1,200}) is not JSON serializable")
_MIXED_DATES = re.compile(r"^can't (compare|subtract) offset-naive and offset-aware datetimes")
_CHANGED = re.compile(
    r"^(?:dictionary changed size|Set changed size|dictionary keys changed|OrderedDict mutated|deque mutated)"
    r" during iteration"
)
MAX_BASES = 10
"""Classes of one line of inheritance that are looked at."""


@extracts("UnboundLocalError", rank=50)
def unbound_local(case: Case, site: Site) -> Facts | None:
    """Facts about a local variable that was read before it had a value."""
    found = _UNBOUND.search(case.raised.message)
    if found is None or site.function is None:
        return None
    name = found.group(1) or found.group(2)
    for node in site.nodes(cst.Name):
        if isinstance(node, cst.Name) and node.value == name:
            facts = Facts.about(case, site, node)
            facts.say("name", node)
            facts.values["module_level"] = binding(site.tree, name, site.tree.module.body[0]).kind == "module"
            facts.sentence = f"{facts.where} reads `{name}` on a way on which nothing was assigned to it"
            return facts
    return None


@extracts("RuntimeError", rank=50)
def changed_while_iterated(case: Case, site: Site) -> Facts | None:
    """Facts about the iterable of a loop whose body changes it."""
    if not _CHANGED.match(case.raised.message):
        return None
    for node in site.nodes(cst.For, cst.CompFor):
        if isinstance(node, (cst.For, cst.CompFor)):
            facts = Facts.about(case, site, node.iter)
            facts.say("iterable", node.iter)
            facts.sentence = f"{facts.where} changes `{facts.values['iterable']}` while it iterates over it"
            return facts
    return None


@extracts("TypeError", rank=52)
def wrong_call(case: Case, site: Site) -> Facts | None:
    """Facts about a call that does not fit the parameters of what is called."""
    message = case.raised.message
    arity, keyword = _POSITIONAL.match(message), _KEYWORD.match(message)
    if arity is None and keyword is None:
        return None
    found = arity or keyword
    name, owner = (found["name"], found["owner"]) if found is not None else ("", None)
    for node in _calls(case, site, name, owner):
        facts = Facts.about(case, site, node)
        facts.values["called"] = name
        if keyword is not None:
            facts.values["keyword"] = keyword["keyword"]
            facts.values["meant"] = _meant(case, name, owner or _maker(case, node), keyword["keyword"])
        facts.values["problem"] = "keyword" if keyword is not None else "arity"
        selfless = method_without_self(case, name, owner) if arity is not None else None
        facts.values["missing_self"] = selfless is not None
        facts.values["owner"] = owner
        facts.sentence = f"{facts.where} calls `{name}` in a way that its parameters do not allow"
        return facts
    return None


def _calls(case: Case, site: Site, name: str, owner: str | None) -> Iterator[cst.CSTNode]:
    """What may have called a function: calls of its name, of the class for `__init__`, operators for `__add__`."""
    for node in site.nodes(cst.Call):
        called = called_name(node) if isinstance(node, cst.Call) else None
        makes = name == "__init__" and called is not None and called in (owner or called_class(case, node), "cls")
        given_by = initialised_by(case, called) if name == "__init__" and called is not None else None
        makes = makes or (given_by is not None and given_by == (owner or given_by))
        if called == name or makes:
            yield node
    if name.startswith("__") and name != "__init__" and method_without_self(case, name, owner) is not None:
        yield from site.nodes(cst.Subscript, cst.BinaryOperation, cst.Comparison, cst.Call)


def initialised_by(case: Case, called: str) -> str | None:
    """The class of the app whose `__init__` makes the objects of a class: itself or one that it inherits from."""
    name: str | None = called
    for _ in range(MAX_BASES):
        found = app_class(case, name) if name is not None else None
        if found is None:
            return None
        if any(isinstance(each, cst.FunctionDef) and each.name.value == "__init__" for each in found[1].body.body):
            return name
        name = next(iter(base_names(found[1])), None)
    return None


def _maker(case: Case, node: cst.CSTNode) -> str | None:
    """The class whose `__init__` a call runs."""
    called = called_class(case, node)
    return (initialised_by(case, called) or called) if called is not None else None


def called_class(case: Case, node: cst.CSTNode) -> str | None:
    """The class of the app that a call makes an object of."""
    called = called_name(node) if isinstance(node, cst.Call) else None
    return called if called is not None and app_class(case, called) is not None else None


def _meant(case: Case, name: str, owner: str | None, keyword: str) -> str | None:
    known: dict[str, None] = {}
    for tree, function in functions_named(case, name):
        # Of what is overloaded, any declaration may name the parameter.
        if owner == _class_of(tree, function) or (name != "__init__" and (owner is None or not known)):
            known.update((item.name.value, None) for item in parameters(function))
    near = difflib.get_close_matches(keyword, list(known), 2, 0.8)
    return near[0] if len(near) == 1 else None


def _class_of(tree: Tree, function: cst.FunctionDef) -> str | None:
    """The class whose method a function is."""
    owner = tree.enclosing(function, (cst.ClassDef, cst.FunctionDef))
    return owner.name.value if isinstance(owner, cst.ClassDef) else None


def lacks_self(tree: Tree, function: cst.FunctionDef) -> bool:
    """Whether a function is a method that takes no object, though nothing says that it is static."""
    if _class_of(tree, function) is None:
        return False
    marks = {dotted_name(item.decorator) for item in function.decorators}
    first = next((item.name.value for item in parameters(function)), None)
    own = function.name.value in ("__new__", "__init_subclass__", "__class_getitem__")
    return not own and not marks & {"staticmethod", "classmethod"} and first not in ("self", "cls")


def method_without_self(case: Case, name: str, owner: str | None = None) -> tuple[Tree, cst.FunctionDef] | None:
    """The one method of that name in the app that lacks `self`, with its tree; None if there is none or several.

    Args:
        case: the crash.
        name: of the method.
        owner: the class, where the message names it: of several, its method is meant.
    """
    hits = [(tree, function) for tree, function in functions_named(case, name) if lacks_self(tree, function)]
    if len(hits) > 1 and owner is not None:
        hits = [(tree, function) for tree, function in hits if _class_of(tree, function) == owner]
    return hits[0] if len(hits) == 1 else None


@extracts("TypeError", rank=53)
def not_json(case: Case, site: Site) -> Facts | None:
    """Facts about `json.dumps` of a value that JSON does not know."""
    found = _NOT_JSON.match(case.raised.message)
    if found is None:
        return None
    for node in site.nodes(cst.Call):
        if isinstance(node, cst.Call) and called_name(node) in ("dumps", "dump", "JSONResponse"):
            facts = Facts.about(case, site, node)
            given = {arg.keyword.value for arg in node.args if arg.keyword is not None}
            facts.values.update(
                type=found.group(1), called=called_name(node), has_default=bool(given & {"default", "cls"})
            )
            facts.sentence = f"{facts.where} writes a {found.group(1)} as JSON, which has no form for it"
            return facts
    return None


@extracts("TypeError", rank=54)
def mixed_dates(case: Case, site: Site) -> Facts | None:
    """Facts about an operation on a datetime with and one without a time zone."""
    if not _MIXED_DATES.match(case.raised.message):
        return None
    for node in site.nodes(cst.BinaryOperation, cst.Comparison):
        sides = (
            (node.left, node.right)
            if isinstance(node, cst.BinaryOperation)
            else (node.left, node.comparisons[0].comparator)
            if isinstance(node, cst.Comparison)
            else ()
        )
        for side in sides:
            call = side
            if isinstance(side, cst.Name):
                call = binding(site.tree, side.value, side).value or side
            if isinstance(call, cst.Call) and called_name(call) in ("now", "utcnow") and not call.args:
                facts = Facts.about(case, site, node)
                facts.say("naive", call)
                facts.values["naive_call"] = called_name(call)
                naive = facts.values["naive"]
                facts.sentence = f"{facts.where} combines `{naive}`, which has no time zone, with a time that has one"
                return facts
    return None
