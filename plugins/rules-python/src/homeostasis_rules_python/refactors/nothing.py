"""Refactors for a stored value that is None."""

from __future__ import annotations

from typing import Iterator

import libcst as cst

from homeostasis.models import Effect, Risk
from homeostasis_rules_python.code.conventions import none_convention
from homeostasis_rules_python.code.edit import Edits, can_insert_before, expression, statements
from homeostasis_rules_python.code.express import express_before, is_repeatable
from homeostasis_rules_python.code.neutral import neutral
from homeostasis_rules_python.code.tree import Tree, called_name, dotted_name, literal_of
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.facts.replacing import bare
from homeostasis_rules_python.refactors.base import Change, register
from homeostasis_rules_python.refactors.placement import fresh_name


@register
class NoneAsElsewhere:
    """The code base has a way to treat this value when it is None."""

    refactor_id = "none-as-elsewhere"
    needs = ("subject", "lookup")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """Skip the item, return, or use the value, as another place of the code base does for the same attribute."""
        subject = facts.nodes["subject"]
        tail = (dotted_name(facts.nodes["lookup"]) or dotted_name(subject) or "").split(".")[-1]
        itself = _whole(facts) is subject
        convention = none_convention(facts.case, tail, itself=itself) if len(tail) > 1 else None
        if convention is None:
            return
        kind, text, evidence = convention
        change = _value(facts, text) if kind == "value" else _leave(facts, kind, text)
        if change is not None:
            edits, summary = change
            yield Change.because((edits,), Effect.RECOVER, summary, evidence)


def _value(facts: Facts, text: str) -> tuple[Edits, str] | None:
    subject, whole = facts.nodes["subject"], _whole(facts)
    if not is_repeatable(subject):
        return None
    edits = Edits(facts.site.tree)
    if whole is subject and text in ("0", '""', "''", "False"):
        edits.replace(subject, cst.BooleanOperation(left=bare(subject), operator=cst.Or(), right=expression(text)))
    else:
        edits.replace(whole, _if_some(subject, whole, text))
    return edits, f"Use {text} when `{facts.values['subject']}` is None"


def _leave(facts: Facts, kind: str, text: str) -> tuple[Edits, str] | None:
    tree, subject = facts.site.tree, facts.nodes["subject"]
    statement = tree.statement(facts.node)
    if statement is None or not can_insert_before(tree, statement):
        return None
    said = express_before(facts.site, subject, statement)
    loop = tree.enclosing(statement, (cst.For, cst.While, cst.FunctionDef))
    if (
        said is None
        or said.loops
        or said.inside
        or said.outside
        or (kind == "continue" and not isinstance(loop, (cst.For, cst.While)))
    ):
        return None
    edits = Edits(tree)
    leaving = "continue" if kind == "continue" else f"return {text}"
    edits.insert_before(statement, statements(f"if {said.text} is None:\n    {leaving}\n"))
    verb = "Skip items" if kind == "continue" else f"Return {text}"
    return edits, f"{verb} when `{said.text}` is None"


