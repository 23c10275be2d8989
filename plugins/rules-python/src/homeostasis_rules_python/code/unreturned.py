"""Functions that forgot to return, found from where their None was used when no frame of the app is left there."""

from __future__ import annotations

import re
from typing import Dict, Iterator, List, Tuple

import libcst as cst

from homeostasis_rules_python.code.callee import Callee
from homeostasis_rules_python.code.case import Case
from homeostasis_rules_python.code.dropped import Dropped, dropped_in, is_without_effect
from homeostasis_rules_python.code.known import functions_named
from homeostasis_rules_python.code.tree import Tree, called_name

MAX_NAMES = 30
"""Names of one line of source that are looked up."""
MAX_SITES = 4
"""Running functions, the innermost ones, whose calls are looked at."""
_NAME = re.compile(r"[A-Za-z_]\w{0,80}")
_OPERATORS: Tuple[Tuple[str, Tuple[str, ...]], ...] = (
    ("[", ("__getitem__", "__missing__")),
    (".", ("__getattr__", "__missing__", "__get__")),
    ("+", ("__add__", "__radd__")),
    ("-", ("__sub__", "__neg__")),
    ("*", ("__mul__",)),
    ("/", ("__truediv__",)),
    ("|", ("__or__", "__ror__")),
    ("&", ("__and__",)),
    ("(", ("__call__",)),
    ("with", ("__enter__",)),
    ("len(", ("__len__",)),
    ("for ", ("__iter__",)),
    ("list(", ("__iter__",)),
    ("sorted(", ("__iter__",)),
)
"""What stands in a line of source, and the special methods that it may call."""


def unreturned(case: Case) -> Dropped | None:
    """The one function that the failing line of somebody else's code names and that drops its result.

    Only where a None was used in a frame that cannot be edited: that of a script, a test or a library.
    """
    frames = case.raised.frames
    if "NoneType" not in case.raised.message or not frames:
        return None
    if case.sites and case.sites[-1].index == len(frames) - 1:
        return None
    return named_in(case, frames[-1].source_line or "")


def named_in(case: Case, line: str) -> Dropped | None:
    """The one function that a line of source names or calls by an operator, and that drops its result."""
    found: Dict[int, Dropped] = {}
    for tree, function in _called(case, line):
        for each in (function, *_passed_on(tree, function)):
            dropped = dropped_in(Callee(tree, each))
            if dropped is not None:
                found[id(each)] = dropped
    return next(iter(found.values())) if len(found) == 1 else None


def _passed_on(tree: Tree, function: cst.FunctionDef) -> Iterator[cst.FunctionDef]:
    """The functions inside of a function whose result it returns as its own."""
    inner = {each.name.value: each for each in tree.all(cst.FunctionDef, function.body)}
    for line in tree.all(cst.Return, function.body):
        called = (
            called_name(line.value) if isinstance(line.value, cst.Call) and tree.function(line) is function else None
        )
        if called in inner:
            yield inner[called]


def called_around(case: Case) -> Dropped | None:
    """The one function that ends in a value which does nothing by itself: of those called, else of the same files."""
    called: Dict[int, Dropped] = {}
    there: Dict[int, Dropped] = {}
    for site in case.sites[-MAX_SITES:]:
        body = site.function.body if site.function is not None else None
        names = {called_name(call) for call in site.tree.all(cst.Call, body)} if body is not None else set()
        for function in site.tree.all(cst.FunctionDef):
            dropped = dropped_in(Callee(site.tree, function))
            if dropped is None or not is_without_effect(dropped[2].value):
                continue
            there[id(function)] = dropped
            if function.name.value in names:
                called[id(function)] = dropped
    found = called or there
    return next(iter(found.values())) if len(found) == 1 else None


def _called(case: Case, line: str) -> Iterator[Tuple[Tree, cst.FunctionDef]]:
    names: List[str] = list(dict.fromkeys(_NAME.findall(line)))[:MAX_NAMES]
    special = [name for mark, methods in _OPERATORS if mark in line for name in methods]
    for name in dict.fromkeys((*names, *special)):
        for tree, function in functions_named(case, name):
            if case.source.refusal(tree.path) is None:
                yield tree, function
