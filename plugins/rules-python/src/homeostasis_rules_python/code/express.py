"""Saying the value of an expression in the words of another place: of a caller, or of the statement around."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Tuple

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.origin import passed_argument
from homeostasis_rules_python.code.scope import binding, target_names
from homeostasis_rules_python.code.tree import Comprehension, called_name, dotted_name, literal_of

Loops = Tuple[Tuple[str, str], ...]


@dataclass(frozen=True)
class Expressed:
    """Source text that means the same at another place, for each item of the loops."""

    text: str
    loops: Loops = ()
    inside: Tuple[str, ...] = ()
    """Conditions on which it is evaluated at all, for each item of the loops."""
    outside: Tuple[str, ...] = ()
    """Conditions on which the loops run at all."""


def express(case: Case, site: Site, node: cst.CSTNode, target: Site) -> Expressed | None:
    """The expression in the words of an outer site; None if it cannot be said without calling anything again."""
    return _Expression(case, target).say(site, node, 0)


def express_before(site: Site, node: cst.CSTNode, statement: cst.CSTNode) -> Expressed | None:
    """The expression as it can be said before `statement` or another node around it.

    Loops of comprehensions in between become loops. What is evaluated only sometimes, after `and` and `or` or in a
    branch of `a if b else c`, comes with its conditions.
    None where one of these calls something that may have an effect, and in a lambda.
    """
    inner: cst.CSTNode = node
    loops: List[Tuple[str, str]] = []
    inside: List[str] = []
    outside: List[str] = []
    for outer in site.tree.ancestors(node):
        if outer is statement:
            break
        if isinstance(outer, (cst.Lambda, cst.SimpleStatementSuite)):
            return None
        condition = _condition(site, outer, inner)
        if condition is not None:
            if not is_repeatable(condition[0]):
                return None
            (outside if loops else inside).insert(0, condition[1])
        if isinstance(outer, Comprehension) and not isinstance(inner, cst.CompFor):
            own = _loops(site, outer.for_in)
            if own is None or outside:
                return None
            loops = own + loops
        elif (isinstance(outer, cst.CompFor) and inner is not outer.iter) or (
            isinstance(outer, Comprehension) and isinstance(inner, cst.CompFor) and outer.for_in is not inner
        ):
            return None
        inner = outer
    if not is_repeatable(node):
        return None
    return Expressed(site.tree.code(node), tuple(loops), tuple(inside), tuple(outside))


def _loops(site: Site, clause: cst.CompFor | None) -> List[Tuple[str, str]] | None:
    """Targets and sources of the `for` clauses of a comprehension; None if one of them cannot be run once more."""
    found: List[Tuple[str, str]] = []
    while clause is not None:
        if clause.asynchronous is not None or len(target_names(clause.target)) == 0:
            return None
        if not is_repeatable(clause.iter) or is_used_up(site, clause.iter):
            return None
        conditions = "".join(f" if {site.tree.code(item.test)}" for item in clause.ifs)
        found.append((site.tree.code(clause.target), site.tree.code(clause.iter) + conditions))
        clause = clause.inner_for_in
    return found


def _condition(site: Site, outer: cst.CSTNode, inner: cst.CSTNode) -> Tuple[cst.BaseExpression, str] | None:
    """On what `inner` is evaluated as a part of `outer`: the expression, and its source as an operand of `and`."""
    if isinstance(outer, cst.BooleanOperation) and inner is outer.right:
        node, wanted = outer.left, isinstance(outer.operator, cst.And)
    elif isinstance(outer, cst.IfExp) and inner is not outer.test:
        node, wanted = outer.test, inner is outer.body
    else:
        return None
    loose = isinstance(node, (cst.BooleanOperation, cst.IfExp, cst.Lambda, cst.NamedExpr)) and not node.lpar
    text = f"({site.tree.code(node)})" if loose else site.tree.code(node)
    return node, text if wanted else f"not {text}"


_ITERATORS = frozenset(
    ("DictReader", "reader", "open", "iter", "map", "filter", "zip", "enumerate", "reversed", "finditer", "iterdir",
     "glob", "rglob", "scandir", "islice", "chain", "execute", "stream", "yield_per", "iter_lines", "iter_content")
)  # fmt: skip
_PLAIN_TYPES = frozenset(("list", "tuple", "dict", "set", "frozenset", "str", "deque", "range"))


def is_used_up(site: Site, node: cst.CSTNode) -> bool:
    """Whether looking through a value leaves nothing for the code behind: an iterator that has a name."""
    if not isinstance(node, cst.Name):
        return False
    known = site.type_of(node)
    if known is not None:
        return known not in _PLAIN_TYPES
    found = binding(site.tree, node.value, node)
    if found.kind == "with":
        return True
    value = found.value.expression if isinstance(found.value, cst.Await) else found.value
    return isinstance(value, cst.GeneratorExp) or (isinstance(value, cst.Call) and called_name(value) in _ITERATORS)


_PURE = frozenset(
    ("get_json", "get", "items", "values", "keys", "strip", "lstrip", "rstrip", "lower", "upper", "split", "title",
     "casefold", "removeprefix", "removesuffix", "startswith", "endswith")
)  # fmt: skip


def is_repeatable(node: cst.CSTNode) -> bool:
    """Whether evaluating the expression once more is harmless and gives the same."""
    if isinstance(node, cst.Call):
        function = node.func
        known = isinstance(function, cst.Name) and function.value in (
            "len",
            "str",
            "int",
            "float",
            "range",
            "enumerate",
        )
        known = known or (isinstance(function, cst.Attribute) and function.attr.value in _PURE)
        return known and all(is_repeatable(child) for child in node.children)
    if isinstance(node, (cst.Await, cst.Yield, cst.NamedExpr, cst.Lambda, cst.GeneratorExp)):
        return False
    return all(is_repeatable(child) for child in node.children)


class _Expression:
    def __init__(self, case: Case, target: Site) -> None:
        self.case = case
        self.target = target

    def say(self, site: Site, node: cst.CSTNode | None, depth: int) -> Expressed | None:
        if node is None or depth > 20:
            return None
        if literal_of(node)[0]:
            return Expressed(site.tree.code(node))
        if site is self.target:
            return Expressed(site.tree.code(node)) if is_repeatable(node) else None
        if isinstance(node, cst.Name):
            return self._name(site, node, depth)
        if isinstance(node, cst.Subscript) and len(node.slice) == 1 and isinstance(node.slice[0].slice, cst.Index):
            return self._join(site, node.value, node.slice[0].slice.value, depth, "{}[{}]")
        if isinstance(node, cst.Attribute):
            owner = self.say(site, node.value, depth + 1)
            return None if owner is None else Expressed(f"{owner.text}.{node.attr.value}", owner.loops)
        if isinstance(node, cst.Call) and len(node.args) == 1 and node.args[0].keyword is None:
            name = dotted_name(node.func)
            inner = self.say(site, node.args[0].value, depth + 1) if name in ("int", "float", "str", "len") else None
            return None if inner is None else Expressed(f"{name}({inner.text})", inner.loops)
        return None

    def _join(self, site: Site, left: cst.CSTNode, right: cst.CSTNode, depth: int, form: str) -> Expressed | None:
        first, second = self.say(site, left, depth + 1), self.say(site, right, depth + 1)
        if first is None or second is None:
            return None
        loops = first.loops + tuple(loop for loop in second.loops if loop not in first.loops)
        return Expressed(form.format(first.text, second.text), loops)

    def _name(self, site: Site, node: cst.Name, depth: int) -> Expressed | None:
        found = binding(site.tree, node.value, node)
        if found.kind == "assign":
            return self.say(site, found.value, depth + 1)
        if found.kind == "element" and isinstance(found.node, (cst.For, cst.CompFor)):
            if not isinstance(found.node.target, cst.Name):
                return None
            if isinstance(found.node, cst.CompFor) and found.node.ifs:
                return None
            items = self.say(site, found.value, depth + 1) if found.value is not None else None
            if items is None or found.value is None or is_used_up(site, found.value):
                return None
            return Expressed(node.value, (*items.loops, (node.value, items.text)))
        if found.kind == "parameter" and isinstance(found.node, cst.Param) and site.function is not None:
            caller = self.case.caller(site)
            if caller is None or site.tree.function(node) is not site.function:
                return None
            return self.say(caller, passed_argument(caller, site.function, found.node), depth + 1)
        return None
