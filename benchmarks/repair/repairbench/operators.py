"""The mutation operators: each takes a node and its place, and returns an edit that makes sound code crash, or None."""

from __future__ import annotations

import ast
from typing import Callable, Mapping

from repairbench.source import Edit, Place

Operator = Callable[[ast.AST, Place], "Edit | None"]


def _leaves(statement: ast.stmt) -> bool:
    """Whether a statement ends the function or the turn of a loop."""
    if isinstance(statement, (ast.Return, ast.Raise, ast.Continue)):
        return True
    call = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "abort"


def _single(call: ast.Call) -> bool:
    return len(call.args) == 1 and not call.keywords


def drop_guard(node: ast.AST, place: Place) -> Edit | None:
    """Remove `if <test>: return/raise/continue`."""
    if isinstance(node, ast.If) and not node.orelse and _leaves(node.body[-1]) and len(node.body) <= 2:
        return place.source.without_statement(node, place.block)
    return None


def get_to_subscript(node: ast.AST, place: Place) -> Edit | None:
    """`x.get(key, default)` becomes `x[key]`."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get"):
        return None
    if not 1 <= len(node.args) <= 2 or node.keywords:
        return None
    return place.source.replaced(node, f"{place.source.of(node.func.value)}[{place.source.of(node.args[0])}]")


def drop_default(node: ast.AST, place: Place) -> Edit | None:
    """Make the last optional parameter of a function required."""
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) or not node.args.defaults:
        return None
    last = [*node.args.posonlyargs, *node.args.args][-1]
    return Edit(place.source.span(last)[1], place.source.span(node.args.defaults[-1])[1], "")


def drop_await(node: ast.AST, place: Place) -> Edit | None:
    """`await x` becomes `x`."""
    return place.source.replaced(node, place.source.of(node.value)) if isinstance(node, ast.Await) else None


def drop_conversion(node: ast.AST, place: Place) -> Edit | None:
    """`int(x)` and its like become `x`."""
    names = ("int", "str", "float", "Decimal", "bytes", "tuple", "frozenset", "Path", "dict")
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names):
        return None
    return place.source.replaced(node, place.source.of(node.args[0])) if _single(node) else None


def drop_copy(node: ast.AST, place: Place) -> Edit | None:
    """`for x in list(y)` becomes `for x in y`."""
    if not (isinstance(node, ast.For) and isinstance(node.iter, ast.Call) and isinstance(node.iter.func, ast.Name)):
        return None
    if node.iter.func.id not in ("list", "tuple", "set") or not _single(node.iter):
        return None
    return place.source.replaced(node.iter, place.source.of(node.iter.args[0]))


def drop_try(node: ast.AST, place: Place) -> Edit | None:
    """Remove the `try` with a single `except` around a few statements."""
    if isinstance(node, ast.Try) and len(node.handlers) == 1 and not node.orelse and not node.finalbody:
        return place.source.dedented(node, node.body) if len(node.body) <= 3 else None
    return None


def drop_or(node: ast.AST, place: Place) -> Edit | None:
    """`x or []` becomes `x`."""
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or) and len(node.values) == 2:
        fallback = node.values[1]
        if isinstance(fallback, (ast.Constant, ast.List, ast.Dict, ast.Tuple)):
            return place.source.replaced(node, place.source.of(node.values[0]))
    return None


def drop_and(node: ast.AST, place: Place) -> Edit | None:
    """`x and x.y` becomes `x.y`."""
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And):
        start, end = place.source.span(node.values[1])[0], place.source.span(node)[1]
        return place.source.replaced(node, place.source.text[start:end])
    return None


def drop_condition(node: ast.AST, place: Place) -> Edit | None:
    """`a if test else b` becomes `a`."""
    return place.source.replaced(node, place.source.of(node.body)) if isinstance(node, ast.IfExp) else None


def drop_method(node: ast.AST, place: Place) -> Edit | None:
    """`x.encode()` and its like become `x`."""
    names = (
        "encode",
        "decode",
        "isoformat",
        "items",
        "copy",
        "fetchone",
        "scalar",
        "all",
        "model_dump",
        "keys",
        "date",
    )
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in names:
        return place.source.replaced(node, place.source.of(node.func.value))
    return None


def drop_keyword(node: ast.AST, place: Place) -> Edit | None:
    """Remove a keyword argument that keeps a call from failing."""
    names = ("default", "tz", "tzinfo", "encoding", "errors", "exist_ok", "parents", "check_same_thread", "key")
    if not isinstance(node, ast.Call):
        return None
    for keyword in node.keywords:
        if keyword.arg in names:
            end = place.source.span(keyword.value)[1]
            before = [*node.args, *(other.value for other in node.keywords if other is not keyword)]
            ends = [place.source.span(one)[1] for one in before if place.source.span(one)[1] < end]
            start = max(ends) if ends else end - len(place.source.of(keyword.value)) - len(keyword.arg) - 1
            return Edit(start, end, "")
    return None


def drop_call(node: ast.AST, place: Place) -> Edit | None:
    """Remove a statement that is a call."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return place.source.without_statement(node, place.block)
    return None


