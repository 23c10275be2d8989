"""Refactors of a class that does not let its base class do its part, and of a misspelt import."""

from __future__ import annotations

from typing import Iterator

import libcst as cst

from homeostasis.models import Effect
from homeostasis_rules_python.code.edit import Edits, statements
from homeostasis_rules_python.code.known import app_class
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.refactors.base import Change, register


@register
class InitialiseBase:
    """An `__init__` that forgets the base class."""

    refactor_id = "initialise-base"
    needs = ("owner", "base_arguments")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`super().__init__(...)` as the first statement."""
        found = app_class(facts.case, facts.values["owner"])
        if found is None:
            return
        for function in found[0].all(cst.FunctionDef, found[1]):
            if function.name.value != "__init__" or not isinstance(function.body, cst.IndentedBlock):
                continue
            at = 1 if function.get_docstring() is not None and len(function.body.body) > 1 else 0
            first = function.body.body[at]
            if not isinstance(first, (cst.SimpleStatementLine, cst.BaseCompoundStatement)):
                return
            edits = Edits(found[0])
            given = ", ".join(facts.values["base_arguments"])
            edits.insert_before(first, statements(f"super().__init__({given})\n"))
            summary = f"Let the base class of `{facts.values['owner']}` make its part of the object"
            yield Change.because((edits,), Effect.CORRECT, summary, facts.evidence[-1])
            return


@register
class RenameImported:
    """A name that is imported under a wrong spelling."""

    refactor_id = "rename-imported"
    needs = ("imported", "imported_meant")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """The right name in the import, and wherever the file uses it."""
        node, old, new = facts.node, facts.values["imported"], facts.values["imported_meant"]
        tree = facts.site.tree
        if not isinstance(node, cst.ImportFrom) or any(use.value == new for use in tree.all(cst.Name)):
            return
        edits = Edits(tree)
        for use in tree.all(cst.Name):
            parent = tree.parent(use)
            member = isinstance(parent, cst.Attribute) and parent.attr is use
            if use.value == old and not member and not (isinstance(parent, cst.Arg) and parent.keyword is use):
                edits.replace(use, cst.Name(new))
        evidence = f"the library has `{new}`, and nothing else that is spelt nearly so"
        yield Change.because((edits,), Effect.CORRECT, f"Import `{new}` instead of `{old}`", evidence)
