"""Refactors for handlers whose answer the framework cannot send."""

from __future__ import annotations

from typing import Iterator, Sequence

import libcst as cst

from homeostasis.models import Effect, Risk
from homeostasis_rules_python.code.edit import Edits, statements
from homeostasis_rules_python.code.errorstyle import answers, client_status
from homeostasis_rules_python.code.imports import NewImport, conflicts
from homeostasis_rules_python.code.places import place_before
from homeostasis_rules_python.code.tree import dotted_name
from homeostasis_rules_python.facts.base import Facts, words
from homeostasis_rules_python.refactors.base import Change, register
from homeostasis_rules_python.refactors.placement import fresh_name
from homeostasis_rules_python.refactors.refuse import name_of_lookup, shown


@register
class ReturnAnswer:
    """An answer that is made and not returned."""

    refactor_id = "return-answer"
    needs = ("answer",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`return` before the answer, or behind the statement that gives it a name."""
        node, tree = facts.nodes["answer"], facts.site.tree
        line = tree.statement(node)
        if not isinstance(line, cst.SimpleStatementLine):
            return
        edits = Edits(tree)
        small = line.body[0]
        if isinstance(small, cst.Expr):
            edits.replace(small, cst.Return(small.value))
        else:
            new = statements(f"return {facts.values['answer']}\n")
            edits.insert_after(line, new)
        evidence = f"{facts.where} makes the answer `{facts.values['answer']}` and drops it"
        summary = f"Return `{facts.values['answer']}`"
        yield Change.because((edits,), Effect.CORRECT, summary, evidence)


@register
class AnswerNotFound:
    """A handler that returns nothing when it finds nothing."""

    refactor_id = "answer-not-found"
    needs = ("answered",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """A 4xx where the lookup found nothing: before the return, or at the end of the function."""
        node, part = facts.nodes.get("untold"), "untold"
        if node is None:
            node, part = facts.nodes.get("maybe_none"), "lookup"
        if node is None or facts.values.get(f"{part}_origin") != "client":
            return
        what = words(name_of_lookup(facts, node))
        status = client_status(
            facts.case, facts.site, 404 if facts.values[f"{part}_place"] in ("path", "query") else 400
        )
        for answer in answers(facts.case, facts.site, facts.site.function, status, f"{what} not found"):
            if any(conflicts(facts.site.tree, item) for item in answer.imports):
                continue
            edits = Edits(facts.site.tree)
            if not (
                _refuse_none(facts, edits, node, answer.statement)
                if part == "lookup"
                else _end(facts, edits, answer.statement)
            ):
                return
            edits.add_imports(answer.imports)
            summary = f"Refuse requests for an unknown {what}"
            rationale = f"Nothing was found for what the client asked for; {answer.evidence}."
            yield Change((edits,), Effect.REFUSE, summary, rationale, 1.0, Risk.LOW, (answer.evidence,))


def _refuse_none(facts: Facts, edits: Edits, node: cst.BaseExpression, answer: str) -> bool:
    site = facts.site
    place = place_before(site.tree, node)
    if place is None or not place.takes_statements:
        return False
    name = dotted_name(node)
    lines = ""
    if name is None:
        name = fresh_name(site, "found")
        lines = f"{name} = {site.tree.code(node).strip()}\n"
        edits.replace(node, cst.Name(name))
    place.put(edits, statements(f"{lines}if {name} is None:\n    {answer}\n"))
    return True


def _end(facts: Facts, edits: Edits, text: str) -> bool:
    function = facts.site.function
    if function is None or not isinstance(function.body, cst.IndentedBlock):
        return False
    new: Sequence[cst.BaseStatement] = statements(f"{text}\n")
    edits.wrap(function.body, lambda now: now.with_changes(body=[*now.body, *new]))
    return True


@register
class AnswerEmpty:
    """A handler that has nothing to say and says nothing."""

    refactor_id = "answer-empty"
    needs = ("empty_answer",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`return "", 204` at the end, as other handlers do."""
        edits = Edits(facts.site.tree)
        text = facts.values["empty_answer"]
        if not _end(facts, edits, f"return {text}"):
            return
        evidence = f"other handlers of the file answer with {text} when they have nothing to say"
        summary = f"Answer with {text}"
        yield Change.because((edits,), Effect.RECOVER, summary, evidence)


_LISTS = frozenset(
    ("set", "frozenset", "dict_keys", "dict_values", "dict_items", "range", "deque", "filter", "map", "zip")
)
_SCALARS = frozenset(("int", "float", "bool", "Decimal", "list", "tuple", "UUID", "datetime", "date"))


@register
class AnswerJSON:
    """A plain value as answer of a view."""

    refactor_id = "answer-json"
    needs = ("answer_value", "answered")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`jsonify(value)`, `str(value)` where the app does not speak JSON, and a list for a set."""
        node, kind = facts.nodes["answer_value"], facts.values["answered"]
        edits = Edits(facts.site.tree)
        inner = node.with_changes(lpar=[], rpar=[]) if len(node.lpar) == 1 else node
        if kind in _LISTS:
            inner = cst.Call(cst.Name("list"), [cst.Arg(inner)])
        elif kind not in _SCALARS:
            return
        text = kind in ("int", "float", "Decimal") and not facts.values["speaks_json"]
        if text:
            edits.replace(node, cst.Call(cst.Name("str"), [cst.Arg(inner)]))
        else:
            wanted = NewImport("flask", "jsonify")
            if conflicts(facts.site.tree, wanted):
                return
            edits.replace(node, cst.Call(cst.Name("jsonify"), [cst.Arg(inner)]))
            edits.add_imports([wanted])
        evidence = f"Flask sends no {kind}, but its {'text' if text else 'JSON'}"
        summary = f"Answer with the {'text' if text else 'JSON'} of `{facts.values['answer_value']}`"
        yield Change.because((edits,), Effect.CORRECT, summary, evidence)


@register
class SwapStatus:
    """A status that stands before the body."""

    refactor_id = "swap-status"
    needs = ("swapped",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`body, status`."""
        node = facts.node
        if not isinstance(node, cst.Tuple) or len(node.elements) != 2:
            return
        first, second = node.elements
        edits = Edits(facts.site.tree)
        swapped = [first.with_changes(value=second.value), second.with_changes(value=first.value)]
        edits.replace(node, node.with_changes(elements=swapped))
        evidence = "Flask wants the body first and the status second"
        yield Change.because((edits,), Effect.CORRECT, "Put the body before the status", evidence)


@register
class Serialise:
    """An object, a set or a member of an Enum in a JSON answer."""

    refactor_id = "serialise"
    needs = ("unserialised", "form")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`value.to_dict()`, `[item.to_dict() for item in items]`, `list(value)` or `value.value`."""
        node, form, method = facts.nodes["unserialised"], facts.values["form"], facts.values.get("method")
        code = facts.values["unserialised"].strip()
        texts = {
            "object": f"{code}.{method}()",
            "objects": f"[item.{method}() for item in {code}]",
            "set": f"list({code})",
            "list": f"list({code})",
            "enum": f"{code}.value",
        }
        edits = Edits(facts.site.tree)
        edits.replace(node, cst.parse_expression(texts[form]))
        kind = facts.values["type"]
        evidence = f"the app writes a {kind} with `{method}`" if method else f"JSON has no {kind}"
        summary = f"Write `{shown(facts, 'unserialised')}` as JSON"
        yield Change.because((edits,), Effect.CORRECT, summary, evidence)
