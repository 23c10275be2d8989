"""Mutations: changes that make sound code crash.

Those of a file are enumerated in the order of the source, without chance, so that a mutation is named by operator,
function and occurrence.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Iterator, Sequence

from repairbench.operators import OPERATORS
from repairbench.source import Place, Source


@dataclass(frozen=True)
class Mutation:
    """Which change of which place. `occurrence` counts those of the operator in the function, from 0."""

    operator: str
    path: str
    function: str
    occurrence: int


def mutations(text: str, path: str) -> Iterator[tuple[Mutation, str]]:
    """All mutations of a file that still compile, with the mutated text."""
    source = Source(text)
    counts: dict[tuple[str, str], int] = {}
    for node, function, block in _walk(source.tree, "<module>", ()):
        for name, operator in OPERATORS.items():
            edit = operator(node, Place(source, block))
            if edit is None:
                continue
            number = counts[name, function] = counts.get((name, function), -1) + 1
            mutated = text[: edit.start] + edit.text + text[edit.end :]
            if mutated != text and _compiles(mutated):
                yield Mutation(name, path, function, number), mutated


def mutate(text: str, mutation: Mutation) -> str:
    """The text of a file with one mutation.

    Raises:
        LookupError: the file has no such place.
    """
    for found, mutated in mutations(text, mutation.path):
        if found == mutation:
            return mutated
    raise LookupError(f"{mutation} is not in {mutation.path}")


def _walk(node: ast.AST, function: str, block: Sequence[ast.stmt]) -> Iterator[tuple[ast.AST, str, Sequence[ast.stmt]]]:
    """All nodes in the order of the source, each with the qualified name of its function and its block."""
    if not isinstance(node, ast.Module):
        yield node, function, block
    inner = function
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        inner = node.name if function == "<module>" else f"{function}.{node.name}"
    for _, value in ast.iter_fields(node):
        if isinstance(value, list):
            statements = value if value and isinstance(value[0], ast.stmt) else ()
            for child in value:
                if isinstance(child, ast.AST):
                    yield from _walk(child, inner, statements)
        elif isinstance(value, ast.AST) and not isinstance(value, ast.expr_context):
            yield from _walk(value, inner, ())


def _compiles(text: str) -> bool:
    try:
        compile(text, "<mutant>", "exec")
    except (SyntaxError, ValueError):
        return False
    return True
