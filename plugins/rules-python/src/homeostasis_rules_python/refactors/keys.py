"""Refactors for a key that is missing and should not be: start it, load it, or ask for the right one."""

from __future__ import annotations

from typing import Iterator

import libcst as cst

from homeostasis.models import Effect, Risk
from homeostasis_rules_python.code.conventions import default_for_key
from homeostasis_rules_python.code.edit import Edits, expression, statements
from homeostasis_rules_python.code.places import place_before
from homeostasis_rules_python.code.tree import called_name, literal_of
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.refactors.base import Change, register
from homeostasis_rules_python.refactors.defaults import read_with

COMMA = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
_STARTS = {"number": "0", "text": '""', "append": "[]", "extend": "[]", "add": "set()", "update": "{}"}


def method_call(owner: cst.BaseExpression, name: str, *arguments: cst.BaseExpression) -> cst.Call:
    """`owner.name(arguments)`."""
    args = [cst.Arg(value, comma=COMMA) for value in arguments[:-1]] + [cst.Arg(value) for value in arguments[-1:]]
    return cst.Call(cst.Attribute(owner, cst.Name(name)), args)


@register
class StartNested:
    """A dict of dicts whose outer key is used before it exists."""

    refactor_id = "start-nested"
    needs = ("container", "key", "outer", "inner")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`d.setdefault(a, {})`, with the start of the inner item where something is added to it."""
        inner, tree = facts.values["inner"], facts.site.tree
        first = method_call(facts.nodes["container"], "setdefault", facts.nodes["key"], expression("{}"))
        edits = Edits(tree)
        if inner in ("append", "extend", "add", "update"):
            start = expression(_STARTS[inner])
            edits.replace(facts.nodes["outer"], method_call(first, "setdefault", facts.nodes["inner_key"], start))
        elif inner == "assign":
            edits.replace(facts.node, first)
        elif inner in ("number", "text"):
            _add_up(facts, edits, first, _STARTS[inner])
        else:
            return
        evidence = f"`{facts.values['outer']}` is filled here, so the dict under {facts.values['key']} starts empty"
        summary = f"Start the dict under {facts.values['key']} when it is first used"
        yield Change.because((edits,), Effect.CORRECT, summary, evidence)


def _add_up(facts: Facts, edits: Edits, first: cst.BaseExpression, start: str) -> None:
    """`d.setdefault(a, {})` before, and `d[a][b] = d[a].get(b, 0) + n` for `d[a][b] += n`."""
    tree, outer = facts.site.tree, facts.nodes["outer"]
    statement = tree.parent(outer)
    place = place_before(tree, facts.node)
    if not isinstance(statement, cst.AugAssign) or place is None or not place.takes_statements:
        return
    target = statement.target
    place.put(edits, [cst.SimpleStatementLine(body=[cst.Expr(first)])])
    value = method_call(facts.expression, "get", facts.nodes["inner_key"], expression(start))
    total = cst.BinaryOperation(value, cst.Add(), facts.nodes["inner_amount"])
    edits.replace(statement, cst.Assign([cst.AssignTarget(target)], total))


@register
class LoadOnMiss:
    """A cache that is read before it was filled."""

    refactor_id = "load-on-miss"
    needs = ("container", "key", "loader")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`if key not in CACHE: CACHE[key] = load(key)`, as the app fills it elsewhere."""
        container, key = facts.values["container"], facts.values["key"]
        place = place_before(facts.site.tree, facts.node)
        if place is None or not place.takes_statements or facts.values["access"] != "read":
            return
        edits = Edits(facts.site.tree)
        loading = f"if {key} not in {container}:\n    {container}[{key}] = {facts.values['loader']}\n"
        place.put(edits, statements(loading))
        evidence = f"the app fills `{container}` with `{facts.values['loader']}`"
        summary = f"Load what `{container}` does not hold yet"
        yield Change.because((edits,), Effect.CORRECT, summary, evidence)


