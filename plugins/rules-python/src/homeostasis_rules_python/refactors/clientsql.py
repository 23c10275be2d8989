"""The refactor of statements that are made with text of the client."""

from __future__ import annotations

from dataclasses import replace
from typing import Iterator, Tuple

from homeostasis.models import Risk
from homeostasis_rules_python.code.imports import NewImport
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.refactors.base import Change, register
from homeostasis_rules_python.refactors.placement import Guard, refusals


@register
class RefuseClientSql:
    """The client sent text that the database reads as SQL."""

    refactor_id = "refuse-client-sql"
    needs = ("word", "field")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`try` and `except` around the statement; always asked about, because other text is still run."""
        field, of_path = facts.values["field"], facts.values["place"] == "path"
        exception, imports = _exception(facts)
        guard = Guard(
            parts=(facts.nodes["statement_text"],),
            test="not {}".format,
            exception=exception,
            status=404 if of_path else 400,
            message="not found" if of_path else f"{field} is not valid",
            summary=f"Refuse requests whose {'path' if of_path else field} the database does not understand",
            prefer_try=True,
            imports=imports,
            sayable=False,
        )
        advice = "pass values as parameters, and look names of columns up in a list: other SQL of a client is still run"
        for change in refusals(facts, guard):
            yield replace(change, risk=Risk.HIGH, evidence=(*change.evidence, advice))


def _exception(facts: Facts) -> Tuple[str, Tuple[NewImport, ...]]:
    """How the class of the exception is written, and the import that it needs."""
    raised = facts.case.raised
    module = raised.module or "builtins"
    if module == "builtins":
        return raised.type, ()
    if "." not in module:
        return f"{module}.{raised.type}", (NewImport(module),)
    return raised.type, (NewImport(module, raised.type),)