@register
class NeutralForNone:
    """An operation on None that has a neutral element."""

    refactor_id = "neutral-for-none"
    needs = ("subject", "source")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`d.get(key, 0)`, `x or 0`, or `x.a if x is not None else 0`, by the use of the value."""
        subject, tree = facts.nodes["subject"], facts.site.tree
        whole = _whole(facts)
        plain = whole is subject
        found = neutral(tree, whole)
        if plain and found.text is None:
            found = neutral(tree, subject)
        if found.text is None:
            return
        product = found.use == "product"
        # That an operation can go on says nothing of what the missing value should have been: a person decides.
        weight, risk = 0.35 if product else 0.8, Risk.HIGH
        edits = Edits(tree)
        if plain and isinstance(subject, cst.Call) and facts.values["source"] == "get" and len(subject.args) == 1:
            comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
            args = [subject.args[0].with_changes(comma=comma), cst.Arg(expression(found.text))]
            edits.replace(subject, subject.with_changes(args=args))
        elif plain:
            operation = cst.BooleanOperation(left=bare(subject), operator=cst.Or(), right=expression(found.text))
            edits.replace(subject, operation)
        elif is_repeatable(subject):
            edits.replace(whole, _if_some(subject, whole, found.text))
        else:
            return
        evidence = f"{found.text} is the neutral element of the {found.use} it is used in"
        summary = f"Use {found.text} when `{facts.values['subject']}` is None"
        yield Change(
            (edits,), Effect.RECOVER, summary, f"The stored value is missing; {evidence}.", weight, risk, (evidence,)
        )


@register
class NoneToNone:
    """A value that is missing when what it belongs to is missing."""

    refactor_id = "none-to-none"
    needs = ("subject",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`x.a if x is not None else None`: an invented answer, for a person to judge.

        What cannot be asked for twice is given an empty value of its own, or a name.
        """
        subject, whole, tree = facts.nodes["subject"], _whole(facts), facts.site.tree
        if whole is subject or neutral(tree, whole).text is not None:
            return
        edits = Edits(tree)
        if is_repeatable(subject):
            for chain in (whole, *_other_chains(facts, whole)):
                edits.replace(chain, _if_some(subject, chain, "None"))
        elif not _ask_once(facts, edits, whole):
            return
        evidence = "nothing in the code base says what stands for a missing value"
        summary = f"Answer None when `{facts.values['subject']}` is None"
        yield Change((edits,), Effect.INVENT, summary, evidence, 1.0, Risk.MEDIUM, (evidence,))


@register
class DefaultForNull:
    """A lookup with a default that gave None all the same, because None is what is stored."""

    refactor_id = "default-for-null"
    needs = ("lookup", "null_default")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`(d.get(key) or "")` for `d.get(key, "")`."""
        lookup, default = facts.nodes["lookup"], facts.values["null_default"]
        if not isinstance(lookup, cst.Call):
            return
        plain = lookup.with_changes(args=[lookup.args[0].with_changes(comma=cst.MaybeSentinel.DEFAULT)])
        edits = Edits(facts.site.tree)
        edits.replace(lookup, cst.BooleanOperation(left=plain, operator=cst.Or(), right=lookup.args[1].value))
        evidence = f"the code takes {default} where there is no value, and a stored None is none"
        summary = f"Use {default} when None is stored"
        yield Change.because((edits,), Effect.RECOVER, summary, evidence)


@register
class EmptyForNone:
    """`x.get(key, default)` of None: what is looked up in nothing is not found."""

    refactor_id = "empty-for-none"
    needs = ("subject",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`(x or {}).get(key, default)`."""
        subject, method = facts.nodes["subject"], facts.expression
        call = facts.site.tree.parent(method)
        if not isinstance(method, cst.Attribute) or method.attr.value != "get" or not isinstance(call, cst.Call):
            return
        if call.func is not method or len(call.args) != 2 or any(arg.keyword or arg.star for arg in call.args):
            return
        default = facts.site.tree.code(call.args[1].value)
        edits = Edits(facts.site.tree)
        edits.replace(subject, cst.BooleanOperation(left=bare(subject), operator=cst.Or(), right=cst.Dict([])))
        evidence = f"the code itself takes {default} for what is not found"
        summary = f"Look nothing up in `{facts.values['subject']}` when it is None"
        yield Change.because((edits,), Effect.RECOVER, summary, evidence)


