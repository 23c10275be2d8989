"""`Tree`: a module's syntax tree with positions and parents."""

from __future__ import annotations

from collections import OrderedDict
from functools import cached_property, wraps
from threading import Lock
from typing import Callable, Dict, Iterator, List, Sequence, Tuple, Type, TypeVar, Union
from weakref import WeakKeyDictionary

import libcst as cst
from libcst.metadata import CodeRange, MetadataWrapper, ParentNodeProvider, PositionProvider

from homeostasis.models import Span

NodeT = TypeVar("NodeT", bound=cst.CSTNode)
Result = TypeVar("Result")
Statement = Union[cst.SimpleStatementLine, cst.BaseCompoundStatement]
Comprehension = (cst.ListComp, cst.SetComp, cst.GeneratorExp, cst.DictComp)


class Tree:
    """One parsed file. Nodes are compared by identity."""

    def __init__(self, path: str, module: cst.Module) -> None:
        """Resolve positions and parents once."""
        wrapper = MetadataWrapper(module, unsafe_skip_copy=True)
        self.path = path
        self.module = wrapper.module
        self._positions = wrapper.resolve(PositionProvider)
        self._parents = wrapper.resolve(ParentNodeProvider)
        self.nodes: Tuple[cst.CSTNode, ...] = (self.module, *self._parents)
        self._codes: Dict[cst.CSTNode, str] = {}
        self._kinds: Dict[Tuple[Type[cst.CSTNode], ...], List[Tuple[int, cst.CSTNode]]] = {}

    def range(self, node: cst.CSTNode) -> CodeRange:
        """Where the node stands; lines from 1, columns from 0."""
        return self._positions[node]

    def span(self, node: cst.CSTNode) -> Span:
        """The node's range as events have it."""
        found = self.range(node)
        return Span(
            line=found.start.line, column=found.start.column, end_line=found.end.line, end_column=found.end.column
        )

    def code(self, node: cst.CSTNode) -> str:
        """Source text of a node."""
        if node not in self._codes:
            self._codes[node] = self.module.code_for_node(node)
        return self._codes[node]

    def parent(self, node: cst.CSTNode) -> cst.CSTNode | None:
        """The node around."""
        return self._parents.get(node)

    def ancestors(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """The nodes around, innermost first."""
        current = self._parents.get(node)
        while current is not None:
            yield current
            current = self._parents.get(current)

    def enclosing(self, node: cst.CSTNode, kinds: type[NodeT] | tuple[type[NodeT], ...]) -> NodeT | None:
        """The innermost node of the kinds around `node`."""
        for ancestor in self.ancestors(node):
            if isinstance(ancestor, kinds):
                return ancestor
        return None

    def function(self, node: cst.CSTNode) -> cst.FunctionDef | None:
        """The innermost `def` around a node; a class or the module in between ends the search."""
        for ancestor in self.ancestors(node):
            if isinstance(ancestor, cst.FunctionDef):
                return ancestor
            if isinstance(ancestor, cst.ClassDef):
                return None
        return None

    def statement(self, node: cst.CSTNode) -> Statement | None:
        """The innermost statement that holds the node, or is it."""
        if isinstance(node, (cst.SimpleStatementLine, cst.BaseCompoundStatement)):
            return node
        for ancestor in self.ancestors(node):
            if isinstance(ancestor, (cst.SimpleStatementLine, cst.BaseCompoundStatement)):
                return ancestor
        return None

    def all(self, kind: Type[NodeT], inside: cst.CSTNode | None = None) -> Iterator[NodeT]:
        """All nodes of a kind, in the order of the source; with `inside` that node itself and those below it."""
        if inside is None:
            for _order, node in self._of_kinds((kind,)):
                if isinstance(node, kind):
                    yield node
            return
        pending: list[cst.CSTNode] = [inside]
        while pending:
            current = pending.pop()
            if isinstance(current, kind):
                yield current
            pending.extend(reversed(self.children(current)))

    def children(self, node: cst.CSTNode) -> Sequence[cst.CSTNode]:
        """The nodes directly below one, in the order of the source."""
        return self._children.get(node, ()) if node in self._positions else node.children

    @cached_property
    def _children(self) -> Dict[cst.CSTNode, List[cst.CSTNode]]:
        found: Dict[cst.CSTNode, List[cst.CSTNode]] = {}
        for child, parent in self._parents.items():
            if parent is not None:
                found.setdefault(parent, []).append(child)
        return found

    def _of_kinds(self, kinds: Tuple[Type[cst.CSTNode], ...]) -> List[Tuple[int, cst.CSTNode]]:
        """Nodes of the kinds with their number in `nodes`; most of a file is looked through once for each question."""
        if kinds not in self._kinds:
            self._kinds[kinds] = [(order, node) for order, node in enumerate(self.nodes) if isinstance(node, kinds)]
        return self._kinds[kinds]

    def function_at(self, line: int, name: str | None = None) -> cst.FunctionDef | None:
        """The innermost `def` whose lines hold `line`; one of that name is preferred."""
        around = [
            node
            for node in self.all(cst.FunctionDef)
            if self.range(node).start.line <= line <= self.range(node).end.line
        ]
        around.sort(key=lambda node: self.range(node).start.line)
        named = [node for node in around if node.name.value == name]
        chosen = named or around
        return chosen[-1] if chosen else None

    def at(self, span: Span, kinds: Sequence[Type[cst.CSTNode]]) -> list[cst.CSTNode]:
        """Nodes of the kinds that may be meant by the span, the likeliest first.

        With columns the nearest in extent come first: the interpreter leaves out parentheses and, for a method call on
        a new line, everything before the name. Without columns every node that touches the line is meant.
        """
        found: list[tuple[tuple[int, ...], int, cst.CSTNode]] = []
        last = span.end_line or span.line
        for order, node in self._of_kinds(tuple(kinds)):
            place = self.range(node)
            if place.start.line > last or place.end.line < span.line:
                continue
            if span.column is None or span.end_column is None:
                badness: tuple[int, ...] = (abs(place.start.line - span.line), place.end.line - place.start.line)
            else:
                badness = (
                    abs(place.start.line - span.line) + abs(place.end.line - last),
                    abs(place.start.column - span.column) + abs(place.end.column - span.end_column),
                )
            found.append((badness, order, node))
        found.sort(key=lambda entry: entry[:2])
        return [node for _badness, _order, node in found]


def kept_with_tree(compute: Callable[[Tree], Result]) -> Callable[[Tree], Result]:
    """What is worked out of a tree once, and forgotten with the tree; it must not hold the tree itself."""
    known: WeakKeyDictionary[Tree, Result] = WeakKeyDictionary()

    @wraps(compute)
    def kept(tree: Tree) -> Result:
        if tree not in known:
            known[tree] = compute(tree)
        return known[tree]

    return kept


class TreeCache:
    """Trees of files by their content, the last used ones, up to a length of source."""

    def __init__(self, limit: int) -> None:
        """Make an empty cache.

        Args:
            limit: bytes of source that are kept together; a tree takes about a hundred times as many.
        """
        self._limit = limit
        self._size = 0
        self._trees: OrderedDict[Tuple[str, bytes], Tree] = OrderedDict()
        self._lock = Lock()

    def tree(self, path: str, content: bytes, parse: Callable[[], cst.Module]) -> Tree:
        """The tree of a file; `parse` is called if it is not kept."""
        key = (path, content)
        with self._lock:
            if key in self._trees:
                self._trees.move_to_end(key)
                return self._trees[key]
        tree = Tree(path, parse())
        with self._lock:
            self._size += len(content) if key not in self._trees else 0
            self._trees[key] = tree
            while self._size > self._limit and len(self._trees) > 1:
                self._size -= len(self._trees.popitem(last=False)[0][1])
        return tree


TREES = TreeCache(3_000_000)
"""The trees of a process: those of 400 files, which are searched for one event, shall fit."""


def dotted_name(node: cst.CSTNode | None) -> str | None:
    """`a.b.c` for names and attributes of names, else None."""
    if isinstance(node, cst.Name):
        return node.value
    if isinstance(node, cst.Attribute):
        left = dotted_name(node.value)
        return None if left is None else f"{left}.{node.attr.value}"
    return None


def literal_of(node: cst.CSTNode | None) -> Tuple[bool, object]:
    """Whether the node is a constant, and its value."""
    if isinstance(node, cst.SimpleString):
        return True, node.evaluated_value
    if isinstance(node, cst.ConcatenatedString):
        value = node.evaluated_value
        return value is not None, value
    if isinstance(node, (cst.Integer, cst.Float)):
        return True, node.evaluated_value
    if isinstance(node, cst.UnaryOperation) and isinstance(node.operator, cst.Minus):
        known, number = literal_of(node.expression)
        return (True, -number) if known and isinstance(number, (int, float)) else (False, None)
    if isinstance(node, cst.Name) and node.value in ("None", "True", "False"):
        return True, {"None": None, "True": True, "False": False}[node.value]
    return False, None


def subscript_key(node: cst.Subscript) -> cst.BaseExpression | None:
    """`k` of `c[k]`; None for slices and several indices."""
    if len(node.slice) != 1 or not isinstance(node.slice[0].slice, cst.Index):
        return None
    return node.slice[0].slice.value


def argument(call: cst.Call, position: int, keyword: str | None = None) -> cst.BaseExpression | None:
    """The argument of a call at a position or of a keyword; None if it is not given plainly."""
    for arg in call.args:
        if keyword is not None and arg.keyword is not None and arg.keyword.value == keyword:
            return arg.value
    plain = call.args[: position + 1]
    if len(plain) <= position or any(arg.star or arg.keyword is not None for arg in plain):
        return None
    return plain[position].value


def called_name(call: cst.Call) -> str | None:
    """`f` of `f(...)` and of `a.b.f(...)`."""
    if isinstance(call.func, cst.Name):
        return call.func.value
    return call.func.attr.value if isinstance(call.func, cst.Attribute) else None
