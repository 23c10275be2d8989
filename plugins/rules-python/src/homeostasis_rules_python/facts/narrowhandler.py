"""Handlers of exceptions that name one of the ways in which an operation fails, and not its sibling."""

from __future__ import annotations

import re
from typing import Dict, Iterator, List, Tuple

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.tree import Tree, called_name, dotted_name
from homeostasis_rules_python.facts.base import Facts, extracts

CONVERTERS: Dict[str, Tuple[str, ...]] = {
    **dict.fromkeys(("int", "float", "complex", "Fraction"), ("TypeError", "OverflowError")),
    "Decimal": ("TypeError", "InvalidOperation"),
    **dict.fromkeys(("fromtimestamp", "utcfromtimestamp", "gmtime"), ("TypeError", "OverflowError", "OSError")),
    **dict.fromkeys(("date", "datetime", "timedelta"), ("TypeError", "OverflowError")),
    **dict.fromkeys(
        ("strptime", "fromisoformat", "fromhex", "unhexlify", "b64decode", "literal_eval", "loads", "chr", "bytes"),
        ("TypeError",),
    ),
}  # fmt: skip
"""Functions that convert a value, and what they raise beside the ValueError for a value of the right type.

As documented for the builtins and for `datetime`, `time`, `decimal` and `json` in the library reference of Python.
"""
_SIBLINGS = {"TypeError": ("ValueError",), "OverflowError": ("ValueError", "TypeError"), "OSError": ("ValueError",),
             "InvalidOperation": ("ValueError",), "IndexError": ("KeyError",), "KeyError": ("IndexError",)}  # fmt: skip
"""An exception that escaped, to those of which a handler may have been written for the same failure."""
_DERIVED = {"JSONDecodeError": "ValueError", "UnicodeDecodeError": "ValueError", "binascii.Error": "ValueError"}
_SIGNATURE = re.compile(r"argument|takes (?:no|exactly|from|\d)|not callable|abstract|is not awaitable")
_VALUE = re.compile(r"^(?:\w+\(\) |the JSON object |.{0,40})(?:argument\b.{0,20} must be|must be|argument should be)")
_NOT_DATA = frozenset(("coroutine", "function", "method", "generator", "type", "module", "builtin_function_or_method"))
DEPTH = 2
"""Frames of the app above the failing one whose handlers are looked at."""


@extracts("TypeError", "OverflowError", "OSError", "InvalidOperation", "IndexError", "KeyError", rank=24)
def narrow_handler(case: Case, site: Site) -> Facts | None:
    """`handled` is what the handler around names, `escaped` what it has to name as well.

    `sure` is whether the failing call is known to fail in both ways, in the only statement of the `try`.
    """
    if case.raised.type not in _SIBLINGS:
        return None
    inner = site.nodes(cst.Call, cst.Subscript)
    if not inner or not _by_value(case, site, inner[0]):
        return None
    for depth, outer in enumerate([site, *_callers(case, site)]):
        nodes = site.nodes(cst.Call, cst.Subscript) if depth == 0 else outer.nodes(cst.Call)
        facts = _around(case, outer, nodes[0], sure=depth == 0) if nodes else None
        if facts is not None:
            return facts
    return None


def _callers(case: Case, site: Site) -> List[Site]:
    found: List[Site] = []
    caller = case.caller(site)
    while caller is not None and len(found) < DEPTH:
        found.append(caller)
        caller = case.caller(caller)
    return found


def _by_value(case: Case, site: Site, node: cst.CSTNode) -> bool:
    """Whether the value that is converted or looked up is at fault, not how something is called."""
    kind, message = case.raised.type, case.raised.message
    if isinstance(node, cst.Subscript):
        return kind in ("IndexError", "KeyError")
    if not isinstance(node, cst.Call) or not node.args or kind in ("IndexError", "KeyError"):
        return False
    if any(site.type_of(arg.value) in _NOT_DATA for arg in node.args):
        return False
    if called_name(node) in CONVERTERS:
        return kind in CONVERTERS[called_name(node) or ""]
    return kind == "TypeError" and (bool(_VALUE.search(message)) or not _SIGNATURE.search(message))


def _around(case: Case, site: Site, node: cst.CSTNode, *, sure: bool) -> Facts | None:
    """The handlers of the nearest `try` whose body holds the node."""
    kind = case.raised.type
    for block in _tries(site.tree, node):
        for each in block.handlers:
            names = caught_names(each)
            wanted = [name for name in names if _DERIVED.get(name, name) in _SIBLINGS[kind]]
            if not wanted or not _answers(site.tree, each):
                continue
            facts = Facts.about(case, site, node)
            known = isinstance(node, cst.Subscript) or called_name(cst.ensure_type(node, cst.Call)) in CONVERTERS
            facts.values.update(mistake="narrow-handler", handled=wanted[0], escaped=kind)
            facts.values["sure"] = sure and known and len(block.body.body) == 1
            facts.sentence = (
                f"{facts.where} handles {wanted[0]}, and `{facts.values['expression']}` raises {kind} as well"
            )
            return facts
        if any(each.type is None for each in block.handlers):
            return None
    return None


def narrowed(facts: Facts) -> cst.ExceptHandler | None:
    """The handler that the facts are about."""
    for block in _tries(facts.site.tree, facts.node):
        for each in block.handlers:
            if facts.values["handled"] in caught_names(each):
                return each
    return None


def _tries(tree: Tree, node: cst.CSTNode) -> Iterator[cst.Try]:
    """The `try` blocks of the function whose bodies hold the node, the innermost first."""
    inner = node
    for outer in tree.ancestors(node):
        if isinstance(outer, (cst.FunctionDef, cst.Lambda, cst.ClassDef)):
            return
        if isinstance(outer, cst.Try) and outer.body is inner:
            yield outer
        inner = outer


def caught_names(handler: cst.ExceptHandler) -> List[str]:
    """What an `except` clause names, without modules."""
    kinds = [each.value for each in handler.type.elements] if isinstance(handler.type, cst.Tuple) else [handler.type]
    return [(dotted_name(kind) or "?").split(".")[-1] for kind in kinds if kind is not None]


def _answers(tree: Tree, handler: cst.ExceptHandler) -> bool:
    """Whether a handler does something about the failure, and would do the same about another exception."""
    body = handler.body.body
    bare = [item for item in tree.all(cst.Raise, handler.body) if item.exc is None]
    if not body or bare:
        return False
    name = handler.name.name.value if handler.name is not None and isinstance(handler.name.name, cst.Name) else None
    return not any(
        isinstance(use.value, cst.Name) and use.value.value == name for use in tree.all(cst.Attribute, handler.body)
    )
