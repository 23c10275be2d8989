"""Refactors for calls that do not fit the parameters."""

from __future__ import annotations

from typing import Iterator

import libcst as cst

from homeostasis.models import Effect
from homeostasis_rules_python.code.edit import Edits
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.facts.names import method_without_self
from homeostasis_rules_python.refactors.base import Change, register


@register
class AddSelf:
    """A method that was written without `self`."""

    refactor_id = "add-self"
    needs = ("called",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`self` as first parameter of the only method of that name that lacks it."""
        found = method_without_self(facts.case, facts.values["called"], facts.values.get("owner"))
        if found is None:
            return
        tree, function = found
        given = function.params
        comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
        others = bool(given.params or given.posonly_params or given.kwonly_params or given.star_kwarg)
        others = others or isinstance(given.star_arg, cst.Param)
        own = cst.Param(cst.Name("self"), comma=comma if others else cst.MaybeSentinel.DEFAULT)
        changed = (
            given.with_changes(posonly_params=[own, *given.posonly_params])
            if given.posonly_params
            else given.with_changes(params=[own, *given.params])
        )
        edits = Edits(tree)
        edits.replace(given, changed)
        evidence = f"`{function.name.value}` is a method without `self` and is called on an object"
        summary = f"Give the method `{function.name.value}` its `self`"
        yield Change.because((edits,), Effect.CORRECT, summary, evidence)


@register
class RenameKeyword:
    """A keyword argument that is misspelt."""

    refactor_id = "rename-keyword"
    needs = ("keyword", "called")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """The keyword of the one parameter that is spelt nearly so."""
        keyword, meant = facts.values["keyword"], facts.values["meant"]
        if not isinstance(facts.node, cst.Call) or meant is None:
            return
        for arg in facts.node.args:
            if arg.keyword is not None and arg.keyword.value == keyword:
                edits = Edits(facts.site.tree)
                edits.replace(arg.keyword, cst.Name(meant))
                evidence = f"`{facts.values['called']}` has a parameter `{meant}` and none called `{keyword}`"
                summary = f"Pass `{meant}` instead of `{keyword}`"
                yield Change.because((edits,), Effect.CORRECT, summary, evidence)