@register
class OperationOnNone:
    """A difference, a quotient or a comparison with a value that is None."""

    refactor_id = "operation-on-none"
    needs = ("subject",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`x - y if x is not None else None`, `x is not None and x < y`: an invented answer, for a person to judge."""
        subject, tree = facts.nodes["subject"], facts.site.tree
        whole = _operation(facts)
        if whole is None or not is_repeatable(subject):
            return
        edits = Edits(tree)
        if isinstance(whole, cst.Comparison):
            test = cst.Comparison(subject, [cst.ComparisonTarget(cst.IsNot(), cst.Name("None"))])
            edits.replace(whole, cst.BooleanOperation(left=test, operator=cst.And(), right=whole))
            answer = "False"
        else:
            edits.replace(whole, _if_some(subject, whole, "None"))
            answer = "None"
        evidence = "nothing in the code base says what stands for a missing value"
        summary = f"Answer {answer} when `{facts.values['subject']}` is None"
        yield Change((edits,), Effect.INVENT, summary, evidence, 1.0, Risk.HIGH, (evidence,))


def _operation(facts: Facts) -> cst.BaseExpression | None:
    """The comparison, or the whole arithmetic, that a value stands in."""
    tree = facts.site.tree
    node: cst.CSTNode | None = tree.parent(facts.nodes["subject"])
    if isinstance(node, cst.ComparisonTarget):
        node = tree.parent(node)
    if isinstance(node, cst.Comparison):
        return node
    while isinstance(node, cst.BinaryOperation) and isinstance(tree.parent(node), cst.BinaryOperation):
        node = tree.parent(node)
    return node if isinstance(node, cst.BinaryOperation) else None


def _ask_once(facts: Facts, edits: Edits, whole: cst.BaseExpression) -> bool:
    """`d.get(key, "").strip()`, else `found.a if (found := x()) is not None else None`; whether one can be written."""
    subject, tree = facts.nodes["subject"], facts.site.tree
    method = tree.parent(subject)
    on_text = isinstance(method, cst.Attribute) and hasattr(str, method.attr.value)
    empty = neutral(tree, subject).text or ('""' if on_text else None)
    if isinstance(subject, cst.Call) and called_name(subject) in ("get", "getenv") and len(subject.args) == 1 and empty:
        comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
        args = [subject.args[0].with_changes(comma=comma), cst.Arg(expression(empty))]
        edits.replace(subject, subject.with_changes(args=args))
        return True
    nested = (cst.Lambda, cst.CompFor, cst.BaseComp, cst.ClassDef, cst.FunctionDef)
    around = next((each for each in tree.ancestors(whole) if isinstance(each, nested)), None)
    if not isinstance(around, cst.FunctionDef) or isinstance(subject, cst.Await):
        return False
    name = fresh_name(facts.site, "found")
    bound = cst.NamedExpr(cst.Name(name), subject, lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    test = cst.Comparison(bound, [cst.ComparisonTarget(cst.IsNot(), cst.Name("None"))])
    chain: cst.CSTNode = whole.deep_replace(subject, cst.Name(name))
    if not isinstance(chain, cst.BaseExpression):
        return False
    edits.replace(whole, cst.IfExp(test=test, body=chain, orelse=cst.Name("None")))
    return True


def _other_chains(facts: Facts, whole: cst.BaseExpression) -> Iterator[cst.BaseExpression]:
    """What else hangs on the same value in the same statement, and would have failed next."""
    tree, subject = facts.site.tree, facts.nodes["subject"]
    statement = tree.statement(whole)
    if not isinstance(subject, cst.Name) or not isinstance(statement, cst.SimpleStatementLine):
        return
    for use in tree.all(cst.Name, statement):
        parent = tree.parent(use)
        if use.value == subject.value and use is not subject and isinstance(parent, (cst.Attribute, cst.Subscript)):
            guarded = any(
                isinstance(around, (cst.IfExp, cst.BooleanOperation, cst.Lambda)) for around in tree.ancestors(use)
            )
            chain = _chain(tree, parent)
            if parent.value is use and not guarded and neutral(tree, chain).text is None and chain is not whole:
                yield chain


def _whole(facts: Facts) -> cst.BaseExpression:
    """The chain of attributes, calls and items that hangs on the value that is None."""
    return facts.expression if facts.node is facts.nodes["subject"] else _chain(facts.site.tree, facts.expression)


def _chain(tree: Tree, node: cst.BaseExpression) -> cst.BaseExpression:
    """The attributes, calls and items that follow on an expression, with it."""
    while True:
        parent = tree.parent(node)
        if (isinstance(parent, (cst.Attribute, cst.Subscript)) and parent.value is node) or (
            isinstance(parent, cst.Call) and parent.func is node
        ):
            node = parent
        else:
            return node


def _if_some(subject: cst.BaseExpression, whole: cst.BaseExpression, text: str) -> cst.IfExp:
    is_some = cst.Comparison(subject, [cst.ComparisonTarget(cst.IsNot(), cst.Name("None"))])
    default = expression(text)
    if not literal_of(default)[0] and not isinstance(default, (cst.List, cst.Dict)):
        raise ValueError(f"{text!r} is no constant")
    return cst.IfExp(test=is_some, body=whole, orelse=default)
