"""A frame of a textual traceback, completed from the project's own files: columns, qualified name, parameters."""

from __future__ import annotations

import ast
import re
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Dict, Iterator, List, Optional, Tuple, Type, Union

from homeostasis.source import MAX_FILE_BYTES

if TYPE_CHECKING:
    from homeostasis.collecting.revisions import Lines
    from homeostasis.models import Frame
    from homeostasis.monitoring.redaction import Redactor
    from homeostasis.project import Project
    from homeostasis.traceback_text import TextFrame

_FOREIGN = ("site-packages", "dist-packages", "node_modules")
_STANDARD_LIBRARY = re.compile(r"/(?:lib|lib64|Lib)/python\d[\d.]*/")
_EXPRESSIONS: Dict[str, Type[ast.expr]] = {"<genexpr>": ast.GeneratorExp, "<lambda>": ast.Lambda}
_Function = Union[ast.FunctionDef, ast.AsyncFunctionDef]


def to_frame(
    text: TextFrame, project: Project, losses: List[str], redactor: Redactor, lines_of: Optional[Lines] = None
) -> Frame:
    """The model of a frame. What the project's file does not confirm is left out and named in `losses`.

    Args:
        text: the frame.
        project: where its file is looked for.
        losses: what is missing is added here, a phrase each.
        redactor: takes secrets out of the line of source.
        lines_of: gives the lines of a file as they were when the error happened, if that is known.
    """
    from homeostasis.models import Frame

    shown = text.source[0].strip() if text.source else None
    local = find_file(text.path, project.root)
    then = lines_of(local) if local and lines_of else None
    lines = then if then is not None else _lines(project.root / local) if local else []
    actual = lines[text.line - 1] if 0 < text.line <= len(lines) else None
    confirmed = actual is not None and (shown is None or actual.strip() == shown)
    if local and not confirmed:
        losses.append(f"{local} line {text.line} is not what it was when the error happened")
    if local and not (project.root / text.path).is_file():
        losses.append("files were matched by the end of their paths: the error happened elsewhere")
    line = shown if shown is not None else actual.strip() if actual is not None else None
    values: Dict[str, object] = {
        "path": str(project.root / local) if local else text.path,
        "module": module_name(local) if local else None,
        "function": text.function,
        "span": _span(text, actual if confirmed else None, losses),
        "source_line": None if line is None else redactor.source(line),
        "in_app": local is not None,
        "locals": text.locals,
    }
    if confirmed:
        values.update(_function_around("\n".join(lines), text))
    return Frame.model_validate(values)


def find_file(path: str, root: Path) -> Optional[str]:
    """The project's file (relative) that a path means: itself, or the longest end of it that exists below the root."""
    parts = PurePosixPath(path.replace("\\", "/")).parts
    if "\0" in path or ".." in parts or any(part in _FOREIGN for part in parts):
        return None
    if _STANDARD_LIBRARY.search(path) and not path.startswith(f"{root}/"):
        return None
    ends = ["/".join(parts[start:]) for start in range(len(parts))]
    for end in ends:
        try:
            inside = (root / end).resolve().relative_to(root)
            known = (root / inside).is_file()
        except (ValueError, OSError):
            continue
        if known and not any(part.startswith(".") or part in _FOREIGN for part in inside.parts):
            return inside.as_posix()
    return None


def module_name(relative: str) -> str:
    """The import name of a file, given the usual layouts: `src/shop/cart.py` is `shop.cart`."""
    parts = list(PurePosixPath(relative).with_suffix("").parts)
    if parts[0] == "src" and len(parts) > 1:
        parts = parts[1:]
    if parts[-1] == "__init__" and len(parts) > 1:
        parts = parts[:-1]
    return ".".join(parts)


def _lines(path: Path) -> List[str]:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            return []
        return path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError):
        return []


def _span(text: TextFrame, actual: Optional[str], losses: List[str]) -> dict[str, Optional[int]]:
    span: dict[str, Optional[int]] = {"line": text.line, "end_line": text.line}
    if len(text.source) > 1:
        span["end_line"] = text.line + len(text.source) - 1 + text.elided
    if not text.carets:
        return span
    if actual is None or not all(line.isascii() for line in text.source):
        # Carets count columns of the terminal, and of the dedented line: without the file they say nothing certain.
        losses.append(f"the columns of the expression in line {text.line} could not be told")
        return span
    first_row, first = text.carets[0]
    last_row, last = text.carets[-1]
    shift = len(actual) - len(actual.lstrip()) - (len(text.source[0]) - len(text.source[0].lstrip()))
    span["column"] = shift + len(first) - len(first.lstrip()) if first_row == 0 else None
    span["end_column"] = shift + len(last.rstrip())
    if last_row == 0:
        span["end_line"] = text.line
    return span if span["column"] is not None else {"line": text.line, "end_line": span["end_line"]}


def _function_around(source: str, text: TextFrame) -> dict[str, object]:
    tree = _parsed(source)
    if tree is None:
        return {}
    around = [
        (name, node)
        for name, node in _functions(tree, "")
        if node.lineno <= text.line <= (node.end_lineno or node.lineno)
    ]
    if text.function in _EXPRESSIONS:
        return _expression(tree, around[-1] if around else None, text)
    if not around or around[-1][1].name != text.function:
        return {"first_line": 1} if text.function == "<module>" else {}
    name, node = around[-1]
    decorated = min([node.lineno, *(item.lineno for item in node.decorator_list)])
    return {"qualname": name, "first_line": decorated, "arguments": _parameters(node)}


@lru_cache(maxsize=32)
def _parsed(source: str) -> Optional[ast.Module]:
    """The tree of a file, which most frames of a traceback share; None if it has none. Nobody changes it."""
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _expression(tree: ast.Module, around: Optional[Tuple[str, _Function]], text: TextFrame) -> dict[str, object]:
    """Qualified name of a generator expression or lambda, if it is the only one of its kind on the line."""
    kind = _EXPRESSIONS[text.function]
    found = [
        node
        for node in ast.walk(around[1] if around else tree)
        if isinstance(node, kind) and node.lineno <= text.line <= (node.end_lineno or node.lineno)
    ]
    if len(found) != 1:
        return {}
    return {"qualname": f"{around[0]}.<locals>.{text.function}" if around else text.function}


def _functions(node: ast.AST, prefix: str) -> Iterator[Tuple[str, _Function]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield prefix + child.name, child
            yield from _functions(child, f"{prefix}{child.name}.<locals>.")
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{prefix}{child.name}.")
        else:
            yield from _functions(child, prefix)


def _parameters(node: _Function) -> Tuple[str, ...]:
    found = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    found += [item for item in (node.args.vararg, node.args.kwarg) if item is not None]
    return tuple(item.arg for item in found)
