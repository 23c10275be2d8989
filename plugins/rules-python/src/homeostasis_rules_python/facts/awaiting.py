"""Coroutines that nobody awaited, and plain values that somebody did."""

from __future__ import annotations

import re
from typing import Iterator, List

import libcst as cst

from homeostasis_rules_python.code.answering import told
from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.known import functions_named
from homeostasis_rules_python.code.scope import binding
from homeostasis_rules_python.code.tree import Tree, called_name, dotted_name
from homeostasis_rules_python.code.web import framework_of, imported_modules, is_handler
from homeostasis_rules_python.facts.base import Facts, extracts

_COROUTINE = re.compile(
    r"'?coroutine'? object|'AwaitableOrContextManagerWrapper' object|it was a coroutine|'coroutine'|of type coroutine\b"
)
_NEEDLESS = re.compile(
    r"^(object ([\w.]{1,100}) can't be used in 'await' expression|'([\w.]{1,100})' object can't be awaited)"
)
_REQUEST_METHODS = frozenset(("json", "form", "body", "get_json", "get_data"))


@extracts("TypeError", "AttributeError", "ValueError", "ResponseValidationError", rank=20)
def not_awaited(case: Case, site: Site) -> Facts | None:
    """Facts about the call whose coroutine was used: `coroutine`, and `awaitable` if an `await` can be put there."""
    if not _COROUTINE.search(told(case)):
        return None
    for outer in case.outwards(site, MAX_CALLERS):
        for call in _suspects(outer):
            source = _source(case, outer, call)
            if source is not None and not isinstance(outer.tree.parent(call), cst.Await):
                return _unawaited(case, outer, call, source)
    return None


MAX_CALLERS = 4
"""Functions that may have been handed the coroutine on."""


def _unawaited(case: Case, site: Site, call: cst.Call, source: str) -> Facts:
    facts = Facts.about(case, site, call)
    facts.say("coroutine", call)
    function = site.tree.function(call)
    asynchronous = function is not None and function.asynchronous is not None
    handling = function is not None and is_handler(site.tree, function)
    facts.values.update(
        coroutine_of=source,
        in_async=asynchronous,
        awaitable=(asynchronous or handling) and _inner(site.tree, call) is function,
    )
    facts.sentence = f"{facts.where} uses what `{facts.values['coroutine']}` returns without awaiting it"
    return facts


def _inner(tree: Tree, node: cst.CSTNode) -> cst.CSTNode | None:
    return tree.enclosing(node, (cst.FunctionDef, cst.Lambda, cst.GeneratorExp))


def _suspects(site: Site) -> List[cst.Call]:
    """Calls in the failing expression and those that its names were assigned from, the nearest first."""
    found: List[cst.Call] = []
    for node in _failing(site):
        for name in site.tree.all(cst.Name, node):
            value = binding(site.tree, name.value, name).value
            made = site.tree.all(cst.Call, value) if value is not None else ()
            found.extend(call for call in made if call not in found)
        found.extend(call for call in site.tree.all(cst.Call, node) if call not in found)
    return found


def _failing(site: Site) -> Iterator[cst.CSTNode]:
    if not site.locals and site.function is not None and site.span.column is None:
        # The handler has returned: any of its answers may be meant.
        yield from (item for item in site.tree.all(cst.Return, site.function.body) if item.value is not None)
    kinds = (
        cst.Subscript,
        cst.Attribute,
        cst.Call,
        cst.BinaryOperation,
        cst.Comparison,
        cst.For,
        cst.CompFor,
        cst.Return,
    )
    nodes = site.nodes(*kinds)
    if nodes:
        statement = site.tree.statement(nodes[0])
        yield nodes[0].iter if isinstance(nodes[0], (cst.For, cst.CompFor)) else nodes[0]
        if isinstance(statement, cst.SimpleStatementLine):
            yield statement


def _source(case: Case, site: Site, call: cst.Call) -> str | None:
    """`request` for a part of an asynchronous request, `app` for a coroutine function of the app; None for others."""
    name = called_name(call) or ""
    if isinstance(call.func, cst.Attribute) and name in _REQUEST_METHODS:
        owner = (dotted_name(call.func.value) or "").split(".")[-1]
        flask = framework_of(case, site) == "flask" and "quart" not in imported_modules(site.tree)
        if owner in ("request", "req") and not flask:
            return "request"
    definitions = [function for _tree, function in functions_named(case, name)]
    return "app" if definitions and all(item.asynchronous is not None for item in definitions) else None


@extracts("TypeError", rank=20)
def needlessly_awaited(case: Case, site: Site) -> Facts | None:
    """Facts about `await value` of something that is no awaitable."""
    found = _NEEDLESS.match(case.raised.message)
    if found is None:
        return None
    for node in site.nodes(cst.Await):
        if isinstance(node, cst.Await):
            facts = Facts.about(case, site, node)
            facts.say("awaited", node.expression)
            facts.values["awaited_type"] = found.group(2) or found.group(3)
            facts.sentence = f"{facts.where} awaits `{facts.values['awaited']}`, which returns a plain value"
            return facts
    return None
