"""Refactors for files: directories that are made before, and statements that belong into the `with`."""

from __future__ import annotations

from typing import Iterator

import libcst as cst

from homeostasis.models import Effect
from homeostasis_rules_python.code.edit import Edits, statements
from homeostasis_rules_python.code.imports import NewImport, conflicts
from homeostasis_rules_python.code.tree import literal_of
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.refactors.base import Change, register


@register
class MakeDirectory:
    """A file that is written into a directory which does not exist."""

    refactor_id = "make-directory"
    needs = ("written",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`Path(path).parent.mkdir(parents=True, exist_ok=True)` before it is opened."""
        tree = facts.site.tree
        statement, wanted = tree.statement(facts.node), NewImport("pathlib", "Path")
        written = facts.values["written"]
        if statement is None or conflicts(tree, wanted):
            return
        path = written if facts.values["is_path"] else f"Path({written})"
        edits = Edits(tree)
        edits.insert_before(statement, statements(f"{path}.parent.mkdir(parents=True, exist_ok=True)\n"))
        if not facts.values["is_path"]:
            edits.add_imports([wanted])
        evidence = f"opening `{written}` for writing fails only where its directory is missing"
        summary = f"Make the directory of `{written}` before writing"
        yield Change.because((edits,), Effect.CORRECT, summary, evidence)


@register
class KeepOpen:
    """A file that is used after its `with`."""

    refactor_id = "keep-open"
    needs = ("closed",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """The statements up to the one that reads the file move into the `with`."""
        tree = facts.site.tree
        block = tree.parent(facts.node)
        first, last = facts.values["closed"], facts.values["until"]
        if not isinstance(block, cst.IndentedBlock):
            return
        edits = Edits(tree)

        def make(now: cst.IndentedBlock) -> cst.CSTNode:
            opened = cst.ensure_type(now.body[first], cst.With)
            inner = cst.ensure_type(opened.body, cst.IndentedBlock)
            kept = [each for each in inner.body if not _is_pass(each)]
            moved = inner.with_changes(body=[*kept, *now.body[first + 1 : last + 1]])
            return now.with_changes(body=[*now.body[:first], opened.with_changes(body=moved), *now.body[last + 1 :]])

        edits.wrap(block, make)
        evidence = "the file is read lazily, and the `with` closes it before"
        yield Change.because((edits,), Effect.CORRECT, "Read the file while it is open", evidence)


def _is_pass(node: cst.CSTNode) -> bool:
    return isinstance(node, cst.SimpleStatementLine) and isinstance(node.body[0], cst.Pass)


@register
class DocumentedSetting:
    """An environment variable that is not set, or is empty, and has a default."""

    refactor_id = "documented-setting"
    needs = ("setting", "default")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """The default that the project documents, as second argument or after `or`."""
        call, text = facts.nodes["setting"], facts.values["default"]
        default = cst.parse_expression(text)
        if not isinstance(call, cst.Call) or not literal_of(default)[0]:
            return
        edits = Edits(facts.site.tree)
        if facts.values["empty"]:
            edits.replace(call, cst.BooleanOperation(call.with_changes(args=[_last(call.args[0])]), cst.Or(), default))
        else:
            comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
            edits.replace(call, call.with_changes(args=[call.args[0].with_changes(comma=comma), cst.Arg(default)]))
        evidence = facts.values["documented"]
        summary = f"Use the documented default {text} for {facts.values['variable']}"
        yield Change.because((edits,), Effect.RECOVER, summary, evidence)


def _last(arg: cst.Arg) -> cst.Arg:
    return arg.with_changes(comma=cst.MaybeSentinel.DEFAULT)
