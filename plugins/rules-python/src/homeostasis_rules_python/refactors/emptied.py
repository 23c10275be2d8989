"""Refactors for operations on nothing: `max`, `mean`, `choice`, `reduce` and `next`."""

from __future__ import annotations

from typing import Iterator

import libcst as cst

from homeostasis.models import Effect, Risk
from homeostasis_rules_python.code.edit import Edits, expression, statements
from homeostasis_rules_python.code.errorstyle import answers, client_status
from homeostasis_rules_python.code.express import is_repeatable
from homeostasis_rules_python.code.imports import conflicts
from homeostasis_rules_python.code.places import can_be_hoisted, place_before
from homeostasis_rules_python.code.tree import dotted_name
from homeostasis_rules_python.facts.base import Facts, words
from homeostasis_rules_python.refactors.base import Change, register
from homeostasis_rules_python.refactors.defaults import is_optional
from homeostasis_rules_python.refactors.keys import COMMA
from homeostasis_rules_python.refactors.placement import Guard, fresh_name, refusals
from homeostasis_rules_python.refactors.refuse import shown


def declared_value(facts: Facts) -> tuple[str, Effect, float, str]:
    """What stands for nothing: what the function returns elsewhere, its annotation, the neutral element, else None."""
    declared = facts.values["declared"] if facts.values["returned"] else None
    if declared is None and facts.values["returned"] and is_optional(facts):
        declared = "None"
    if declared is not None:
        return declared, Effect.RECOVER, 1.0, f"the function itself returns {declared} when there is nothing"
    if facts.values["neutral"] is not None and facts.values["use"] in ("sum", "text", "iteration"):
        text, use = facts.values["neutral"], facts.values["use"]
        return text, Effect.RECOVER, 0.6, f"{text} is the neutral element of the {use} it is used in"
    return "None", Effect.INVENT, 0.25, "nothing in the code base says what stands for nothing"


def keyword_argument(name: str, value: cst.BaseExpression) -> cst.Arg:
    """`name=value`."""
    bare = cst.SimpleWhitespace("")
    equal = cst.AssignEqual(whitespace_before=bare, whitespace_after=bare)
    return cst.Arg(value, keyword=cst.Name(name), equal=equal)


def with_argument(call: cst.Call, new: cst.Arg) -> cst.Call:
    """The call with one more argument; a generator that was the only one gets its parentheses."""
    args = list(call.args)
    last = args[-1]
    if isinstance(last.value, cst.GeneratorExp) and not last.value.lpar:
        bare = last.value.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
        last = last.with_changes(value=bare)
    args[-1] = last if isinstance(last.comma, cst.Comma) else last.with_changes(comma=COMMA)
    return call.with_changes(args=[*args, new])


