"""Refactors for an index past the end that the code itself is to blame for."""

from __future__ import annotations

from typing import Iterator

import libcst as cst

from homeostasis.models import Effect
from homeostasis_rules_python.code.edit import Edits, can_insert_before, expression, statements
from homeostasis_rules_python.code.express import is_repeatable
from homeostasis_rules_python.code.imports import NewImport, conflicts
from homeostasis_rules_python.code.places import place_before
from homeostasis_rules_python.code.tree import dotted_name
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.refactors.base import Change, register


@register
class StopAtEnd:
    """A loop that runs one step too far."""

    refactor_id = "stop-at-end"
    needs = ("container", "index", "overrun")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`range(len(xs) - 1)` for `xs[i + 1]`, `<` for `<=`, and `xs[-1]` for `xs[len(xs)]`."""
        edits = Edits(facts.site.tree)
        kind, container = facts.values["overrun"], facts.values["container"]
        if kind == "length":
            edits.replace(facts.nodes["index"], expression("-1"))
            evidence, summary = f"`len({container})` is one past the last item", f"Read the last item of `{container}`"
        elif kind == "while":
            test = facts.nodes["test"]
            if not isinstance(test, cst.Comparison):
                return
            target = test.comparisons[0]
            less = target.with_changes(operator=cst.LessThan())
            edits.replace(test, test.with_changes(comparisons=[less]))
            evidence = f"`len({container})` is one past the last item"
            summary = f"Stop before the end of `{container}`"
        else:
            ahead = facts.values.get("ahead")
            length = f"len({container})"
            edits.replace(facts.nodes["end"], expression(f"{length} - {ahead}" if ahead else length))
            evidence = f"the loop reads `{facts.values['index']}` of `{container}` until past its last item"
            summary = f"Stop before the end of `{container}`"
        yield Change.because((edits,), Effect.CORRECT, summary, evidence)


@register
class WhileItems:
    """`while True` around taking items out."""

    refactor_id = "while-items"
    needs = ("container", "drains")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`while items:`."""
        loop = facts.site.tree.enclosing(facts.node, cst.While)
        if loop is None or not facts.values["drains"] or not is_repeatable(facts.nodes["container"]):
            return
        edits = Edits(facts.site.tree)
        edits.replace(loop.test, facts.nodes["container"])
        evidence = f"the loop has no other end than that `{facts.values['container']}` is empty"
        summary = f"Run the loop while `{facts.values['container']}` has items"
        yield Change.because((edits,), Effect.CORRECT, summary, evidence)


@register
class ExplainUsage:
    """A program that is called without its arguments."""

    refactor_id = "explain-usage"
    needs = ("container", "index_literal")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`sys.exit("usage: ...")`, or the module's own description where it has one."""
        index, name = facts.values["index_literal"], dotted_name(facts.nodes["container"])
        place = place_before(facts.site.tree, facts.node)
        if not isinstance(index, int) or index < 1 or name != "sys.argv" or place is None:
            return
        words = " ".join(_argument_names(facts, index))
        text = "__doc__" if facts.values["documented"] else f"f'usage: {{{name}[0]}} {words}'"
        edits = Edits(facts.site.tree)
        place.guard(edits, f"len({name}) < {index + 1}", f"sys.exit({text})")
        evidence = f"the program needs {index} argument{'s' if index > 1 else ''}"
        summary = "Say how the program is called when arguments are missing"
        yield Change.because((edits,), Effect.REFUSE, summary, evidence)


def _argument_names(facts: Facts, last: int) -> list[str]:
    """Names of the variables that the arguments are put into, in capitals."""
    names = {number: f"ARGUMENT{number}" for number in range(1, last + 1)}
    for assignment in facts.site.tree.all(cst.Assign):
        target = dotted_name(assignment.targets[0].target)
        for number in names:
            code = f"sys.argv[{number}]"
            if target is not None and code in facts.site.tree.code(assignment.value):
                names[number] = target.split(".")[-1].upper()
    return [names[number] for number in sorted(names)]


@register
class SkipBlank:
    """A blank line of a file, or an empty row."""

    refactor_id = "skip-blank"
    needs = ("blank",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`if not line.strip(): continue` at the top of the loop."""
        tree, name = facts.site.tree, facts.values["blank"]
        loop = tree.enclosing(facts.node, cst.For)
        while loop is not None and not (isinstance(loop.target, cst.Name) and loop.target.value == name):
            loop = tree.enclosing(loop, cst.For)
        first = loop.body.body[0] if loop is not None else None
        if not isinstance(first, (cst.SimpleStatementLine, cst.BaseCompoundStatement)):
            return
        if not can_insert_before(tree, first):
            return
        text = facts.site.type_of(facts.nodes["blank"]) == "str"
        edits = Edits(tree)
        edits.insert_before(first, statements(f"if not {name}{'.strip()' if text else ''}:\n    continue\n"))
        evidence = f"`{name}` was blank, and a blank {'line' if text else 'row'} holds nothing to read"
        summary = f"Skip blank {'lines' if text else 'rows'}"
        yield Change.because((edits,), Effect.CORRECT, summary, evidence)


@register
class ListOfView:
    """A view of a dict that is indexed like a list."""

    refactor_id = "list-of-view"
    needs = ("view",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`list(d.keys())[0]`."""
        edits = Edits(facts.site.tree)
        edits.replace(facts.nodes["view"], cst.Call(cst.Name("list"), [cst.Arg(facts.nodes["view"])]))
        if conflicts(facts.site.tree, NewImport("builtins", "list")):
            return
        evidence = f"a {facts.values['view_type']} has no index since Python 3"
        summary = f"Make a list of `{facts.values['view']}` before taking an item"
        yield Change.because((edits,), Effect.CORRECT, summary, evidence)
