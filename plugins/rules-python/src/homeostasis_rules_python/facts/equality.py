"""Comparisons for equality with an object of another kind, which ask it for what only the class itself has."""

from __future__ import annotations

import re
from typing import List

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.known import app_class
from homeostasis_rules_python.code.members import members
from homeostasis_rules_python.code.scope import bindings_in, parameters
from homeostasis_rules_python.code.tree import dotted_name
from homeostasis_rules_python.facts.base import Facts, extracts

_NO_ATTRIBUTE = re.compile(r"^'([\w.]{1,200})' object has no attribute '(\w{1,100})'")
METHODS = ("__eq__", "__ne__")


@extracts("AttributeError", rank=28)
def foreign_operand(case: Case, site: Site) -> Facts | None:
    """`guard` is the test that tells a foreign object, `operand` its name, where `__eq__` asked it for an attribute."""
    found, function = _NO_ATTRIBUTE.match(case.raised.message), site.function
    if found is None or function is None or function.name.value not in METHODS:
        return None
    owner = site.tree.enclosing(function, (cst.ClassDef, cst.FunctionDef))
    given = parameters(function)
    if not isinstance(owner, cst.ClassDef) or len(given) != 2 or found.group(1).split(".")[-1] == owner.name.value:
        return None
    other, attribute = given[1].name.value, found.group(2)
    asked = [
        node
        for node in site.nodes(cst.Attribute)
        if isinstance(node, cst.Attribute) and node.attr.value == attribute and dotted_name(node.value) == other
    ]
    if not asked or any(bindings_in(function.body, other)):
        return None
    facts = Facts.about(case, site, asked[0])
    facts.values.update(guard=_guard(case, site, owner, other, attribute), operand=other, method=function.name.value)
    facts.sentence = f"{facts.where} compares with a {found.group(1)}, which has no `{attribute}`"
    name = function.name.value
    facts.evidence.append(
        f"where `{name}` gives NotImplemented, Python asks the other object, then compares by identity"
    )
    return facts


def _guard(case: Case, site: Site, owner: cst.ClassDef, other: str, attribute: str) -> str:
    """`not isinstance(other, Owner)` if only objects of the class have the attribute, as far as the code says."""
    written = _guarded_alike(site, owner, other)
    if written is not None:
        return written
    known = members(case, (site.tree, owner)) if app_class(case, owner.name.value) is not None else None
    own = known is not None and attribute in known
    if attribute.startswith("_") or own:
        return f"not isinstance({other}, {owner.name.value})"
    return f'not hasattr({other}, "{attribute}")'


def _guarded_alike(site: Site, owner: cst.ClassDef, other: str) -> str | None:
    """The test with which the other methods of the class give NotImplemented for the same parameter."""
    found: List[str] = []
    for conditional in site.tree.all(cst.If, owner.body):
        body = conditional.body.body
        line = body[0] if len(body) == 1 else None
        small = line.body[0] if isinstance(line, cst.SimpleStatementLine) else line
        if not isinstance(small, cst.Return) or dotted_name(small.value or cst.Name("_")) != "NotImplemented":
            continue
        test = conditional.test
        plain = isinstance(test, cst.UnaryOperation) and isinstance(test.expression, cst.Call)
        code = site.tree.code(test)
        if plain and code.startswith(f"not isinstance({other},"):
            found.append(code)
    return found[0] if found and len(set(found)) == 1 else None
