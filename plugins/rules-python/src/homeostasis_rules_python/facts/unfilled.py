"""Parameters without a default that callers leave out, where the code base says what stands for them."""

from __future__ import annotations

import re
from typing import Iterator, List, Tuple

import libcst as cst

from homeostasis_rules_python.code.called import definition_site, owner_of
from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.known import functions_named
from homeostasis_rules_python.code.saiddefaults import declared
from homeostasis_rules_python.code.scope import imported_names, target_names
from homeostasis_rules_python.code.tree import Tree, called_name, dotted_name, literal_of
from homeostasis_rules_python.facts import names, signatures
from homeostasis_rules_python.facts.base import Facts, extracts

_MISSING = re.compile(names.CALLED + r"missing 1 required (?:positional|keyword-only) argument: '(?P<given>\w{1,200})'")
_EMPTY = ("()", "[]", "{}")


@extracts("TypeError", rank=44)
def left_out(case: Case, site: Site) -> Facts | None:
    """Facts about a parameter that has a default wherever else it is declared, or that the function takes None for.

    `unfilled` is its name, `default` the source of what stands for it, `agreeing` how many declarations say so: 0 if
    only the function's own code does.
    """
    found = _MISSING.match(case.raised.message)
    stale = signatures.stale_call(case, site) if found is not None else None
    if found is None or (stale is not None and stale.values.get("suppliable")):
        return None
    definition = _definition(case, found["name"], found["owner"], found["given"])
    parameter = _parameter(definition[1], found["given"]) if definition is not None else None
    if definition is None or parameter is None:
        return None
    tree, function = definition
    said = _elsewhere(case, tree, function, found["given"]) or _of_itself(tree, function, found["given"])
    said = said or declared(tree, function, parameter)
    if said is None:
        return None
    default, agreeing, evidence = said
    facts = Facts.about(case, definition_site(case, tree, function), parameter.name)
    facts.values.update(unfilled=found["given"], default=default, agreeing=agreeing, called=function.name.value)
    facts.evidence.append(evidence)
    facts.sentence = f"`{function.name.value}` is called without `{found['given']}`, which has no default here"
    return facts


def _definition(case: Case, name: str, owner: str | None, given: str) -> Tuple[Tree, cst.FunctionDef] | None:
    found = [each for each in functions_named(case, name) if case.source.refusal(each[0].path) is None]
    if len(found) > 1 and owner is not None:
        found = [(tree, function) for tree, function in found if owner_of(tree, function) == owner]
    elif len(found) > 1:
        # Before Python 3.10 the message does not name the class: it is the one whose method needs the argument.
        found = [(tree, function) for tree, function in found if _parameter(function, given) is not None]
    return found[0] if len(found) == 1 else None


def _parameter(function: cst.FunctionDef, name: str) -> cst.Param | None:
    """The parameter, if a default could stand there: all that follow it have one."""
    for listed in (list(function.params.kwonly_params), [*function.params.posonly_params, *function.params.params]):
        for at, each in enumerate(listed):
            if each.name.value == name and each.default is None:
                later = [] if each in function.params.kwonly_params else listed[at + 1 :]
                return each if all(other.default is not None for other in later) else None
    return None


def _elsewhere(case: Case, tree: Tree, function: cst.FunctionDef, name: str) -> Tuple[str, int, str] | None:
    """The default that functions of the same name give the same parameter, if they agree."""
    texts: List[str] = []
    place = ""
    for other, same in functions_named(case, function.name.value):
        given = [each for each in _all_parameters(same) if each.name.value == name and same is not function]
        for each in given:
            if each.default is None or not _means_the_same(other, tree, each.default):
                return None
            texts.append(other.code(each.default))
            place = f"{other.path}:{other.range(each).start.line}"
    if not texts or len(set(texts)) != 1:
        return None
    if _passes_on(tree, function, name):
        evidence = f"`{function.name.value}` passes `{name}` on, and what it calls has `{name}={texts[0]}` ({place})"
        return texts[0], len(texts) + 1, evidence
    times = "once" if len(texts) == 1 else f"{len(texts)} times"
    evidence = f"`{function.name.value}` is declared elsewhere with `{name}={texts[0]}` {times}, such as in {place}"
    return texts[0], len(texts), evidence


def _passes_on(tree: Tree, function: cst.FunctionDef, name: str) -> bool:
    """Whether all that a function does with a parameter is to hand it to another function of its own name."""
    uses = [use for use in tree.all(cst.Name, function.body) if use.value == name and _is_value(tree, use)]
    calls = [tree.parent(tree.parent(use) or use) for use in uses if isinstance(tree.parent(use), cst.Arg)]
    return len(uses) == len(calls) == 1 and all(
        isinstance(call, cst.Call) and called_name(call) == function.name.value for call in calls
    )


def _all_parameters(function: cst.FunctionDef) -> List[cst.Param]:
    given = function.params
    return [*given.posonly_params, *given.params, *given.kwonly_params]


def _means_the_same(other: Tree, tree: Tree, default: cst.BaseExpression) -> bool:
    """Whether a default says the same in another file: a constant, an empty collection, or a name of this very file."""
    if literal_of(default)[0] or other.code(default).replace(" ", "") in _EMPTY:
        return True
    root = (dotted_name(default) or "").split(".")[0]
    return bool(root) and other is tree and root in _module_names(tree)


def _module_names(tree: Tree) -> Iterator[str]:
    for statement in tree.module.body:
        if isinstance(statement, (cst.ClassDef, cst.FunctionDef)):
            yield statement.name.value
        for small in statement.body if isinstance(statement, cst.SimpleStatementLine) else ():
            if isinstance(small, (cst.Import, cst.ImportFrom)):
                yield from imported_names(small)
            elif isinstance(small, cst.Assign):
                for target in small.targets:
                    yield from target_names(target.target)


def _of_itself(tree: Tree, function: cst.FunctionDef, name: str) -> Tuple[str, int, str] | None:
    """What the function's own code takes for nothing: None that it asks for, or the empty tuple that it only walks."""
    uses = [use for use in tree.all(cst.Name, function.body) if use.value == name and _is_value(tree, use)]
    if any(_asks_for_none(tree, use) for use in uses):
        return "None", 0, f"`{function.name.value}` says itself what it does when `{name}` is None"
    if uses and all(isinstance(tree.parent(use), (cst.For, cst.CompFor)) for use in uses):
        return "()", 0, f"`{function.name.value}` does nothing with `{name}` but walk through it"
    return None


def _is_value(tree: Tree, use: cst.Name) -> bool:
    parent = tree.parent(use)
    return not (isinstance(parent, cst.Attribute) and parent.attr is use) and not (
        isinstance(parent, cst.Arg) and parent.keyword is use
    )


def _asks_for_none(tree: Tree, use: cst.Name) -> bool:
    """`x is None`, `x is not None`, `x or y`."""
    parent = tree.parent(use)
    if isinstance(parent, cst.BooleanOperation) and isinstance(parent.operator, cst.Or) and parent.left is use:
        return True
    if not isinstance(parent, cst.Comparison) or parent.left is not use or len(parent.comparisons) != 1:
        return False
    target = parent.comparisons[0]
    return isinstance(target.operator, (cst.Is, cst.IsNot)) and dotted_name(target.comparator) == "None"
