"""Refactor for a text file that begins with a byte order mark."""

from __future__ import annotations

from typing import Iterator

import libcst as cst

from homeostasis.models import Effect
from homeostasis_rules_python.code.construct import with_keywords
from homeostasis_rules_python.code.edit import Edits, expression
from homeostasis_rules_python.code.scope import binding
from homeostasis_rules_python.code.tree import called_name, literal_of
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.refactors.base import Change, register

MAX_STEPS = 12


@register
class ReadBOM:
    """A file that is opened as UTF-8 and keeps its byte order mark in the first key."""

    refactor_id = "read-bom"
    needs = ("container", "bom")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`encoding='utf-8-sig'` where the file is opened, which reads files with and without the mark."""
        call = _opened(facts, facts.nodes["container"])
        if call is None:
            return
        edits = Edits(facts.site.tree)
        given = next((arg for arg in call.args if arg.keyword is not None and arg.keyword.value == "encoding"), None)
        if given is not None:
            if str(literal_of(given.value)[1]).lower().replace("_", "-") not in ("utf-8", "utf8"):
                return
            edits.replace(given.value, expression("'utf-8-sig'"))
        else:
            edits.replace(call, with_keywords(call, [("encoding", "'utf-8-sig'")]))
        evidence = "the first key begins with a byte order mark, which `utf-8-sig` takes off"
        summary = "Read the file without its byte order mark"
        yield Change.because((edits,), Effect.CORRECT, summary, evidence)


def _opened(facts: Facts, node: cst.BaseExpression | None) -> cst.Call | None:
    """The call of `open` that the rows come from: through names, items and the calls around it."""
    tree = facts.site.tree
    for _step in range(MAX_STEPS):
        if isinstance(node, cst.Call):
            if called_name(node) == "open" and (node.args or isinstance(node.func, cst.Attribute)):
                return node if node.args else None
            node = node.args[0].value if node.args else None
        elif isinstance(node, (cst.Subscript, cst.Attribute)):
            node = node.value
        elif isinstance(node, cst.Name):
            node = binding(tree, node.value, node).value
        else:
            return None
    return None
