"""Names of a library that need not be installed, which the module asks for None and never binds without it."""

from __future__ import annotations

import re
from typing import List

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.scope import bindings_in, imported_names
from homeostasis_rules_python.code.tree import Tree, called_name, dotted_name
from homeostasis_rules_python.facts.base import Facts, extracts

_UNDEFINED = re.compile(r"^name '(\w{1,200})' is not defined")
IMPORT_ERRORS = frozenset(("ImportError", "ModuleNotFoundError", "Exception"))


@extracts("NameError", rank=38)
def unbound_without_library(case: Case, site: Site) -> Facts | None:
    """`optional` holds the names that only a successful import binds; what fails is asked for None somewhere."""
    found = _UNDEFINED.match(case.raised.message)
    if found is None or case.raised.type != "NameError":
        return None
    name = found.group(1)
    handler = handler_of(site.tree, name)
    if handler is None or not _is_asked_for(site.tree, name):
        return None
    names = [each for each in _tried(site.tree, handler) if each == name or _is_asked_for(site.tree, each)]
    line = site.tree.range(handler).start.line
    failing = next((node for node in site.nodes(cst.Name) if dotted_name(node) == name), handler)
    facts = Facts.about(case, site, failing)
    facts.values.update(optional=names, unbound=name)
    place = f"{site.path}:{line}"
    facts.evidence.append(f"the module asks whether `{name}` is there; if the import fails, nothing binds it ({place})")
    facts.sentence = f"{facts.where} asks for `{name}`, which is not bound without its library"
    return facts


def handler_of(tree: Tree, name: str) -> cst.ExceptHandler | None:
    """The handler for the failed import of a name that binds nothing under it; None if the name is bound elsewhere."""
    found: List[cst.ExceptHandler] = []
    for outer in tree.module.body:
        if not isinstance(outer, cst.Try):
            if name in _bound(tree, outer):
                return None
            continue
        handlers = [each for each in outer.handlers if (dotted_name(each.type or cst.Name("_"))) in IMPORT_ERRORS]
        if name in _imports(tree, outer.body) and len(handlers) == 1 and len(outer.handlers) == 1:
            if name in _imports(tree, handlers[0]) or any(bindings_in(handlers[0].body, name)):
                return None
            found.append(handlers[0])
    return found[0] if len(found) == 1 else None


def _tried(tree: Tree, handler: cst.ExceptHandler) -> List[str]:
    outer = tree.parent(handler)
    bound = _imports(tree, outer.body) if isinstance(outer, cst.Try) else []
    return [name for name in bound if not any(bindings_in(handler.body, name)) and name not in _imports(tree, handler)]


def _imports(tree: Tree, block: cst.CSTNode) -> List[str]:
    found = [name for node in tree.all(cst.Import, block) for name in imported_names(node)]
    return found + [name for node in tree.all(cst.ImportFrom, block) for name in imported_names(node)]


def _bound(tree: Tree, outer: cst.CSTNode) -> List[str]:
    if isinstance(outer, (cst.FunctionDef, cst.ClassDef)):
        return [outer.name.value]
    targets = [each for node in tree.all(cst.Name, outer) for each in [node.value] if any(bindings_in(outer, each))]
    return [*_imports(tree, outer), *targets]


def _is_asked_for(tree: Tree, name: str) -> bool:
    """Whether the module asks if the name is None, or is there at all: `if name`, `not name`, `name is None`."""
    return any(use.value == name and _is_question(tree, use) for use in tree.all(cst.Name))


def _is_question(tree: Tree, use: cst.Name) -> bool:
    parent = tree.parent(use)
    if isinstance(parent, cst.Comparison) and parent.left is use and len(parent.comparisons) == 1:
        target = parent.comparisons[0]
        return isinstance(target.operator, (cst.Is, cst.IsNot)) and dotted_name(target.comparator) == "None"
    if isinstance(parent, (cst.If, cst.IfExp)):
        return parent.test is use
    if isinstance(parent, cst.UnaryOperation):
        return isinstance(parent.operator, cst.Not)
    if isinstance(parent, cst.BooleanOperation):
        return parent.left is use
    call = tree.parent(parent) if isinstance(parent, cst.Arg) else None
    return isinstance(call, cst.Call) and called_name(call) == "bool"
