"""Texts that stand for numbers or paths where these are needed, and keys that are taken for values."""

from __future__ import annotations

import re
from typing import List

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.construct import has_keyword, with_keywords
from homeostasis_rules_python.code.known import known_keys
from homeostasis_rules_python.code.origin import origin
from homeostasis_rules_python.code.tree import called_name, dotted_name
from homeostasis_rules_python.facts.base import Facts, extracts
from homeostasis_rules_python.facts.iterating import is_dict
from homeostasis_rules_python.facts.operands import NUMBER
from homeostasis_rules_python.facts.replacing import call_of, method_of, replacing

_NO_NUMBER = re.compile(
    r"^type str doesn't define __round__ method|^bad operand type for abs\(\): 'str'|^must be real number, not str"
    r"|^bad operand type for unary -: 'str'"
)
_PATHS = re.compile(r"^unsupported operand type\(s\) for /: 'str' and 'str'")
_REPEATED = re.compile(r"^can't multiply sequence by non-int of type 'str'")


@extracts("TypeError", rank=46)
def number_as_text(case: Case, site: Site) -> Facts | None:
    """`mistake` is `number-needed`: `round("1.5")` and the like, with a text that is a number."""
    if not _NO_NUMBER.match(case.raised.message):
        return None
    for node in site.nodes(cst.Call, cst.UnaryOperation):
        given = node.expression if isinstance(node, cst.UnaryOperation) else None
        if isinstance(node, cst.Call) and node.args and not node.args[0].star:
            given = node.args[0].value
        facts = _converted(case, site, given, "number-needed")
        if facts is not None:
            return facts
    return None


@extracts("TypeError", rank=46)
def times_as_text(case: Case, site: Site) -> Facts | None:
    """`mistake` is `number-needed`: a list or text is repeated as often as a text says."""
    if not _REPEATED.match(case.raised.message):
        return None
    for node in site.nodes(cst.BinaryOperation):
        sides: List[cst.BaseExpression] = [node.left, node.right] if isinstance(node, cst.BinaryOperation) else []
        texts = [side for side in sides if isinstance(site.value(side)[1], str) and site.value(side)[0]]
        if len(texts) == 1:
            return _converted(case, site, texts[0], "number-needed")
    return None


def _converted(case: Case, site: Site, given: cst.BaseExpression | None, mistake: str) -> Facts | None:
    known, value = site.value(given)
    if given is None or not known or not isinstance(value, str) or not NUMBER.match(value):
        return None
    if origin(case, site, given).kind == "client":
        return None
    kind = "float" if "." in value else "int"
    sentence = f"{{where}} needs a number, but `{site.tree.code(given)}` is the text {value!r:.40}"
    return replacing(case, site, mistake, given, call_of(kind, given), sentence)


@extracts("TypeError", rank=47)
def text_for_path(case: Case, site: Site) -> Facts | None:
    """`mistake` is `text-for-path`: texts are joined by `/`, as paths are."""
    if not _PATHS.match(case.raised.message):
        return None
    for node in site.nodes(cst.BinaryOperation):
        if not isinstance(node, cst.BinaryOperation) or not isinstance(node.operator, cst.Divide):
            continue
        left: cst.BaseExpression = node.left
        while isinstance(left, cst.BinaryOperation) and isinstance(left.operator, cst.Divide):
            left = left.left
        values = [site.value(side)[1] for side in (left, node.right)]
        if any(isinstance(value, str) and NUMBER.match(value) for value in values):
            return None
        if not any(isinstance(value, str) for value in values):
            return None
        sentence = f"{{where}} joins texts by `/`, as only paths can be; `{site.tree.code(left)}` is a text"
        return replacing(case, site, "text-for-path", left, call_of("Path", left), sentence, ["pathlib:Path"])
    return None


@extracts("TypeError", rank=21)
def keys_for_items(case: Case, site: Site) -> Facts | None:
    """`mistake` is `dict-items`: the two letters of a key are taken for a key and a value."""
    for node in site.nodes(cst.Call, cst.BinaryOperation, cst.AugAssign, cst.Comparison)[:1]:
        loops: List[cst.CSTNode] = [*site.tree.all(cst.CompFor, node)]
        loops += [each for each in site.tree.ancestors(node) if isinstance(each, (cst.For, cst.CompFor))]
        loops += [each.for_in for each in site.tree.ancestors(node) if isinstance(each, cst.BaseComp)]
        for loop in loops:
            if not isinstance(loop, (cst.For, cst.CompFor)) or not isinstance(loop.target, cst.Tuple):
                continue
            plain = isinstance(loop.iter, cst.Name) and len(loop.target.elements) == 2
            if plain and isinstance(loop.iter, cst.Name) and _has_pairs_for_keys(site, loop.iter):
                sentence = f"{{where}} takes keys and values of `{loop.iter.value}`, which gives its keys only"
                return replacing(case, site, "dict-items", loop.iter, method_of(loop.iter, "items"), sentence)
    return None


def _has_pairs_for_keys(site: Site, node: cst.Name) -> bool:
    """Whether it is a dict whose keys are texts of two letters, so that they could be unpacked by mistake."""
    keys = known_keys(site, node)
    return is_dict(site, node) and bool(keys) and all(isinstance(key, str) and len(key) == 2 for key in keys)


@extracts("AttributeError", rank=47)
def date_as_text(case: Case, site: Site) -> Facts | None:
    """`mistake` is `date-text`: a date is asked of a text that is one, as ISO 8601 writes it."""
    found = re.match(
        r"^'str' object has no attribute '(strftime|year|month|day|weekday|date|timestamp)'", case.raised.message
    )
    for node in site.nodes(cst.Attribute) if found is not None else ():
        if not isinstance(node, cst.Attribute) or found is None or node.attr.value != found.group(1):
            continue
        known, value = site.value(node.value)
        if (
            not known
            or not isinstance(value, str)
            or not re.match(r"^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?)?$", value)
        ):
            continue
        if origin(case, site, node.value).kind == "client":
            return None
        sentence = f"{{where}} treats `{site.tree.code(node.value)}` as a date, which is the text of one"
        new = call_of("datetime.fromisoformat", node.value)
        return replacing(case, site, "date-text", node.value, new, sentence, ["datetime:datetime"])
    return None


@extracts("FileNotFoundError", rank=24)
def missing_parents(case: Case, site: Site) -> Facts | None:
    """`mistake` is `parents`: a directory is made in one that does not exist."""
    for node in site.nodes(cst.Call):
        if not isinstance(node, cst.Call):
            continue
        sentence = "{where} makes a directory in one that does not exist"
        if dotted_name(node.func) == "os.mkdir" and len(node.args) == 1:
            new = cst.Attribute(cst.Name("os"), cst.Name("makedirs"))
            return replacing(case, site, "parents", node.func, new, sentence)
        own = isinstance(node.func, cst.Attribute) and dotted_name(node.func) != "os.mkdir"
        if called_name(node) == "mkdir" and own and not has_keyword(node, "parents"):
            new_call = with_keywords(node, [("parents", "True")])
            return replacing(case, site, "parents", node, new_call, sentence)
    return None
