"""The refactor of a walk over what leads back to its beginning."""

from __future__ import annotations

from typing import Iterator

import libcst as cst

from homeostasis.models import Effect, Risk
from homeostasis_rules_python.code.edit import Edits, statements
from homeostasis_rules_python.code.tree import called_name
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.refactors.base import Change, register


@register
class VisitOnce:
    """A recursive function over a graph with cycles."""

    refactor_id = "visit-once"
    needs = ("walk", "item")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """A set of what was seen, handed on from call to call; an item seen before counts for nothing."""
        function, tree = facts.site.function, facts.site.tree
        if function is None or not isinstance(function.body, cst.IndentedBlock):
            return
        item, nothing = facts.values["item"], facts.values["nothing"]
        edits = Edits(tree)
        comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
        last = function.params.params[-1].with_changes(comma=comma)
        tight = cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))
        seen = cst.Param(cst.Name("seen"), equal=tight, default=cst.Name("None"))
        edits.replace(function.params, function.params.with_changes(params=[*function.params.params[:-1], last, seen]))
        for call in tree.all(cst.Call, function.body):
            if called_name(call) == facts.values["walk"]:
                args = [call.args[0].with_changes(comma=comma), cst.Arg(cst.Name("seen"))]
                edits.replace(call, call.with_changes(args=args))
        leave = f"return {nothing}".rstrip()
        text = f"seen = set() if seen is None else seen\nif id({item}) in seen:\n    {leave}\nseen.add(id({item}))\n"
        at = 1 if len(function.body.body) > 1 and function.get_docstring() is not None else 0
        first = function.body.body[at]
        if not isinstance(first, (cst.SimpleStatementLine, cst.BaseCompoundStatement)):
            return
        edits.insert_before(first, statements(text))
        evidence = f"an item that `{facts.values['walk']}` has visited before adds nothing new"
        summary = f"Visit each item once in `{facts.values['walk']}`"
        yield Change.because((edits,), Effect.CORRECT, summary, evidence, 0.9, Risk.MEDIUM)
