"""Methods that use `self` and do not take it."""

from __future__ import annotations

import re

import libcst as cst

from homeostasis_rules_python.code.called import definition_site
from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.tree import dotted_name
from homeostasis_rules_python.facts.base import Facts, extracts
from homeostasis_rules_python.facts.names import CALLED, lacks_self, method_without_self


@extracts("NameError", rank=30)
def undefined_self(case: Case, site: Site) -> Facts | None:
    """`missing_self` is true where a method reads `self` without having it as its first parameter."""
    function = _method(site)
    if case.raised.message != "name 'self' is not defined" or function is None or not lacks_self(site.tree, function):
        return None
    for node in site.nodes(cst.Name):
        if dotted_name(node) == "self":
            owner = site.tree.enclosing(function, cst.ClassDef)
            facts = Facts.about(case, site, node)
            facts.values.update(called=function.name.value, missing_self=True)
            facts.values["owner"] = owner.name.value if owner is not None else None
            facts.sentence = f"{facts.where} reads `self`, which it does not take"
            return facts
    return None


@extracts("TypeError", "AttributeError", "ValueError", "KeyError", "IndexError", rank=28)
def taken_for_another(case: Case, site: Site) -> Facts | None:
    """`missing_self` is true where the object of a method was taken for its first argument, and `self` is read too."""
    function = site.function
    if function is None or not lacks_self(site.tree, function) or not function.params.params:
        return None
    first = function.params.params[0].name.value
    owner = site.tree.enclosing(function, cst.ClassDef)
    local = site.locals.get(first)
    reads = any(use.value == "self" for use in site.tree.all(cst.Name, function.body))
    if owner is None or local is None or local.type.split(".")[-1] != owner.name.value or not reads:
        return None
    facts = Facts.about(case, site, function.name)
    facts.values.update(called=function.name.value, missing_self=True, owner=owner.name.value)
    facts.sentence = f"{facts.where} takes its object for `{first}`, and reads `self`"
    return facts


def _method(site: Site) -> cst.FunctionDef | None:
    """The function that failed, or the method in which it is defined."""
    function = site.function
    while function is not None:
        outer = site.tree.function(function)
        if outer is None:
            return function
        function = outer
    return None


_TOO_MANY = re.compile(r"\w\(\) takes (?:from \d+ to )?(\d+) positional arguments? but (\d+) (?:was|were) given")


_NAMED = re.compile(
    CALLED + r"takes (?:from \d+ to )?(?P<taken>\d+) positional arguments? but (?P<given>\d+) (?:was|were) given"
)


@extracts("TypeError", rank=29)
def called_without_self(case: Case, site: Site) -> Facts | None:
    """`missing_self` is true where a library, a thread or a script called a method that does not take its object."""
    found, function = _TOO_MANY.search(case.raised.message), site.function
    called_by_others = site.index == len(case.raised.frames)
    if found is None or function is None or not called_by_others or not lacks_self(site.tree, function):
        return None
    if int(found.group(2)) != int(found.group(1)) + 1:
        return None
    facts = Facts.about(case, site, function.name)
    owner = site.tree.enclosing(function, cst.ClassDef)
    facts.values.update(called=function.name.value, missing_self=True)
    facts.values["owner"] = owner.name.value if owner is not None else None
    facts.sentence = f"{facts.where} is called on an object, which it does not take"
    return facts


@extracts("TypeError", rank=56)
def handed_over_without_self(case: Case, site: Site) -> Facts | None:
    """`missing_self` is true where a function such as `map` called a method that does not take its object."""
    found = _NAMED.match(case.raised.message)
    if found is None or int(found["given"]) != int(found["taken"]) + 1:
        return None
    method = method_without_self(case, found["name"], found["owner"])
    if method is None or not any(use.attr.value == found["name"] for use in site.tree.all(cst.Attribute)):
        return None
    tree, function = method
    facts = Facts.about(case, definition_site(case, tree, function), function.name)
    facts.values.update(called=found["name"], missing_self=True, owner=found["owner"])
    facts.sentence = f"`{found['name']}` is called on an object, which it does not take"
    return facts
