"""Where new statements can stand so that they run directly before an expression is evaluated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Literal, Sequence

import libcst as cst

from homeostasis_rules_python.code.edit import Edits, can_insert_before, statements
from homeostasis_rules_python.code.scope import bindings_in
from homeostasis_rules_python.code.tree import Comprehension, Tree

Kind = Literal["block", "elif", "suite", "line", "while"]
_HOISTED_FROM = (cst.If, cst.For, cst.With)


@dataclass(frozen=True)
class Place:
    """A spot before `boundary`, the part of the source that is evaluated after what is put there.

    `block` is before a statement of a block, `elif` before a further branch of an `if`, `suite` in a one-line body,
    `line` between two statements of one line and `while` before a loop whose condition is meant.
    """

    kind: Kind
    boundary: cst.CSTNode
    tree: Tree

    @property
    def takes_statements(self) -> bool:
        """Whether any statements can stand here, not only a condition with an answer."""
        return self.kind != "while"

    def guard(self, edits: Edits, test: str, answer: str) -> None:
        """Add `if test: answer`."""
        if self.kind != "elif":
            self.put(edits, statements(f"if {test}:\n    {answer}\n"))
            return
        branch = cst.ensure_type(statements(f"if {test}:\n    {answer}\n")[0], cst.If)
        edits.wrap(self.boundary, lambda now: branch.with_changes(orelse=now))

    def put(self, edits: Edits, new: Sequence[cst.BaseStatement]) -> None:
        """Add statements; an `elif` becomes an `else` with an `if` of its own."""
        if self.kind == "elif":
            edits.wrap(self.boundary, lambda now: cst.Else(body=cst.IndentedBlock(body=[*new, now])))
            return
        if self.kind in ("block", "while"):
            edits.insert_before(self.boundary, new)  # type: ignore[arg-type]
            return
        line = self.tree.parent(self.boundary)
        if not isinstance(line, (cst.SimpleStatementLine, cst.SimpleStatementSuite)):
            raise TypeError(f"{type(line).__name__} is no line of statements")
        at = line.body.index(self.boundary)
        edits.wrap(line, lambda now: _split(now, at, new))


def place_before(tree: Tree, node: cst.CSTNode) -> Place | None:
    """The place before the evaluation of `node`; None if there is none that is passed each time."""
    inner = node
    for outer in (node, *tree.ancestors(node)):
        if isinstance(outer, cst.SimpleStatementLine):
            if len(outer.body) == 1:
                return Place("block", outer, tree) if can_insert_before(tree, outer) else None
            return _in_line("line", inner, tree) if isinstance(tree.parent(outer), _BLOCKS) else None
        if isinstance(outer, cst.SimpleStatementSuite):
            return _in_line("suite", inner, tree)
        if isinstance(outer, cst.BaseCompoundStatement):
            return _before_compound(tree, outer, inner, node)
        inner = outer
    return None


_BLOCKS = (cst.IndentedBlock, cst.Module)


def _in_line(kind: Kind, inner: cst.CSTNode, tree: Tree) -> Place | None:
    return Place(kind, inner, tree) if isinstance(inner, cst.BaseSmallStatement) else None


def _before_compound(tree: Tree, outer: cst.CSTNode, inner: cst.CSTNode, node: cst.CSTNode) -> Place | None:
    if isinstance(outer, cst.If) and isinstance(tree.parent(outer), cst.If):
        return Place("elif", outer, tree) if inner is outer.test else None
    if isinstance(outer, cst.While):
        usable = inner is outer.test and isinstance(tree.parent(outer), _BLOCKS) and _constant_in(tree, outer, node)
        return Place("while", outer, tree) if usable else None
    if isinstance(outer, (cst.FunctionDef, cst.ClassDef)):
        return None
    return Place("block", outer, tree) if isinstance(tree.parent(outer), _BLOCKS) else None


def _constant_in(tree: Tree, loop: cst.While, node: cst.CSTNode) -> bool:
    """Whether the loop leaves the names of an expression alone, so that one check before it is enough."""
    names = {item.value for item in tree.all(cst.Name, node)}
    if any(True for name in names for _ in bindings_in(loop.body, name)):
        return False
    changing = [call.func.value for call in tree.all(cst.Call, loop.body) if isinstance(call.func, cst.Attribute)]
    changing += [item.target for item in tree.all(cst.Del, loop.body)]
    return not any(name.value in names for part in changing for name in tree.all(cst.Name, part))


def before_loops(place: Place, parts: Sequence[cst.BaseExpression]) -> Place:
    """The place before the loops around that leave an expression alone, so that it is looked at once."""
    tree = place.tree
    names = {item.value for part in parts for item in tree.all(cst.Name, part)}
    boundary = place.boundary
    while place.kind == "block" and isinstance(boundary, (cst.SimpleStatementLine, cst.BaseCompoundStatement)):
        block = tree.parent(boundary)
        loop = tree.parent(block) if block is not None else None
        if not isinstance(loop, cst.For) or block is not loop.body or not can_insert_before(tree, loop):
            break
        earlier = loop.body.body[: list(loop.body.body).index(boundary)]
        leaving = (cst.Continue, cst.Break, cst.Return, cst.Raise)
        if any(True for name in names for _ in bindings_in(loop, name)):
            break
        if any(True for each in earlier for kind in leaving for _ in tree.all(kind, each)):
            break
        boundary = loop
    return Place(place.kind, boundary, tree)


def hoistable(tree: Tree, node: cst.BaseExpression, place: Place) -> cst.BaseExpression | None:
    """The expression, or the nearest one around it, that can be evaluated at the place instead of where it stands."""
    current: cst.CSTNode | None = node
    while current is not None and current is not place.boundary:
        if isinstance(current, cst.BaseExpression) and can_be_hoisted(tree, current, place):
            return current
        current = tree.parent(current)
    return None


def can_be_hoisted(tree: Tree, node: cst.CSTNode, place: Place) -> bool:
    """Whether `node` can be evaluated at the place instead of where it stands: once, and each time."""
    if not place.takes_statements:
        return False
    inner: cst.CSTNode = node
    for outer in tree.ancestors(node):
        if outer is place.boundary:
            break
        if isinstance(outer, (*Comprehension, cst.Lambda)):
            return False
        if isinstance(outer, cst.BooleanOperation) and inner is outer.right:
            return False
        if isinstance(outer, cst.IfExp) and inner is not outer.test:
            return False
        inner = outer
    if isinstance(place.boundary, cst.BaseCompoundStatement):
        return isinstance(place.boundary, _HOISTED_FROM) and inner is not place.boundary.body
    return True


def _split(
    line: cst.SimpleStatementLine | cst.SimpleStatementSuite, at: int, new: Sequence[cst.BaseStatement]
) -> cst.CSTNode:
    """The line with statements put between two of its own, on lines of their own."""
    before = list(line.body[:at])
    rest = cst.SimpleStatementLine(body=line.body[at:], trailing_whitespace=line.trailing_whitespace)
    lines: List[cst.BaseStatement] = [*new, rest]
    if before:
        before[-1] = before[-1].with_changes(semicolon=cst.MaybeSentinel.DEFAULT)
        lines.insert(0, cst.SimpleStatementLine(body=before))
    if isinstance(line, cst.SimpleStatementSuite):
        return cst.IndentedBlock(body=lines)
    lines[0] = lines[0].with_changes(leading_lines=line.leading_lines)
    return cst.FlattenSentinel(lines)  # type: ignore[return-value]