def drop_second_argument(node: ast.AST, place: Place) -> Edit | None:
    """`next(x, None)`, `getattr(x, n, d)` and `pop(k, d)` lose their default."""
    if not isinstance(node, ast.Call) or node.keywords:
        return None
    name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
    if {"next": 2, "getattr": 3, "pop": 2, "getenv": 2}.get(name) != len(node.args):
        return None
    return Edit(place.source.span(node.args[-2])[1], place.source.span(node.args[-1])[1], "")


def drop_import(node: ast.AST, place: Place) -> Edit | None:
    """Remove a module-level import."""
    if isinstance(node, (ast.Import, ast.ImportFrom)) and len(node.names) == 1 and node.col_offset == 0:
        return (
            None if getattr(node, "module", "") == "__future__" else place.source.without_statement(node, place.block)
        )
    return None


def drop_initialiser(node: ast.AST, place: Place) -> Edit | None:
    """Remove `name = <literal>` in a function."""
    if not (isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.col_offset > 0):
        return None
    small = (
        isinstance(node.value, (ast.Constant, ast.List, ast.Dict)) and not list(ast.iter_child_nodes(node.value))[1:]
    )
    return place.source.without_statement(node, place.block) if small else None


def drop_return(node: ast.AST, place: Place) -> Edit | None:
    """`return x` at the end of a function becomes `x`."""
    if isinstance(node, ast.Return) and node.value is not None and len(place.block) > 1 and node is place.block[-1]:
        return place.source.replaced(node, place.source.of(node.value))
    return None


def drop_self(node: ast.AST, place: Place) -> Edit | None:
    """A method loses its `self`."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.args.args[:1] and len(node.args.args) > 1:
        first, second = node.args.args[:2]
        if first.arg == "self":
            return Edit(place.source.span(first)[0], place.source.span(second)[0], "")
    return None


def misspell_attribute(node: ast.AST, place: Place) -> Edit | None:
    """`self.name = x` in the constructor gets another name than its readers use."""
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "self":
            renamed = target.attr[:-1] if target.attr.endswith("s") else f"{target.attr}s"
            return place.source.replaced(target, f"self.{renamed}")
    return None


def misspell_keyword(node: ast.AST, place: Place) -> Edit | None:
    """A keyword of a call gets another name than the parameter has."""
    if isinstance(node, ast.Call) and isinstance(node.func, (ast.Name, ast.Attribute)) and node.keywords:
        keyword = node.keywords[0]
        if keyword.arg and len(keyword.arg) > 3:
            end = place.source.span(keyword.value)[0] - 1
            renamed = keyword.arg[:-1] if keyword.arg.endswith("s") else f"{keyword.arg}s"
            return Edit(end - len(keyword.arg), end, renamed)
    return None


def to_plain_dict(node: ast.AST, place: Place) -> Edit | None:
    """`defaultdict(list)` and `Counter()` become `{}`."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
        return None
    known = node.func.id == "defaultdict" or (node.func.id == "Counter" and not node.args)
    return place.source.replaced(node, "{}") if known else None


def drop_time_zone(node: ast.AST, place: Place) -> Edit | None:
    """`datetime.now(timezone.utc)` becomes `datetime.now()`."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
        return None
    zone = node.args[-1]
    if node.func.attr not in ("now", "fromtimestamp") or "utc" not in place.source.of(zone).lower():
        return None
    start = place.source.span(node.args[-2])[1] if len(node.args) > 1 else place.source.span(zone)[0]
    return Edit(start, place.source.span(zone)[1], "")


OPERATORS: Mapping[str, Operator] = {
    "drop-guard": drop_guard,
    "get-to-subscript": get_to_subscript,
    "drop-default": drop_default,
    "drop-await": drop_await,
    "drop-conversion": drop_conversion,
    "drop-copy": drop_copy,
    "drop-try": drop_try,
    "drop-or": drop_or,
    "drop-and": drop_and,
    "drop-condition": drop_condition,
    "drop-method": drop_method,
    "drop-keyword": drop_keyword,
    "drop-second-argument": drop_second_argument,
    "drop-import": drop_import,
    "drop-initialiser": drop_initialiser,
    "drop-return": drop_return,
    "drop-self": drop_self,
    "misspell-attribute": misspell_attribute,
    "misspell-keyword": misspell_keyword,
    "drop-call": drop_call,
    "to-plain-dict": to_plain_dict,
    "drop-time-zone": drop_time_zone,
}

RARE = ("drop-call",)
"""Operators that are only used on the subjects that name them: what a dropped call does is seldom seen at once."""
