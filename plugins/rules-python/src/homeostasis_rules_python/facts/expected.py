"""Exceptions that the code expects: it names them in an `except` clause, and what then crashed is the handling."""

from __future__ import annotations

from typing import Iterator

import libcst as cst

from homeostasis_rules_python.code.case import Site
from homeostasis_rules_python.code.tree import Tree, dotted_name
from homeostasis_rules_python.facts.base import Facts


def is_expected(facts: Facts) -> bool:
    """Whether an exception was handled by its name in the function that met it, before another one escaped from there.

    A handler that raises another exception of its own says that the first one is the error; it is none that the code
    can go on from.
    """
    raised, site = facts.case.raised, facts.site
    names = {raised.type, raised.dotted, *raised.bases, *(base.split(".")[-1] for base in raised.bases)}
    names -= {"Exception", "BaseException", "object"}
    for handler in _handlers(site.tree, facts.node):
        if names & set(_caught(handler)) and not _raises(site, handler):
            return True
    return False


def _handlers(tree: Tree, node: cst.CSTNode) -> Iterator[cst.ExceptHandler]:
    """The clauses of the `try` statements of the same function whose body holds the node."""
    inner = node
    for around in tree.ancestors(node):
        if isinstance(around, (cst.FunctionDef, cst.Lambda)):
            return
        if isinstance(around, cst.Try) and inner is around.body:
            yield from around.handlers
        inner = around


def _caught(handler: cst.ExceptHandler) -> Iterator[str]:
    kinds = [item.value for item in handler.type.elements] if isinstance(handler.type, cst.Tuple) else [handler.type]
    for kind in kinds:
        name = dotted_name(kind)
        if name is not None:
            yield name.split(".")[-1]


def _raises(site: Site, handler: cst.ExceptHandler) -> bool:
    return any(line.exc is not None for line in site.tree.all(cst.Raise, handler.body))
