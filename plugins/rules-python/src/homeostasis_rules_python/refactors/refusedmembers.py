"""Dicts that are refused as the file refuses others."""

from __future__ import annotations

from typing import Iterator

import libcst as cst

from homeostasis.models import Effect, Risk
from homeostasis_rules_python.code.edit import Edits, can_insert_before, statements
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.facts.refusedmembers import refusals, renamed
from homeostasis_rules_python.refactors.base import Change, register


@register
class RefuseMemberAsElsewhere:
    """A dict without a key that the code reads."""

    refactor_id = "refuse-member-as-elsewhere"
    needs = ("key", "container", "other_key")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """A guard `key not in container`, with the `raise` that the file has for another key."""
        tree, key, container = facts.site.tree, facts.values["key"], facts.values["container"]
        found = next(refusals(tree, container, key), None)
        statement = tree.statement(facts.node)
        if found is None or statement is None or not can_insert_before(tree, statement):
            return
        other, raised = found
        said = [(text, renamed(text, other, key)) for text in tree.all(cst.SimpleString, raised)]
        texts = {text: new for text, new in said if new is not text}
        guard = cst.ensure_type(statements(f"if {key!r} not in {container}:\n    raise E\n")[0], cst.If)
        answer: cst.CSTNode = raised
        for text, new in texts.items():
            answer = cst.ensure_type(answer.deep_replace(text, new), cst.Raise)
        line = cst.SimpleStatementLine([cst.ensure_type(answer, cst.Raise)])
        edits = Edits(tree)
        edits.insert_before(statement, [guard.with_changes(body=guard.body.with_changes(body=[line]))])
        evidence = f"{tree.path} refuses a `{container.split('.')[-1]}` without {other!r} in the same way"
        summary = f"Refuse a {container.split('.')[-1]} without {key!r}"
        risk = Risk.HIGH if facts.values["optional"] or not texts else Risk.LOW
        yield Change.because((edits,), Effect.REFUSE, summary, evidence, 1.0, risk)
