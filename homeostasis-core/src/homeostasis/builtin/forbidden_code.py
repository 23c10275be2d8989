"""Built-in validator `forbidden-code`: a patch brings no code that a repair never needs."""

from __future__ import annotations

import ast
from collections import Counter
from typing import Iterator

from homeostasis import hookimpl
from homeostasis.models import Check, FileEdit, Outcome, Patch
from homeostasis.project import Project
from homeostasis.source import SourceTree

NAME = "forbidden-code"
CALLS = frozenset(
    ("eval", "exec", "compile", "__import__", "os.system", "os.popen", "pickle.load", "pickle.loads", "marshal.loads")
)
PREFIXES = ("subprocess.", "os.exec", "os.spawn", "os.posix_spawn", "ctypes.", "importlib.")
READING = frozenset(
    (
        "importlib.metadata.PackageNotFoundError",
        "importlib.metadata.entry_points",
        "importlib.metadata.version",
        "importlib.resources.files",
    )
)
"""Names below the prefixes that only read what is installed, and import nothing: the successors of `pkg_resources`."""


@hookimpl
def homeostasis_validate(patch: Patch, project: Project) -> Check:
    """Compare the syntax trees of each edited file before and after."""
    source = SourceTree(project)
    problems = [problem for edit in patch.edits for problem in _problems(edit, patch, source)]
    if problems:
        return Check(name=NAME, outcome=Outcome.REJECTED, detail="; ".join(problems), required=True)
    return Check(name=NAME, outcome=Outcome.ACCEPTED, detail="nothing forbidden is added", required=True)


def _problems(edit: FileEdit, patch: Patch, source: SourceTree) -> Iterator[str]:
    refusal = _refusal(edit, source)
    if refusal is not None:
        yield f"{edit.path} {refusal}"
        return
    try:
        after = ast.parse(edit.after)
    except (SyntaxError, ValueError, RecursionError) as error:
        yield f"{edit.path} cannot be parsed: {error}"
        return
    before = _parsed(edit.before)
    for name in _added(_forbidden_calls(after), _forbidden_calls(before)):
        yield f"{edit.path} gains a call of {name}"
    for name in _added(_imports(after), _imports(before)):
        if name not in patch.imports and _imports(before)[name] == 0:
            yield f"{edit.path} gains an import of {name}, which the template does not declare"
    for name in _added(_silencers(after), _silencers(before)):
        yield f"{edit.path} gains {name}"


def _refusal(edit: FileEdit, source: SourceTree) -> str | None:
    if edit.before is not None:
        return source.refusal(edit.path)
    if not source.project.covers(edit.path):
        return f"is new and lies outside source = {list(source.project.config.source)}"
    return None if edit.path.endswith(".py") else "is new and no Python file"


def _parsed(content: bytes | None) -> ast.AST:
    try:
        return ast.parse(content or b"")
    except (SyntaxError, ValueError, RecursionError):
        return ast.parse("")  # it was broken: all that it holds now counts as new


def _added(after: Counter[str], before: Counter[str]) -> list[str]:
    return sorted(after - before)


def _imports(tree: ast.AST) -> Counter[str]:
    """Top-level names of imported modules; imports from the app's own package are relative and always allowed."""
    found: Counter[str] = Counter()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found[(node.module or "").partition(".")[0]] += 1
    return found


def _forbidden_calls(tree: ast.AST) -> Counter[str]:
    aliases = _aliases(tree)
    found: Counter[str] = Counter()
    for node in ast.walk(tree):
        # A mere mention counts too: `run = os.system; run(text)`.
        if isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load):
            name = _dotted(node, aliases)
            if name is not None and name not in READING and (name in CALLS or name.startswith(PREFIXES)):
                found[name] += 1
    return found


def _aliases(tree: ast.AST) -> dict[str, str]:
    """What each imported name stands for."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update({alias.asname: alias.name for alias in node.names if alias.asname})
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
    return found


def _dotted(node: ast.expr, aliases: dict[str, str]) -> str | None:
    if isinstance(node, ast.Name):
        name: str | None = aliases.get(node.id, node.id)
    elif isinstance(node, ast.Attribute):
        owner = _dotted(node.value, aliases)
        name = f"{owner}.{node.attr}" if owner else None
    else:
        return None
    return name[len("builtins.") :] if name is not None and name.startswith("builtins.") else name


def _silencers(tree: ast.AST) -> Counter[str]:
    """Handlers that hide errors: bare ones, and those that do nothing."""
    found: Counter[str] = Counter()
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            if node.type is None:
                found["a bare except"] += 1
            elif all(isinstance(statement, ast.Pass) or _is_ellipsis(statement) for statement in node.body):
                found["an except that only passes"] += 1
        elif isinstance(node, (ast.Name, ast.Attribute)) and _dotted(node, {}) in ("suppress", "contextlib.suppress"):
            found["a contextlib.suppress"] += 1
    return found


def _is_ellipsis(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant) and statement.value.value is ...
    )
