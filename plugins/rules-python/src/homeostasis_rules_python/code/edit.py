"""Changing a tree: replace nodes and put statements before others; all else stays as it is, byte for byte."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, List, Sequence

import libcst as cst

from homeostasis_rules_python.code.imports import NewImport, missing, with_imports
from homeostasis_rules_python.code.tree import Statement, Tree, dotted_name


class Edits:
    """Changes of one file, collected and then made at once."""

    def __init__(self, tree: Tree) -> None:
        """Begin with nothing changed."""
        self.tree = tree
        self._replaced: Dict[cst.CSTNode, cst.CSTNode] = {}
        self._before: Dict[cst.CSTNode, List[cst.BaseStatement]] = {}
        self._wrapped: Dict[cst.CSTNode, Callable[[Any], Any]] = {}
        self._imports: List[NewImport] = []

    def replace(self, old: cst.CSTNode, new: cst.CSTNode) -> None:
        """Put another node in the place of `old`; an expression gets parentheses where it needs them."""
        if isinstance(old, cst.BaseExpression) and isinstance(new, cst.BaseExpression):
            new = _parenthesized(new, self.tree.parent(old))
        self._replaced[old] = new

    def wrap(self, old: cst.CSTNode, make: Callable[[Any], Any]) -> None:
        """Put in the place of `old` what `make` gives for it; changes inside of `old` are made before."""
        self._wrapped[old] = make

    def insert_after(self, statement: cst.CSTNode, new: Sequence[cst.BaseStatement]) -> None:
        """Put statements behind one."""
        self._wrapped[statement] = lambda now: cst.FlattenSentinel([now, *new])

    def insert_before(self, statement: Statement, new: Sequence[cst.BaseStatement]) -> None:
        """Put statements before one. Its comments stay with it, blank lines above go above the new ones."""
        self._before.setdefault(statement, []).extend(new)

    def add_imports(self, wanted: Sequence[NewImport]) -> None:
        """Add the imports that the module does not have."""
        self._imports.extend(wanted)

    @property
    def new_imports(self) -> List[NewImport]:
        """Those imports that are really added."""
        return missing(self.tree, self._imports)

    @property
    def imported(self) -> List[str]:
        """Top-level modules of the imports that are added, or that take the place of others."""
        added = [item.top for item in self.new_imports if item.top is not None]
        return [*added, *(top for node in self._replaced.values() for top in _tops(node))]

    def module(self) -> cst.Module:
        """The changed module."""
        changed = self.tree.module.visit(_Change(self._replaced, self._before, self._wrapped))
        if not isinstance(changed, cst.Module):
            raise TypeError("the module itself cannot be replaced")
        return with_imports(changed, self.new_imports)


def _tops(node: object) -> Iterator[str]:
    """Top-level modules that a statement imports; none for a relative import."""
    if isinstance(node, cst.FlattenSentinel):
        for each in node:
            yield from _tops(each)
    elif isinstance(node, cst.SimpleStatementLine):
        for small in node.body:
            yield from _tops(small)
    elif isinstance(node, cst.Import):
        yield from (alias.evaluated_name.split(".")[0] for alias in node.names)
    elif isinstance(node, cst.ImportFrom) and not node.relative and node.module is not None:
        yield (dotted_name(node.module) or "").split(".")[0]


class _Change(cst.CSTTransformer):
    def __init__(
        self,
        replaced: Dict[cst.CSTNode, cst.CSTNode],
        before: Dict[cst.CSTNode, List[cst.BaseStatement]],
        wrapped: Dict[cst.CSTNode, Callable[[Any], Any]],
    ) -> None:
        super().__init__()
        self._replaced = replaced
        self._before = before
        self._wrapped = wrapped

    def on_leave(self, original_node: cst.CSTNodeT, updated_node: cst.CSTNodeT) -> object:  # type: ignore[override]
        result: cst.CSTNode = self._replaced.get(original_node, updated_node)
        if original_node in self._wrapped:
            result = self._wrapped[original_node](result)
        if original_node not in self._before:
            return result
        new = list(self._before[original_node])
        lines = list(getattr(result, "leading_lines", ()))
        blank = 0
        while blank < len(lines) and lines[blank].comment is None:
            blank += 1
        new[0] = new[0].with_changes(leading_lines=lines[:blank])
        return cst.FlattenSentinel([*new, result.with_changes(leading_lines=lines[blank:])])


_LOOSE = (
    cst.BinaryOperation, cst.BooleanOperation, cst.IfExp, cst.Comparison, cst.UnaryOperation, cst.Lambda, cst.NamedExpr
)  # fmt: skip
_ENCLOSING = (
    cst.Arg, cst.Assign, cst.AnnAssign, cst.AugAssign, cst.Return, cst.Index, cst.Expr, cst.FormattedStringExpression,
    cst.DictElement, cst.Element, cst.For, cst.If, cst.While, cst.Slice, cst.Annotation,
)  # fmt: skip


def _parenthesized(node: cst.BaseExpression, parent: cst.CSTNode | None) -> cst.BaseExpression:
    if not isinstance(node, _LOOSE) or isinstance(parent, _ENCLOSING) or node.lpar:
        return node
    if _binds_tighter(node, parent):
        return node
    return node.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])


def _binds_tighter(node: cst.BaseExpression, parent: cst.CSTNode | None) -> bool:
    """Whether a product stands in a sum, which needs no parentheses."""
    in_sum = isinstance(parent, cst.BinaryOperation) and isinstance(parent.operator, (cst.Add, cst.Subtract))
    products = (cst.Multiply, cst.Divide, cst.FloorDivide)
    return in_sum and isinstance(node, cst.BinaryOperation) and isinstance(node.operator, products)


def expression(text: str) -> cst.BaseExpression:
    """One expression from source text of the app itself.

    Raises:
        libcst.ParserSyntaxError: the text is none.
    """
    return cst.parse_expression(text)


def statements(text: str) -> List[cst.BaseStatement]:
    """Statements from source text; lines end with a line feed and blocks are indented by four spaces."""
    return list(cst.parse_module(text).body)


def wrapped_in_try(statement: cst.SimpleStatementLine, exception: str, handling: str) -> cst.Try:
    """`try: statement` with one `except` clause; comments above the statement stay above the `try`."""
    template = cst.ensure_type(statements(f"try:\n    pass\nexcept {exception}:\n    {handling}\n")[0], cst.Try)
    inner = statement.with_changes(leading_lines=[])
    return template.with_changes(body=template.body.with_changes(body=[inner]), leading_lines=statement.leading_lines)


def can_insert_before(tree: Tree, statement: Statement) -> bool:
    """Whether new lines can stand directly before a statement and run each time before it."""
    parent = tree.parent(statement)
    if isinstance(statement, cst.SimpleStatementLine) and len(statement.body) != 1:
        return False
    if isinstance(statement, (cst.While, cst.FunctionDef, cst.ClassDef)):
        return False
    return isinstance(parent, (cst.IndentedBlock, cst.Module))
