"""The refactor of a name that only a successful import binds."""

from __future__ import annotations

from typing import Iterator

import libcst as cst

from homeostasis.models import Effect
from homeostasis_rules_python.code.edit import Edits, statements
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.facts.optionalimport import handler_of
from homeostasis_rules_python.refactors.base import Change, register


@register
class BindWithoutLibrary:
    """A name that is asked for None and not bound where its library is missing."""

    refactor_id = "bind-without-library"
    needs = ("optional", "unbound")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`name = None` in the handler of the failed import."""
        handler = handler_of(facts.site.tree, facts.values["unbound"])
        if handler is None or not isinstance(handler.body, cst.IndentedBlock):
            return
        lines = statements("".join(f"{name} = None\n" for name in facts.values["optional"]))
        body = [line for line in handler.body.body if not _is_pass(line)]
        comments = [] if body else list(getattr(handler.body.body[0], "leading_lines", ()))
        lines[0] = lines[0].with_changes(leading_lines=comments)
        edits = Edits(facts.site.tree)
        edits.replace(handler.body, handler.body.with_changes(body=[*body, *lines]))
        summary = f"Let `{facts.values['unbound']}` be None without its library"
        yield Change.because((edits,), Effect.CORRECT, summary, facts.evidence[-1])


def _is_pass(line: cst.BaseStatement) -> bool:
    return isinstance(line, cst.SimpleStatementLine) and all(isinstance(each, cst.Pass) for each in line.body)
