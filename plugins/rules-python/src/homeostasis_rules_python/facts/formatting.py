"""Formatting of text: numbers that are text, and tuples that are taken for several arguments."""

from __future__ import annotations

import re
from typing import Iterator, Tuple

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.scope import binding
from homeostasis_rules_python.code.tree import literal_of
from homeostasis_rules_python.facts.base import Facts, extracts
from homeostasis_rules_python.facts.operands import NUMBER
from homeostasis_rules_python.facts.replacing import call_of, replacing

_MARK = re.compile(r"%(?!%)[-+ #0]*\d*(?:\.\d+)?([a-zA-Z])")
_NUMBER_NEEDED = re.compile(r"^%([a-zA-Z]) format: an? (?:real )?(?:number|integer) is required, not str")
_TUPLE_TAKEN = ("not all arguments converted during string formatting", "not enough arguments for format string")
"""What Python says of a tuple with several items, and of one with none."""
_CODE = re.compile(r"^Unknown format code '(.)' for object of type 'str'")


@extracts("TypeError", rank=13)
def formatted(case: Case, site: Site) -> Facts | None:
    """`mistake` is `format-tuple` for one tuple taken as several values, `format-number` for a number as text."""
    tuple_taken = case.raised.message in _TUPLE_TAKEN
    number = _NUMBER_NEEDED.match(case.raised.message)
    for node in site.nodes(cst.BinaryOperation) if tuple_taken or number else ():
        if not isinstance(node, cst.BinaryOperation) or not isinstance(node.operator, cst.Modulo):
            continue
        text = literal_of(node.left)[1]
        marks = _MARK.findall(text) if isinstance(text, str) else []
        if tuple_taken and len(marks) == 1 and _is_tuple(site, node.right):
            new = cst.Tuple([cst.Element(node.right, comma=cst.Comma())])
            sentence = f"{{where}} formats the tuple `{site.tree.code(node.right)}`, whose items are taken one by one"
            return replacing(case, site, "format-tuple", node.right, new, sentence)
        for mark, given in _pairs(marks, node.right) if number else ():
            known, value = site.value(given)
            if mark in "dioxXeEfFgG" and known and isinstance(value, str) and NUMBER.match(value):
                maker = "float" if mark in "eEfFgG" or "." in value else "int"
                sentence = f"{{where}} formats `{site.tree.code(given)}` as a number, but it is text"
                return replacing(case, site, "format-number", given, call_of(maker, given), sentence)
    return None


def _is_tuple(site: Site, node: cst.BaseExpression) -> bool:
    if isinstance(node, cst.Name):
        found = binding(site.tree, node.value, node)
        if found.kind in ("assign", "module") and isinstance(found.value, cst.Tuple):
            return True
    return site.type_of(node) == "tuple"


def _pairs(marks: list[str], right: cst.BaseExpression) -> Iterator[Tuple[str, cst.BaseExpression]]:
    given = [item.value for item in right.elements] if isinstance(right, cst.Tuple) else [right]
    if len(given) == len(marks):
        yield from zip(marks, given)


@extracts("ValueError", rank=13)
def format_code(case: Case, site: Site) -> Facts | None:
    """`mistake` is `format-code`: `f"{value:.2f}"` of a number as text."""
    found = _CODE.match(case.raised.message)
    for node in site.nodes(cst.FormattedStringExpression) if found is not None else ():
        if not isinstance(node, cst.FormattedStringExpression) or not node.format_spec or found is None:
            continue
        known, value = site.value(node.expression)
        if known and isinstance(value, str) and NUMBER.match(value):
            maker = "int" if found.group(1) in "bcdoxX" else "float"
            sentence = f"{{where}} formats `{site.tree.code(node.expression)}` as a number, but it is text"
            return replacing(case, site, "format-code", node.expression, call_of(maker, node.expression), sentence)
    return None