@register
class DefaultForNothing:
    """An extreme, an average or a random item of nothing."""

    refactor_id = "default-for-nothing"
    needs = ("container", "empty_of")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`max(xs, default=0)` and `next(it, None)`; `mean(xs) if xs else 0` for what takes no default."""
        call, kind = facts.node, facts.values["empty_of"]
        if not isinstance(call, cst.Call):
            return
        text, effect, weight, evidence = declared_value(facts)
        edits = Edits(facts.site.tree)
        if kind == "extreme" and len([arg for arg in call.args if arg.keyword is None]) == 1:
            edits.replace(call, with_argument(call, keyword_argument("default", expression(text))))
        elif kind == "next":
            edits.replace(call, with_argument(call, cst.Arg(expression(text))))
        elif not facts.values["filtered"] and is_repeatable(facts.nodes["container"]):
            edits.replace(call, cst.IfExp(test=facts.nodes["container"], body=call, orelse=expression(text)))
        else:
            return
        summary = f"Use {text} when `{facts.values['container']}` is empty"
        risk = Risk.LOW if weight == 1.0 else Risk.MEDIUM
        yield Change.because((edits,), effect, summary, evidence, weight, risk)


_OPERATORS = {"add": "0", "mul": "1", "or_": None, "concat": None, "iconcat": None}


@register
class InitialForReduce:
    """`reduce` of nothing, without an initial value."""

    refactor_id = "initial-for-reduce"
    needs = ("container",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """The neutral element of the operation as initial value."""
        call = facts.node
        if not isinstance(call, cst.Call) or len(call.args) != 2:
            return
        text = _neutral_of(call.args[0].value)
        if text is None:
            return
        edits = Edits(facts.site.tree)
        edits.replace(call, with_argument(call, cst.Arg(expression(text))))
        evidence = f"{text} is the neutral element of the operation"
        summary = f"Let `reduce` start with {text}"
        yield Change.because((edits,), Effect.RECOVER, summary, evidence)


def _neutral_of(function: cst.BaseExpression) -> str | None:
    name = (dotted_name(function) or "").split(".")[-1]
    if name in _OPERATORS:
        return _OPERATORS[name]
    if not isinstance(function, cst.Lambda) or not isinstance(function.body, cst.BinaryOperation):
        return None
    given = [item.name.value for item in function.params.params]
    sides = [dotted_name(function.body.left), dotted_name(function.body.right)]
    if sorted(str(side) for side in sides) != sorted(given):
        return None
    return {cst.Add: "0", cst.Multiply: "1"}.get(type(function.body.operator))


@register
class RefuseNothing:
    """The client sent no items, or asked for something that has none."""

    refactor_id = "refuse-nothing"
    needs = ("container", "empty_of")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """A guard `not items`; `try` where items are left out on the way."""
        sent = facts.values["container_origin"] == "client"
        name = shown(facts, "container")
        missing = facts.values.get("lookup_place") == "path" and not sent
        exception = {"statistics": "ValueError", "choice": "IndexError", "reduce": "TypeError"}
        guard = Guard(
            parts=(facts.nodes["container"],),
            test="not {}".format,
            exception=exception.get(facts.values["empty_of"], "ValueError"),
            status=404 if missing else 400,
            message=f"{name} must not be empty" if sent else f"{words(name)} not found",
            summary=f"Refuse requests for which {name} is empty",
            subject=str(facts.values["called"]),
        )
        yield from refusals(facts, guard)


@register
class RefuseNotFound:
    """The client asks for an item that a search through a list does not find."""

    refactor_id = "refuse-not-found"
    needs = ("sought", "sought_place")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`next(..., None)` and a guard on None behind it."""
        call, site = facts.node, facts.site
        place = place_before(site.tree, call)
        if not isinstance(call, cst.Call) or place is None:
            return
        what = words(shown(facts, "sought"))
        path = facts.values["sought_place"] == "path"
        status = client_status(facts.case, site, 404 if path else 400)
        for answer in answers(facts.case, site, site.function, status, f"{what} not found"):
            if any(conflicts(site.tree, item) for item in answer.imports):
                continue
            edits = Edits(site.tree)
            searched = with_argument(call, cst.Arg(cst.Name("None")))
            bound = _bound_name(site.tree.parent(call), place.boundary)
            if bound is not None:
                edits.replace(call, searched)
                guard = statements(f"if {bound} is None:\n    {answer.statement}\n")
                edits.insert_after(place.boundary, guard)
            elif can_be_hoisted(site.tree, call, place):
                name = fresh_name(site, "found")
                lines = f"{name} = {site.tree.code(searched)}\nif {name} is None:\n    {answer.statement}\n"
                place.put(edits, statements(lines))
                edits.replace(call, cst.Name(name))
            else:
                return
            edits.add_imports(answer.imports)
            summary = f"Refuse requests for an unknown {what}"
            rationale = f"Nothing was found for what the client asked for; {answer.evidence}."
            yield Change((edits,), Effect.REFUSE, summary, rationale, 1.0, Risk.LOW, (answer.evidence,))


def _bound_name(parent: cst.CSTNode | None, boundary: cst.CSTNode) -> str | None:
    """The variable that a statement binds to the value and nothing else."""
    whole = isinstance(boundary, cst.SimpleStatementLine) and boundary.body[0] is parent
    if whole and isinstance(parent, cst.Assign) and len(parent.targets) == 1:
        return dotted_name(parent.targets[0].target)
    return None
