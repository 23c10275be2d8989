"""Refactors that take a changed signature to all callers, in all files of the app."""

from __future__ import annotations

from typing import Dict, Iterator, List, Sequence, Tuple

import libcst as cst

from homeostasis.models import Effect, Risk
from homeostasis_rules_python.code.edit import Edits
from homeostasis_rules_python.code.express import is_repeatable
from homeostasis_rules_python.code.references import references
from homeostasis_rules_python.code.scope import binding
from homeostasis_rules_python.code.signature import Signature, signature
from homeostasis_rules_python.code.tree import Tree, literal_of
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.refactors.base import Change, register

Place = Tuple[Tree, cst.Call]


@register
class RenamePassedKeyword:
    """A parameter that was renamed, and calls that still pass it under its old name."""

    refactor_id = "rename-passed-keyword"
    needs = ("called", "keyword", "renamed_to")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """The new name, in every call that passes the old one."""
        old, new = facts.values["keyword"], facts.values["renamed_to"]
        edits = _AllFiles()
        for tree, call in _callers(facts):
            for arg in call.args:
                if arg.keyword is not None and arg.keyword.value == old:
                    edits.of(tree).replace(arg.keyword, cst.Name(new))
        called = facts.values["called"]
        evidence = (
            f"`{called}` has no parameter `{old}`, and these calls lack nothing but its parameter `{new}`",
            *edits.counted(f"calls pass `{old}`"),
        )
        summary = f"Pass `{new}` instead of `{old}` to `{called}`"
        yield Change(edits.made, Effect.CORRECT, summary, f"{evidence[0]}.", 1.0, Risk.LOW, evidence)


@register
class DropPassedKeyword:
    """A parameter that was removed, and calls that still pass it."""

    refactor_id = "drop-passed-keyword"
    needs = ("called", "keyword", "stale")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """Every such call without the argument, if nothing is lost but the value itself."""
        keyword = facts.values["keyword"]
        edits = _AllFiles()
        for tree, call in _callers(facts):
            given = next((arg for arg in call.args if arg.keyword is not None and arg.keyword.value == keyword), None)
            if given is None:
                continue
            if not is_repeatable(given.value) and not literal_of(given.value)[0]:
                return
            edits.of(tree).replace(call, _without(call, given))
        called = facts.values["called"]
        evidence = (f"`{called}` has no parameter `{keyword}` and no `**`, and these calls fill all that it needs",)
        summary = f"Do not pass `{keyword}` to `{called}`"
        # What the caller meant by the argument is lost: a person shall look at it.
        yield Change(edits.made, Effect.CORRECT, summary, f"{evidence[0]}.", 0.8, Risk.HIGH, evidence)


@register
class PassAddedParameter:
    """A parameter that was added without default, and calls that do not pass it."""

    refactor_id = "pass-added-parameter"
    needs = ("called", "added")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """What the caller has under that name, else the constant that all other calls pass."""
        name, called = facts.values["added"], _called(facts)
        if called is None:
            return
        callers = _callers(facts)
        constant = _constant_elsewhere(callers, name)
        edits, left = _AllFiles(), []
        for tree, call in callers:
            if called.lacking(call) != [name]:
                continue
            value = _value_in_scope(tree, call, name) or constant
            if value is not None:
                edits.of(tree).replace(call, _with(call, name, value))
            elif call is facts.node:
                return
            else:
                left.append(f"{tree.path}:{tree.range(call).start.line}")
        source = (
            "the caller has a value of that name" if constant is None else f"every other call passes {_text(constant)}"
        )
        evidence = (f"`{called.name.value}` needs `{name}`; {source}",)
        rest = f" Nothing is known for {', '.join(left)}, which still lack it." if left else ""
        summary = f"Pass `{name}` to `{called.name.value}`"
        yield Change(edits.made, Effect.RECOVER, summary, f"{evidence[0]}.{rest}", 1.0, Risk.MEDIUM, evidence)


class _AllFiles:
    """Edits by file."""

    def __init__(self) -> None:
        self._by_path: Dict[str, Edits] = {}
        self._number = 0

    def of(self, tree: Tree) -> Edits:
        self._number += 1
        return self._by_path.setdefault(tree.path, Edits(tree))

    @property
    def made(self) -> Tuple[Edits, ...]:
        return tuple(self._by_path.values())

    def counted(self, what: str) -> Sequence[str]:
        """How many places in how many files are changed, if it is more than one."""
        if self._number < 2:
            return ()
        files = len(self._by_path)
        return (f"{self._number} {what}, in {files} file{'s' if files > 1 else ''}",)


def _called(facts: Facts) -> Signature | None:
    if not isinstance(facts.node, cst.Call):
        return None
    return signature(facts.case, facts.site.tree, facts.node, facts.values["called_owner"])


def _callers(facts: Facts) -> List[Place]:
    """The failing call first, then all others that certainly call the same."""
    found: List[Place] = []
    if isinstance(facts.node, cst.Call):
        found.append((facts.site.tree, facts.node))
    called = _called(facts)
    for tree, name in references(facts.case, called.tree, called.name) if called is not None else ():
        call = _call_of(tree, name)
        if call is not None and all(call is not other for _tree, other in found):
            found.append((tree, call))
    return found


def _call_of(tree: Tree, name: cst.Name) -> cst.Call | None:
    func: cst.CSTNode = name
    parent = tree.parent(name)
    if isinstance(parent, cst.Attribute) and parent.attr is name:
        func, parent = parent, tree.parent(parent)
    return parent if isinstance(parent, cst.Call) and parent.func is func else None


def _value_in_scope(tree: Tree, call: cst.Call, name: str) -> cst.BaseExpression | None:
    """A parameter or local variable of the caller of that name that has its value before the call."""
    if tree.function(call) is None:
        return None
    return cst.Name(name) if binding(tree, name, call).kind in ("parameter", "assign", "element", "with") else None


def _constant_elsewhere(callers: Sequence[Place], name: str) -> cst.BaseExpression | None:
    passed = [
        arg.value
        for _tree, call in callers
        for arg in call.args
        if arg.keyword is not None and arg.keyword.value == name
    ]
    known = [literal_of(value) for value in passed]
    if not passed or not all(is_literal for is_literal, _value in known):
        return None
    same = all(type(value) is type(known[0][1]) and value == known[0][1] for _is_literal, value in known)
    return passed[0] if same else None


def _text(node: cst.BaseExpression) -> str:
    return cst.Module([]).code_for_node(node)


def _without(call: cst.Call, given: cst.Arg) -> cst.Call:
    args = [arg for arg in call.args if arg is not given]
    if args and given is call.args[-1]:
        args[-1] = args[-1].with_changes(comma=given.comma, whitespace_after_arg=given.whitespace_after_arg)
    return call.with_changes(args=args)


def _with(call: cst.Call, name: str, value: cst.BaseExpression) -> cst.Call:
    none = cst.SimpleWhitespace("")
    equal = cst.AssignEqual(whitespace_before=none, whitespace_after=none)
    new = cst.Arg(value, keyword=cst.Name(name), equal=equal)
    args = list(call.args)
    if args:
        last = args[-1]
        before = args[-2].comma if len(args) > 1 else None
        comma = before if isinstance(before, cst.Comma) else cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
        args[-1] = last.with_changes(comma=comma, whitespace_after_arg=none)
        new = new.with_changes(comma=last.comma, whitespace_after_arg=last.whitespace_after_arg)
    return call.with_changes(args=[*args, new])
