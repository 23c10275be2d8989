"""Why a value is bad: followed backwards through the files of the app to the place that made it so.

A value is followed through names, parameters (to the caller's argument), `self.` attributes, `.get`, `await`, and into
the functions of the app that returned it, in this file and in others. The value is `None`, zero, empty, or a dict
without a key. What is found is a sentence, and where it stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Iterator, Tuple

import libcst as cst

from homeostasis_rules_python.code.callee import Callee, callee
from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.origin import passed_argument
from homeostasis_rules_python.code.scope import Binding, binding
from homeostasis_rules_python.code.tree import Tree, called_name, dotted_name, literal_of

MAX_DEPTH = 6
"""Names, parameters and functions that are followed back."""
MAX_STEPS = 60
"""Expressions that are looked at before the cause counts as unknown."""
MAX_SHOWN = 80
"""Longest piece of source in a sentence, in characters."""

_NONE_WHEN = {
    "get": "there is no such key",
    "first": "no row matches",
    "one_or_none": "no row matches",
    "scalar_one_or_none": "no row matches",
    "scalar": "no row matches",
    "fetchone": "no row is left",
    "find_one": "no document matches",
    "match": "the text does not match",
    "search": "the text does not match",
    "fullmatch": "the text does not match",
    "getenv": "the variable is not set",
    "lastgroup": "no group matched",
}
"""Calls that answer None, and when."""


@dataclass(frozen=True)
class Bad:
    """What is wrong with a value."""

    state: str
    """`is None`, `is zero`, `is empty`, `lacks 'price'`."""
    words: str
    """As after "returns": `None`, `zero`, `nothing`, `a dict without 'price'`."""
    is_made_by: Callable[[cst.CSTNode], bool]
    """Whether an expression is such a value where it stands."""


def _is_none(node: cst.CSTNode) -> bool:
    return isinstance(node, cst.Name) and node.value == "None"


def _is_zero(node: cst.CSTNode) -> bool:
    known, value = literal_of(node)
    return known and isinstance(value, (int, float)) and value == 0


def _is_empty(node: cst.CSTNode) -> bool:
    if isinstance(node, (cst.List, cst.Tuple, cst.Dict)):
        return not node.elements
    return literal_of(node) == (True, "") or (isinstance(node, cst.Call) and not node.args and _makes_empty(node))


def _makes_empty(node: cst.Call) -> bool:
    return called_name(node) in ("list", "dict", "set", "tuple", "deque")


NONE = Bad("is None", "None", _is_none)
ZERO = Bad("is zero", "zero", _is_zero)
EMPTY = Bad("is empty", "nothing", _is_empty)


def without(key: Any) -> Bad:
    """A dict that lacks a key."""

    def made_by(node: cst.CSTNode) -> bool:
        if not isinstance(node, cst.Dict) or not all(isinstance(item, cst.DictElement) for item in node.elements):
            return False
        keys = [literal_of(item.key) for item in node.elements if isinstance(item, cst.DictElement)]
        return all(known for known, _value in keys) and key not in [value for _known, value in keys]

    return Bad(f"lacks {key!r}", f"a dict without {key!r}", made_by)


@dataclass(frozen=True)
class Cause:
    """Where a bad value was made."""

    sentence: str
    path: str
    line: int


def cause(case: Case, site: Site, node: cst.CSTNode, bad: Bad) -> Cause | None:
    """Why an expression of a frame is bad; None if the code does not say."""
    return _Search(case, bad).at(site.tree, node, site, 0)


class _Search:
    def __init__(self, case: Case, bad: Bad) -> None:
        self.case = case
        self.bad = bad
        self.steps = 0

    def at(self, tree: Tree, node: cst.CSTNode, site: Site | None, depth: int) -> Cause | None:
        """The cause for an expression; `site` is its frame, where it has one in the traceback."""
        self.steps += 1
        if depth > MAX_DEPTH or self.steps > MAX_STEPS:
            return None
        if isinstance(node, cst.Await):
            return self.at(tree, node.expression, site, depth)
        if self.bad.is_made_by(node):
            return self._cause(f"{_place(tree, node)} sets it to {_code(tree, node)}", tree, node)
        if isinstance(node, cst.Name):
            return self._name(tree, node, site, depth)
        if isinstance(node, cst.Attribute):
            return self._attribute(tree, node, depth)
        if isinstance(node, cst.Call):
            return self._call(tree, node, depth)
        return self._branches(tree, node, site, depth)

    def _branches(self, tree: Tree, node: cst.CSTNode, site: Site | None, depth: int) -> Cause | None:
        for child in (node.body, node.orelse) if isinstance(node, cst.IfExp) else ():
            found = self.at(tree, child, site, depth + 1)
            if found is not None:
                return found
        return None

    def _cause(self, sentence: str, tree: Tree, node: cst.CSTNode) -> Cause:
        return Cause(sentence, tree.path, tree.range(node).start.line)

    def _name(self, tree: Tree, node: cst.Name, site: Site | None, depth: int) -> Cause | None:
        found = binding(tree, node.value, node)
        if found.kind == "parameter":
            return self._parameter(tree, node, found, site, depth)
        if found.kind in ("assign", "module", "augment") and found.value is not None:
            return self.at(tree, found.value, site, depth + 1)
        return None

    def _parameter(self, tree: Tree, node: cst.Name, found: Binding, site: Site | None, depth: int) -> Cause | None:
        function, parameter = tree.function(node), found.node
        if site is None or function is not site.function or function is None or not isinstance(parameter, cst.Param):
            return None
        caller = self.case.caller(site)
        given = passed_argument(caller, function, parameter) if caller is not None else None
        if caller is None or given is None:
            return None
        if given is parameter.default:
            if not self.bad.is_made_by(given):
                return None
            return self._cause(f"{_place(caller.tree, caller.nodes(cst.Call)[0])} does not pass it", tree, parameter)
        if self.bad.is_made_by(given):
            return self._cause(f"{_place(caller.tree, given)} passes {_code(caller.tree, given)}", caller.tree, given)
        return self.at(caller.tree, given, caller, depth + 1)

    def _attribute(self, tree: Tree, node: cst.Attribute, depth: int) -> Cause | None:
        """`self.x`: the assignments in the class."""
        cls = tree.enclosing(node, cst.ClassDef)
        if cls is None or dotted_name(node.value) != "self":
            return None
        made = [
            assign
            for assign in tree.all(cst.Assign, cls)
            if any(dotted_name(target.target) == f"self.{node.attr.value}" for target in assign.targets)
        ]
        for assign in made:
            if self.bad.is_made_by(assign.value):
                function = tree.function(assign)
                where = f"`{function.name.value}` {_at(tree, assign)}" if function is not None else _place(tree, assign)
                last = " and nothing else assigns it" if len(made) == 1 else ""
                return self._cause(f"{where} sets it to {_code(tree, assign.value)}{last}", tree, assign)
        return self.at(tree, made[0].value, None, depth + 1) if len(made) == 1 else None

    def _call(self, tree: Tree, node: cst.Call, depth: int) -> Cause | None:
        name = called_name(node)
        found = callee(self.case, tree, node)
        if found is not None:
            return self._returned(found, depth)
        if self.bad is NONE and name in _NONE_WHEN and isinstance(node.func, (cst.Attribute, cst.Name)):
            if name == "get" and len(node.args) != 1:
                return None
            return self._cause(f"{_code(tree, node)} {_at(tree, node)} is None when {_NONE_WHEN[name]}", tree, node)
        return None

    def _returned(self, found: Callee, depth: int) -> Cause | None:
        tree, function = found.tree, found.function
        returns = [item for item in tree.all(cst.Return, function.body) if tree.function(item) is function]
        for item in returns:
            value: cst.CSTNode = item.value if item.value is not None else cst.Name("None")
            if self.bad.is_made_by(value):
                return self._cause(f"{_named(found, item)} returns {self.bad.words}{_when(tree, item)}", tree, item)
        for item in returns:
            deeper = self.at(tree, item.value, None, depth + 1) if item.value is not None else None
            if deeper is not None:
                inner = deeper.sentence
                return Cause(
                    f"{_named(found, item)} returns {_code(tree, item.value)}, and {inner}", deeper.path, deeper.line
                )
        if self.bad is NONE and not found.is_generator and not _always_leaves(function.body.body):
            what = "has no return" if not returns else "can reach its end without a return"
            return self._cause(f"{_named(found, function)} {what}", tree, function)
        return None


def _named(found: Callee, node: cst.CSTNode) -> str:
    return f"`{found.function.name.value}` {_at(found.tree, node)}"


def _at(tree: Tree, node: cst.CSTNode) -> str:
    return f"({tree.path}:{tree.range(node).start.line})"


def _place(tree: Tree, node: cst.CSTNode) -> str:
    function = tree.function(node)
    return (
        f"`{function.name.value}` {_at(tree, node)}"
        if function is not None
        else f"{tree.path}:{tree.range(node).start.line}"
    )


def _code(tree: Tree, node: cst.CSTNode | None) -> str:
    text = " ".join(tree.code(node).split()) if node is not None else ""
    return f"`{text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + '...'}`"


def _when(tree: Tree, item: cst.Return) -> str:
    """The condition under which a statement is reached, where it is a plain one."""
    for ancestor in tree.ancestors(item):
        if isinstance(ancestor, cst.FunctionDef):
            break
        if isinstance(ancestor, cst.ExceptHandler):
            return f" on {_code(tree, ancestor.type)}" if ancestor.type is not None else " on any error"
        if isinstance(ancestor, cst.If) and any(ancestor.body is node for node in tree.ancestors(item)):
            return f" when {_code(tree, ancestor.test)}"
    return _after_loop(tree, item)


def _after_loop(tree: Tree, item: cst.Return) -> str:
    line = tree.statement(item)
    block = tree.parent(line) if line is not None else None
    before = [each for each in getattr(block, "body", ()) if isinstance(each, cst.For)]
    return f" when nothing in {_code(tree, before[-1].iter)} is found" if before else ""


def _always_leaves(body: Any) -> bool:
    """Whether a block certainly ends in `return` or `raise`, or never ends."""
    return any(_leaves(statement) for statement in body)


def _leaves(statement: cst.CSTNode) -> bool:
    if isinstance(statement, cst.SimpleStatementLine):
        return any(isinstance(small, (cst.Return, cst.Raise)) for small in statement.body)
    if isinstance(statement, cst.If):
        orelse = statement.orelse
        rest = (
            _leaves(orelse) if isinstance(orelse, cst.If) else orelse is not None and _always_leaves(orelse.body.body)
        )
        return rest and _always_leaves(statement.body.body)
    if isinstance(statement, cst.With):
        return _always_leaves(statement.body.body)
    if isinstance(statement, cst.While):
        return literal_of(statement.test) == (True, True)
    return isinstance(statement, cst.Try) and _try_leaves(statement)


def _try_leaves(statement: cst.Try) -> bool:
    if statement.finalbody is not None and _always_leaves(statement.finalbody.body.body):
        return True
    blocks: Iterator[Tuple[Any, ...]] = iter([tuple(handler.body.body) for handler in statement.handlers])
    main = [*statement.body.body, *(statement.orelse.body.body if statement.orelse is not None else ())]
    return _always_leaves(main) and all(_always_leaves(block) for block in blocks)
