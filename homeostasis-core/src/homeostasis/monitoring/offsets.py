"""Finds the expression that an instruction belongs to, on Python below 3.11, whose bytecode knows lines only.

The source is parsed and compiled twice: as it is, and with a line number of its own for every node of its syntax tree.
The second compilation has the same instructions, and its line table tells the node of each. Where the instructions are
not the same, or the node's text does not parse to the node, nothing is claimed.
"""

from __future__ import annotations

import ast
import dis
from functools import lru_cache
from types import CodeType
from typing import Iterator, NamedTuple

MAX_CHARACTERS = 400_000
"""Longer files are not parsed in the app."""


class _Marked(NamedTuple):
    codes: tuple[tuple[CodeType, CodeType], ...]  # each code object, and its twin with a line for every node
    nodes: tuple[ast.AST, ...]  # by that line, counted from 1


def node_span(code: CodeType, instruction: int, source: str) -> tuple[int, int, int, int] | None:
    """Where the failing expression lies.

    Args:
        code: the code that was running.
        instruction: byte offset of the instruction that failed.
        source: the text that the code was compiled from.

    Returns:
        Line, end line, column and end column; the columns in bytes of UTF-8. None if it cannot be told.
    """
    if len(source) > MAX_CHARACTERS:
        return None
    try:
        marked = _marked(source)
        return None if marked is None else _span(marked, code, instruction, source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


@lru_cache(maxsize=8)
def _marked(source: str) -> _Marked | None:
    original = list(_nested(compile(source, "<source>", "exec", dont_inherit=True)))
    tree = ast.parse(source)
    nodes = [node for node in ast.walk(tree) if isinstance(node, (ast.expr, ast.stmt))]
    idle = [pair for node in nodes for pair in _idle(node)]
    places = [(node.lineno, node.end_lineno) for node in nodes]
    for mark, node in enumerate(nodes, 1):
        node.lineno = node.end_lineno = mark  # 3.10 puts attributes on the line on which they end
    twins = [_twin(tree)]
    for statement, neighbour in idle:
        statement.lineno = statement.end_lineno = neighbour.lineno
    twins += [_twin(tree)] if idle else []
    for node, (line, end_line) in zip(nodes, places):
        node.lineno, node.end_lineno = line, end_line
    pairs = [pair for twin in twins if len(twin) == len(original) for pair in zip(original, twin)]
    return _Marked(tuple(pairs), tuple(nodes)) if pairs else None


def _twin(tree: ast.Module) -> list[CodeType]:
    return list(_nested(compile(tree, "<source>", "exec", dont_inherit=True)))


def _idle(node: ast.AST) -> Iterator[tuple[ast.Pass, ast.expr | ast.stmt]]:
    """Each `pass` of an `if x: pass` or `while x: pass`, and the node that is compiled beside it.

    Python 3.10 makes no instruction of a `pass` on the line of its neighbour.
    """
    if isinstance(node, (ast.If, ast.While)):
        neighbour = _first_of(node.test) if isinstance(node, ast.While) else node
        for statement in node.body:
            if isinstance(statement, ast.Pass) and statement.lineno == node.lineno:
                yield statement, neighbour


def _first_of(node: ast.expr) -> ast.expr:
    """What is evaluated first of an expression."""
    inner = next((child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)), None)
    return node if inner is None else _first_of(inner)


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant)


def _span(marked: _Marked, code: CodeType, instruction: int, source: str) -> tuple[int, int, int, int] | None:
    for original, twin in marked.codes:
        same = (original.co_name, original.co_firstlineno) == (code.co_name, code.co_firstlineno)
        if same and original.co_code == code.co_code == twin.co_code:
            break
    else:
        return None
    mark = None
    for offset, line in dis.findlinestarts(twin):
        if offset > instruction:
            break
        mark = line
    if mark is None or not 0 < mark <= len(marked.nodes):
        return None
    node = _failing(marked.nodes[mark - 1], dis.opname[code.co_code[instruction]])
    return None if node is None else _checked(node, source)


def _failing(node: ast.AST, operation: str) -> ast.AST | None:
    """The part of the node that later versions of Python would name."""
    if operation == "LOAD_METHOD" and isinstance(node, ast.Call):
        return node.func
    if isinstance(node, (ast.For, ast.AsyncFor)):
        return node.iter
    if isinstance(node, (ast.With, ast.AsyncWith)):
        return node.items[0].context_expr if len(node.items) == 1 else None
    if isinstance(node, (ast.expr, ast.Raise, ast.AugAssign, ast.Import, ast.ImportFrom)):
        return node
    return None


def _checked(node: ast.AST, source: str) -> tuple[int, int, int, int] | None:
    """The node's place, if its text is the node: positions within f-strings are not to be relied on."""
    place = (node.lineno, node.end_lineno, node.col_offset, node.end_col_offset)  # type: ignore[attr-defined]
    segment = ast.get_source_segment(source, node)
    if segment is None:
        return None
    if isinstance(node, ast.expr):
        again: ast.AST = ast.parse(f"({segment}\n)", mode="eval").body
    else:
        again = ast.parse(segment.strip()).body[0]
    return place if _dump(again) == _dump(node) else None


def _dump(node: ast.AST) -> str:
    return ast.dump(node).replace("Store()", "Load()").replace("Del()", "Load()")
