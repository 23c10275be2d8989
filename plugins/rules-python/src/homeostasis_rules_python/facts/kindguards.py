"""Methods called on objects of any kind, where the code beside asks for the kind first."""

from __future__ import annotations

import builtins
import re
from typing import Iterator, Tuple

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.scope import bindings_in, imported_names
from homeostasis_rules_python.code.tree import Tree, argument, called_name, dotted_name
from homeostasis_rules_python.facts.base import Facts, extracts
from homeostasis_rules_python.facts.replacing import replacing

_NO_METHOD = re.compile(
    r"^'(?P<kind>[\w.]{1,200})' object has no attribute '(?P<name>\w{1,100})'"
    r"|^(?:[\w.]{1,100}\.)?(?P<called>\w{1,100})\(\) (?:takes|missing|expected)"
    r"|^(?P<plain>\w{1,100}) expected at least "
)


@extracts("AttributeError", "TypeError", rank=53)
def unguarded_kind(case: Case, site: Site) -> Facts | None:
    """`mistake` is `kind`: `x.method() if isinstance(x, Kind) else x`, as the file has it for the same method."""
    found = _NO_METHOD.match(case.raised.message)
    if found is None:
        return None
    name = found["name"] or found["called"] or found["plain"]
    for node in site.nodes(cst.Call):
        func = node.func if isinstance(node, cst.Call) else None
        if not isinstance(func, cst.Attribute) or func.attr.value != name or not isinstance(func.value, cst.Name):
            continue
        guard = _guarded(site, name)
        if (
            guard is None
            or not isinstance(node, cst.Call)
            or node.args
            or _is_guarded(site.tree, node, func.value.value)
        ):
            return None
        kind, line = guard
        test = cst.Call(cst.Name("isinstance"), [_with_comma(func.value), cst.Arg(kind)])
        new = cst.IfExp(test=test, body=node, orelse=func.value)
        code = site.tree.code(kind)
        sentence = f"{{where}} calls `{name}` of any object, and line {line} only of a `{code}`"
        return replacing(case, site, "kind", node, new, sentence)
    return None


def _with_comma(value: cst.BaseExpression) -> cst.Arg:
    return cst.Arg(value, comma=cst.Comma(whitespace_after=cst.SimpleWhitespace(" ")))


def _guarded(site: Site, method: str) -> Tuple[cst.BaseExpression, int] | None:
    """The kind that the file asks for before it calls the method, and otherwise takes the object as it is."""
    found = {}
    for kind, node in _choices(site.tree, method):
        if _is_known(site, kind, node):
            found[site.tree.code(kind)] = (kind, site.tree.range(node).start.line)
    return next(iter(found.values())) if len(found) == 1 else None


def _choices(tree: Tree, method: str) -> Iterator[Tuple[cst.BaseExpression, cst.CSTNode]]:
    for choice in tree.all(cst.IfExp):
        kind, name = _asked(choice.test)
        if kind is not None and _calls(choice.body, name, method) and dotted_name(choice.orelse) == name:
            yield kind, choice
    for conditional in tree.all(cst.If):
        kind, name = _asked(conditional.test)
        last: cst.CSTNode | None = conditional.orelse
        while isinstance(last, cst.If):
            last = last.orelse
        taken, kept = _only(conditional.body), _only(last.body) if isinstance(last, cst.Else) else None
        if kind is None or taken is None or kept is None or dotted_name(kept[1]) != name:
            continue
        if _calls(taken[1], name, method) and tree.code(taken[0]) == tree.code(kept[0]):
            yield kind, conditional


def _asked(test: cst.BaseExpression) -> Tuple[cst.BaseExpression | None, str | None]:
    """`Kind` and `x` of `isinstance(x, Kind)`."""
    if not isinstance(test, cst.Call) or called_name(test) != "isinstance" or len(test.args) != 2:
        return None, None
    return argument(test, 1), dotted_name(test.args[0].value)


def _calls(value: cst.BaseExpression, name: str | None, method: str) -> bool:
    func = value.func if isinstance(value, cst.Call) and not value.args else None
    return isinstance(func, cst.Attribute) and func.attr.value == method and dotted_name(func.value) == name


def _only(body: cst.BaseSuite) -> Tuple[cst.CSTNode, cst.BaseExpression] | None:
    """Target and value of the one assignment of a block."""
    line = body.body[0] if len(body.body) == 1 else None
    small = line.body[0] if isinstance(line, cst.SimpleStatementLine) else line
    return (small.targets[0].target, small.value) if isinstance(small, cst.Assign) else None


def _is_known(site: Site, kind: cst.BaseExpression, guard: cst.CSTNode) -> bool:
    """Whether the kind means the same in the failing function: it stands there too, or its names are the module's."""
    if site.function is not None and any(each is site.function for each in site.tree.ancestors(guard)):
        return True
    return all(_is_global(site.tree, each.value) for each in site.tree.all(cst.Name, kind))


def _is_global(tree: Tree, name: str) -> bool:
    if hasattr(builtins, name) or any(bindings_in(tree.module, name)):
        return True
    for line in tree.module.body:
        if isinstance(line, (cst.ClassDef, cst.FunctionDef)) and line.name.value == name:
            return True
        for small in line.body if isinstance(line, cst.SimpleStatementLine) else ():
            if isinstance(small, (cst.Import, cst.ImportFrom)) and name in imported_names(small):
                return True
    return False


def _is_guarded(tree: Tree, node: cst.CSTNode, name: str) -> bool:
    """Whether the call already stands under a question for the kind of its object."""
    return any(
        isinstance(each, (cst.If, cst.IfExp)) and _asked(each.test)[1] == name and each.orelse is not node
        for each in tree.ancestors(node)
    )
