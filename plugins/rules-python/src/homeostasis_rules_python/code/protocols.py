"""Special methods that give something of another type than Python asks of them."""

from __future__ import annotations

import re
from typing import Dict, Tuple

import libcst as cst

from homeostasis_rules_python.code.case import Case
from homeostasis_rules_python.code.known import functions_named
from homeostasis_rules_python.code.tree import Tree, called_name

_REFUSED: Tuple[Tuple[re.Pattern[str], str | None], ...] = (
    (re.compile(r"^(__(?:str|repr|int|float|index)__) returned non-\w{1,20} \(type (?P<kind>[\w.]{1,80})\)"), None),
    (re.compile(r"^(__(?:format|repr|str)__) must return a str, not (?P<kind>[\w.]{1,80})"), None),
    (re.compile(r"^(__bool__) should return bool, returned (?P<kind>[\w.]{1,80})"), None),
    (re.compile(r"^(__getnewargs__) should return a tuple, not '(?P<kind>[\w.]{1,80})'"), None),
    (re.compile(r"^iter\(\) returned non-iterator of type '(?P<kind>[\w.]{1,80})'"), "__iter__"),
    (re.compile(r"^__hash__ method should return an integer"), "__hash__"),
)
"""How Python refuses what a special method gave, and the method where the message does not name it so."""
CONVERTERS: Dict[str, str] = {
    "__str__": "str",
    "__repr__": "repr",
    "__format__": "str",
    "__bool__": "bool",
    "__getnewargs__": "tuple",
    "__iter__": "iter",
    "__hash__": "hash",
    "__int__": "int",
    "__index__": "int",
    "__float__": "float",
}
_LOSSLESS: Dict[str, Tuple[str, ...]] = {
    "__int__": ("float", "Decimal", "decimal.Decimal", "Fraction", "str"),
    "__index__": ("str", "bool"),
    "__float__": ("int", "Decimal", "decimal.Decimal", "Fraction", "str"),
    "__iter__": ("list", "tuple", "set", "frozenset", "dict", "str", "dict_keys", "dict_values", "dict_items", "range",
                 "deque", "collections.deque", "OrderedDict", "collections.OrderedDict"),
    "__getnewargs__": ("list", "dict_items", "dict_keys", "dict_values", "set", "generator"),
}  # fmt: skip
"""Types that say the same when they are converted; a method that is not listed takes all but None and bytes."""
_FITTING = (cst.SimpleString, cst.FormattedString, cst.ConcatenatedString)


def refused(case: Case) -> Tuple[Tree, cst.FunctionDef, cst.Return] | None:
    """The one `return` of the app that a message of this kind can mean."""
    method, kind = _said(case.raised.message)
    allowed = _LOSSLESS.get(method or "")
    if method is None or method not in CONVERTERS or kind in ("NoneType", "bytes", "coroutine"):
        return None
    if allowed is not None and kind not in allowed:
        return None
    found = [
        (tree, function, line)
        for tree, function in functions_named(case, method)
        if case.source.refusal(tree.path) is None and _is_plain(tree, function)
        for line in tree.all(cst.Return, function.body)
        if tree.function(line) is function and line.value is not None and not _fits(method, line.value)
    ]
    return found[0] if len(found) == 1 else None


def _is_plain(tree: Tree, function: cst.FunctionDef) -> bool:
    """Whether a call runs the function: it is neither a generator nor a coroutine."""
    yields = any(tree.function(each) is function for each in tree.all(cst.Yield, function.body))
    return function.asynchronous is None and not yields


def _said(message: str) -> Tuple[str | None, str]:
    for pattern, method in _REFUSED:
        found = pattern.match(message)
        if found is not None:
            return method or found.group(1), found.groupdict().get("kind") or ""
    return None, ""


def _fits(method: str, value: cst.BaseExpression) -> bool:
    """Whether an expression certainly is of the type that is asked for."""
    if isinstance(value, _FITTING):
        return method in ("__str__", "__repr__", "__format__")
    if isinstance(value, cst.Tuple):
        return method == "__getnewargs__"
    if isinstance(value, cst.Comparison):
        return method == "__bool__"
    if not isinstance(value, cst.Call):
        return False
    name = called_name(value)
    return name in (CONVERTERS[method], "format", "join", "super") or name == method
