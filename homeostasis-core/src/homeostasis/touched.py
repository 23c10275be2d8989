"""Which functions a patch changed: a new crash in one of them is held against it."""

from __future__ import annotations

import ast
import difflib
from typing import TYPE_CHECKING, Iterator

if TYPE_CHECKING:
    from homeostasis.models import FileEdit, Frame, Patch

_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


def touched_functions(patch: Patch) -> frozenset[tuple[str, str]]:
    """Path and qualified name of every function with a changed line, as `Frame.qualname` has it.

    A change outside of functions touches `<module>`. What is no Python, or the test that the patch brings, is left out.
    """
    edits = [edit for edit in patch.edits if edit.path.endswith(".py") and edit.path != patch.regression_test]
    return frozenset((edit.path, name) for edit in edits for name in _names(edit))


def lies_in(frame: Frame, root: str, touched: frozenset[tuple[str, str]]) -> bool:
    """Whether a frame runs one of the functions.

    Args:
        frame: of a traceback.
        root: of the project, without a slash at its end.
        touched: what `touched_functions` returned.
    """
    path = frame.path[len(root) + 1 :] if frame.path.startswith(f"{root}/") else frame.path
    return (path, frame.qualname or frame.function) in touched


def _names(edit: FileEdit) -> Iterator[str]:
    """Functions with lines that are gone, by the old text, and with lines that are new, by the new one."""
    before, after = (edit.before or b"").split(b"\n"), edit.after.split(b"\n")
    changes = difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    old = [(first + 1, last) for tag, first, last, _, _ in changes if tag != "equal" and last > first]
    new = [(first + 1, last) for tag, _, _, first, last in changes if tag != "equal" and last > first]
    yield from _around(edit.before or b"", old)
    yield from _around(edit.after, new)


def _around(text: bytes, changes: list[tuple[int, int]]) -> Iterator[str]:
    """The innermost function around each range of lines; `<module>` where there is none."""
    try:
        spans = list(_spans(ast.parse(text), ""))
    except (SyntaxError, ValueError):
        return
    for first, last in changes:
        holding = [span for span in spans if span[0] <= last and first <= span[1]]
        yield max(holding)[2] if holding else "<module>"


def _spans(node: ast.AST, prefix: str) -> Iterator[tuple[int, int, str]]:
    """First and last line and qualified name of all functions, nested ones after those around them."""
    for child in ast.iter_child_nodes(node):
        inner = prefix
        if isinstance(child, _FUNCTION):
            yield child.lineno, child.end_lineno or child.lineno, prefix + child.name
            inner = f"{prefix}{child.name}.<locals>."
        elif isinstance(child, ast.ClassDef):
            inner = f"{prefix}{child.name}."
        yield from _spans(child, inner)
