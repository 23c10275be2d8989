"""Refactors for an `await` that is missing or too much."""

from __future__ import annotations

from typing import Iterator

import libcst as cst

from homeostasis.models import Effect, Risk
from homeostasis_rules_python.code.edit import Edits
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.refactors.base import Change, register


@register
class AwaitCoroutine:
    """A coroutine that is used like its result."""

    refactor_id = "await-coroutine"
    needs = ("coroutine", "awaitable")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`await` before the call; a handler that is not `async` becomes so."""
        call, tree = facts.nodes["coroutine"], facts.site.tree
        function = tree.function(call)
        if function is None or not facts.values["awaitable"]:
            return
        parent = tree.parent(call)
        tight = (isinstance(parent, (cst.Attribute, cst.Subscript)) and parent.value is call) or (
            isinstance(parent, cst.Call) and parent.func is call
        )
        waited = cst.Await(call, lpar=[cst.LeftParen()] if tight else [], rpar=[cst.RightParen()] if tight else [])
        edits = Edits(tree)
        edits.replace(call, waited)
        if not facts.values["in_async"]:
            edits.wrap(function, lambda now: now.with_changes(asynchronous=cst.Asynchronous()))
        evidence = f"`{facts.values['coroutine']}` makes a coroutine"
        summary = f"Await `{facts.values['coroutine']}`"
        risk = Risk.LOW if facts.values["in_async"] else Risk.MEDIUM
        weight = 1.0 if facts.values["in_async"] else 0.9
        yield Change.because((edits,), Effect.CORRECT, summary, evidence, weight, risk)


@register
class AwaitNothing:
    """An `await` before a plain value."""

    refactor_id = "await-nothing"
    needs = ("awaited",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """The value without `await`."""
        edits = Edits(facts.site.tree)
        node, inner = facts.expression, facts.nodes["awaited"]
        outer = facts.site.tree.parent(node)
        bare = isinstance(outer, (cst.Attribute, cst.Subscript)) and len(node.lpar) == 1 and not inner.lpar
        edits.replace(node, inner if bare or not node.lpar else inner.with_changes(lpar=node.lpar, rpar=node.rpar))
        evidence = f"`{facts.values['awaited']}` gives a {facts.values['awaited_type']}, which cannot be awaited"
        summary = f"Do not await `{facts.values['awaited']}`"
        yield Change.because((edits,), Effect.CORRECT, summary, evidence)
