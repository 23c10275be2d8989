"""Handlers that name what they have to handle as well."""

from __future__ import annotations

from typing import Iterator

import libcst as cst

from homeostasis.models import Effect, Risk
from homeostasis_rules_python.code.edit import Edits
from homeostasis_rules_python.code.imports import conflicts
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.facts.narrowhandler import narrowed
from homeostasis_rules_python.refactors.base import Change, register
from homeostasis_rules_python.refactors.reject import caught

_SPACE = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))


@register
class WidenHandler:
    """An `except` clause that names one of two ways in which the same operation fails."""

    refactor_id = "widen-handler"
    needs = ("handled", "escaped")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """The clause with the exception that escaped beside those that it names."""
        handler, escaped = narrowed(facts), facts.values["escaped"]
        if handler is None or handler.type is None:
            return
        text, imports = caught(facts.site.tree, [escaped])
        if any(conflicts(facts.site.tree, each) for each in imports):
            return
        edits = Edits(facts.site.tree)
        edits.replace(handler.type, _with(handler.type, cst.parse_expression(text)))
        edits.add_imports(imports)
        raises = any(True for _each in facts.site.tree.all(cst.Raise, handler.body))
        effect = Effect.REFUSE if raises else Effect.CORRECT
        evidence = f"the handler of {facts.values['handled']} says what is to be done with such a value"
        summary = f"Handle {escaped} like {facts.values['handled']}"
        risk = Risk.LOW if facts.values["sure"] else Risk.HIGH
        yield Change.because((edits,), effect, summary, evidence, 1.0, risk)


def _with(kind: cst.BaseExpression, more: cst.BaseExpression) -> cst.Tuple:
    """A tuple of exceptions with one more."""
    if not isinstance(kind, cst.Tuple):
        return cst.Tuple([cst.Element(kind, _SPACE), cst.Element(more)])
    last = kind.elements[-1].with_changes(comma=_SPACE)
    return kind.with_changes(elements=[*kind.elements[:-1], last, cst.Element(more)])
