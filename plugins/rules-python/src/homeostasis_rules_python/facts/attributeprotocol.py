"""`__getattr__` that lets the KeyError of its lookup out, where `hasattr` and `copy` expect AttributeError."""

from __future__ import annotations

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.scope import parameters
from homeostasis_rules_python.code.tree import dotted_name, subscript_key
from homeostasis_rules_python.facts.base import Facts, extracts


@extracts("KeyError", rank=21)
def key_of_an_attribute(case: Case, site: Site) -> Facts | None:
    """`sought` is the parameter that names the attribute, where `__getattr__` looks it up and does not find it."""
    for outer in (site, case.caller(site)):
        function = outer.function if outer is not None else None
        if outer is None or function is None or function.name.value != "__getattr__" or case.raised.type != "KeyError":
            continue
        name = parameters(function)[-1].name.value if parameters(function) else None
        line = _lookup(outer, name)
        known, sought = outer.value(cst.Name(name or "_"))
        if line is None or (known and repr(sought) != case.raised.message):
            continue
        facts = Facts.about(case, outer, line)
        facts.values["sought"] = name
        facts.evidence.append("Python asks `__getattr__` for AttributeError, and so do `hasattr`, `getattr` and `copy`")
        facts.sentence = f"{facts.where} does not find `{name}` and lets the KeyError out"
        return facts
    return None


def _lookup(site: Site, name: str | None) -> cst.SimpleStatementLine | None:
    """The failing statement, if it looks the name up as a key and returns what it finds."""
    for node in site.nodes(cst.Subscript, cst.Call):
        key = subscript_key(node) if isinstance(node, cst.Subscript) else None
        called = [arg.value for arg in node.args] if isinstance(node, cst.Call) else []
        if name is None or name not in {dotted_name(each) for each in (key, *called) if each is not None}:
            continue
        line = site.tree.statement(node)
        if isinstance(line, cst.SimpleStatementLine) and isinstance(site.tree.parent(line), cst.IndentedBlock):
            return line if len(line.body) == 1 and isinstance(line.body[0], cst.Return) else None
    return None
