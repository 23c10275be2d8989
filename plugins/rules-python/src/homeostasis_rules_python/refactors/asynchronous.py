"""The refactor of statements that lack their `async`."""

from __future__ import annotations

from typing import Iterator

import libcst as cst

from homeostasis.models import Effect
from homeostasis_rules_python.code.edit import Edits
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.refactors.base import Change, register


@register
class AddAsync:
    """A loop or `with` over what is asynchronous, inside of a coroutine."""

    refactor_id = "add-async"
    needs = ("plain",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`async for` and `async with`."""
        tree = facts.site.tree
        around = tree.enclosing(facts.node, (cst.For, cst.CompFor, cst.With))
        if around is None:
            return
        edits = Edits(tree)
        edits.replace(around, around.with_changes(asynchronous=cst.Asynchronous()))
        word = facts.values["plain"]
        evidence = f"`{facts.values['expression']}` is asynchronous, and the function is a coroutine"
        yield Change.because((edits,), Effect.CORRECT, f"Write `async {word}`", evidence)