@register
class ConvertKey:
    """A key of the right value and the wrong type."""

    refactor_id = "convert-key"
    needs = ("container", "key", "typed_key")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`d[str(key)]`; a conversion that made the wrong type is taken off."""
        kind, key = facts.values["typed_key"], facts.nodes["key"]
        if not facts.values["typed_known"]:
            return
        edits = Edits(facts.site.tree)
        undone = isinstance(key, cst.Call) and called_name(key) in ("int", "str") and len(key.args) == 1
        inner = key.args[0].value if isinstance(key, cst.Call) and undone else None
        if inner is not None and facts.site.type_of(inner) == kind:
            edits.replace(key, inner)
        else:
            edits.replace(key, cst.Call(cst.Name(kind), [cst.Arg(key)]))
        evidence = f"all keys of `{facts.values['container']}` are of type {kind}, and it has this one"
        summary = f"Look `{facts.values['key']}` up as {kind}"
        yield Change.because((edits,), Effect.CORRECT, summary, evidence)


@register
class RenameKey:
    """A key that the code spells differently from the data."""

    refactor_id = "rename-key"
    needs = ("container", "key", "near_key")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """The key as the data has it."""
        key, near = facts.nodes["key"], facts.values["near_key"]
        if not literal_of(key)[0] or "\ufeff" in near:
            return
        quote = key.quote if isinstance(key, cst.SimpleString) else "'"
        plain = near.isprintable() and quote not in near and "\\" not in near and len(quote) == 1
        text = f"{quote}{near}{quote}" if plain else ascii(near)
        edits = Edits(facts.site.tree)
        edits.replace(key, expression(text))
        evidence = f"`{facts.values['container']}` has {near!r} and no {facts.values['key']}"
        summary = f"Read {near!r}, as the data spells it"
        yield Change.because((edits,), Effect.CORRECT, summary, evidence, risk=Risk.MEDIUM)


@register
class DeclaredDefault:
    """A setting that the project declares elsewhere."""

    refactor_id = "declared-default"
    needs = ("container", "key_literal")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`config.get(key, default)` with the default of the code base; nothing if it has none."""
        key = facts.values["key_literal"]
        found = default_for_key(facts.case, facts.site, key) if isinstance(key, str) else None
        if found is not None:
            summary = f"Use the declared default {found.text} for {key}"
            yield read_with(facts, found, Effect.RECOVER, Risk.LOW, summary)


@register
class NestedDefault:
    """A section that is missing, with a declared default for what is read from it."""

    refactor_id = "nested-default"
    needs = ("container", "key", "outer", "inner_key")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`c.get(section, {}).get(key, default)`."""
        inner = facts.values["inner_literal"]
        found = default_for_key(facts.case, facts.site, inner) if isinstance(inner, str) else None
        if found is None or facts.values["inner"] != "read":
            return
        section = method_call(facts.nodes["container"], "get", facts.nodes["key"], expression("{}"))
        edits = Edits(facts.site.tree)
        default = expression(found.text)
        edits.replace(facts.nodes["outer"], method_call(section, "get", facts.nodes["inner_key"], default))
        summary = f"Use {found.text} when {facts.values['key']} is missing"
        rationale = f"The section is missing, and so is what is read from it; {found.evidence}."
        yield Change((edits,), Effect.RECOVER, summary, rationale, found.weight, Risk.LOW, (found.evidence,))


@register
class RemoveIfPresent:
    """Something is taken out that is gone already."""

    refactor_id = "remove-if-present"
    needs = ("container", "key")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`d.pop(key, None)`, `s.discard(item)`, or `if item in items:` before a list's `remove`."""
        container, key, node, tree = facts.nodes["container"], facts.nodes["key"], facts.node, facts.site.tree
        edits = Edits(tree)
        if facts.case.raised.type == "ValueError":
            line = tree.statement(node)
            if not isinstance(line, cst.SimpleStatementLine) or len(line.body) != 1:
                return
            test = f"if {facts.values['key']} in {facts.values['container']}:\n    pass\n"
            around = cst.ensure_type(statements(test)[0], cst.If)
            body = around.body.with_changes(body=[line.with_changes(leading_lines=[])])
            edits.replace(line, around.with_changes(body=body, leading_lines=line.leading_lines))
        elif facts.values["access"] == "remove" and isinstance(node, cst.Call):
            edits.replace(node.func, cst.Attribute(container, cst.Name("discard")))
        elif facts.values["access"] == "pop":
            edits.replace(node, method_call(container, "pop", key, cst.Name("None")))
        else:
            parent = tree.parent(node)
            if not isinstance(parent, cst.Del) or parent.target is not node:
                return
            edits.replace(parent, cst.Expr(method_call(container, "pop", key, cst.Name("None"))))
        evidence = "what shall be gone is gone, and nobody uses what was taken out"
        summary = f"Take {facts.values['key']} out of `{facts.values['container']}` only if it is there"
        yield Change.because((edits,), Effect.CORRECT, summary, evidence, risk=Risk.MEDIUM)
