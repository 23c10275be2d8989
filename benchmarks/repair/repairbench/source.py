"""Python source that is edited by the spans of its syntax nodes: what is not edited stays as it is, byte for byte."""

from __future__ import annotations

import ast
from typing import NamedTuple, Sequence


class Edit(NamedTuple):
    """Characters `start` to `end` of the file become `text`."""

    start: int
    end: int
    text: str


class Source:
    """A parsed file that tells where nodes lie, in characters."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tree = ast.parse(text)
        self._lines = text.splitlines(keepends=True)
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line))

    def offset(self, line: int, column: int) -> int:
        """Characters before a position that `ast` gives as line from 1 and column in UTF-8 bytes."""
        prefix = self._lines[line - 1].encode()[:column].decode()
        return self._starts[line - 1] + len(prefix)

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Where a node begins and ends."""
        return (
            self.offset(node.lineno, node.col_offset),  # type: ignore[attr-defined]
            self.offset(node.end_lineno, node.end_col_offset),  # type: ignore[attr-defined]
        )

    def of(self, node: ast.AST) -> str:
        """A node's text."""
        start, end = self.span(node)
        return self.text[start:end]

    def replaced(self, node: ast.AST, text: str) -> Edit:
        """An edit that puts text in a node's place."""
        return Edit(*self.span(node), text)

    def without_statement(self, node: ast.stmt, siblings: Sequence[ast.stmt]) -> Edit:
        """An edit that takes a statement away, or leaves `pass` where a block would be empty."""
        start, end = self.span(node)
        if len(siblings) == 1:
            return Edit(start, end, "pass")
        start = self._starts[node.lineno - 1]
        following = self.text.find("\n", end)
        return Edit(start, len(self.text) if following < 0 else following + 1, "")

    def dedented(self, outer: ast.stmt, body: Sequence[ast.stmt]) -> Edit:
        """An edit that puts the body of a compound statement in its place."""
        first, last = self._starts[body[0].lineno - 1], self.span(body[-1])[1]
        shift = body[0].col_offset - outer.col_offset
        lines = [line[shift:] if line.strip() else line for line in self.text[first:last].splitlines(keepends=True)]
        return Edit(self._starts[outer.lineno - 1], self.span(outer)[1], "".join(lines))


class Place(NamedTuple):
    """Where a node stands."""

    source: Source
    block: Sequence[ast.stmt]
    """The block of a statement; empty for an expression."""
