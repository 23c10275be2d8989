"""TypeError of mixed operands, ZeroDivisionError, and conversions that fail."""

from __future__ import annotations

import re
from typing import Any, List, Tuple

import libcst as cst

from homeostasis_rules_python.code.case import INNER, Case, Site
from homeostasis_rules_python.code.fallback import fallback
from homeostasis_rules_python.code.neutral import declared_return
from homeostasis_rules_python.code.origin import Origin, origin
from homeostasis_rules_python.code.recorded import refused_text
from homeostasis_rules_python.code.scope import binding
from homeostasis_rules_python.code.tree import called_name, dotted_name
from homeostasis_rules_python.facts.base import Facts, extracts

_CONCATENATE = re.compile(r'^can only concatenate (str|list|tuple) \(not "([\w.]{1,80})"\) to \1')
_UNSUPPORTED = re.compile(
    r"^unsupported operand type\(s\) for (\S{1,4})(?: or \S+)?: '([\w.]{1,80})' and '([\w.]{1,80})'"
)
_COMPARED = re.compile(r"^'(<|>|<=|>=)' not supported between instances of '([\w.]{1,80})' and '([\w.]{1,80})'")
_REPEATED = re.compile(r"^can't multiply sequence by non-int of type '([\w.]{1,80})'")
_NUMBERS = ("int", "float", "decimal.Decimal", "Decimal", "complex", "bool")
NUMBER = re.compile(r"^\s*[+-]?\d{1,30}(\.\d{0,30})?\s*$")


@extracts("TypeError", rank=51)
def mixed(case: Case, site: Site) -> Facts | None:
    """Facts about an operation on a text and a number, or on a float and a Decimal."""
    types = _types(case.raised.message)
    if types is None or "NoneType" in types:
        return None
    for node in site.nodes(cst.BinaryOperation, cst.AugAssign, cst.Comparison, cst.Call):
        sides = _sides(node)
        if sides is None:
            continue
        chosen = _assign_types(site, sides, types)
        if chosen is None:
            continue
        (left, left_type), (right, right_type) = chosen
        facts = Facts.about(case, site, node)
        facts.values.update(left_type=left_type, right_type=right_type, operator=_operator(case.raised.message, node))
        for name, side, kind in (("left", left, left_type), ("right", right, right_type)):
            facts.say(name, side)
            facts.blame(name, origin(case, site, side))
            if kind == "str":
                facts.say("text", side)
                facts.values["text_origin"] = facts.values[f"{name}_origin"]
                facts.values["text_value"] = _value_of(site, side)
            elif kind in _NUMBERS:
                facts.say("number", side)
                facts.values["number_type"] = kind.split(".")[-1]
        facts.values["text_role"] = _text_role(facts)
        facts.sentence = (
            f"{facts.where} combines `{facts.values['left']}` ({left_type}) "
            f"with `{facts.values['right']}` ({right_type})"
        )
        return facts
    return None


def _text_role(facts: Facts) -> str | None:
    """`number` if the text stands for one, `text` if it does not, `unknown` if nothing tells."""
    node = facts.nodes.get("text")
    value = facts.values.get("text_value")
    if node is None:
        return None
    if isinstance(value, str):
        return "number" if NUMBER.match(value) else "text"
    if isinstance(node, (cst.FormattedString, cst.SimpleString, cst.ConcatenatedString)):
        return "text"
    # What is added to a running number is meant as one.
    running = isinstance(facts.node, cst.AugAssign) and facts.values["left_type"] in _NUMBERS
    # And a sum that is turned into text afterwards was meant to be none before.
    parent = facts.site.tree.parent(facts.node)
    call = facts.site.tree.parent(parent) if isinstance(parent, cst.Arg) else None
    written = isinstance(call, cst.Call) and dotted_name(call.func) == "str" and len(call.args) == 1
    return "number" if running or written or isinstance(facts.node, cst.Call) else "unknown"


def _types(message: str) -> Tuple[str, str] | None:
    found = _CONCATENATE.match(message)
    if found is not None:
        return found.group(1), found.group(2)
    found = _UNSUPPORTED.match(message) or _COMPARED.match(message)
    if found is not None:
        return found.group(2), found.group(3)
    found = _REPEATED.match(message)
    return ("str", found.group(1)) if found is not None else None


def _operator(message: str, node: cst.CSTNode) -> str:
    found = _UNSUPPORTED.match(message) or _COMPARED.match(message)
    if found is not None:
        return found.group(1).rstrip("=") if found.re is _UNSUPPORTED else found.group(1)
    if _REPEATED.match(message):
        return "*"
    return "+" if isinstance(node, (cst.BinaryOperation, cst.AugAssign)) else ""


def _sides(node: cst.CSTNode) -> Tuple[cst.BaseExpression, cst.BaseExpression] | None:
    if isinstance(node, cst.BinaryOperation):
        return node.left, node.right
    if isinstance(node, cst.AugAssign):
        return node.target, node.value
    if isinstance(node, cst.Comparison) and len(node.comparisons) == 1:
        return node.left, node.comparisons[0].comparator
    if isinstance(node, cst.Call) and called_name(node) == "sum" and node.args:
        inner = node.args[0].value
        if isinstance(inner, (cst.GeneratorExp, cst.ListComp)):
            return cst.Integer("0"), inner.elt
    return None


Side = Tuple[cst.BaseExpression, str]


def _assign_types(
    site: Site, sides: Tuple[cst.BaseExpression, cst.BaseExpression], types: Tuple[str, str]
) -> Tuple[Side, Side] | None:
    """The sides with their types. Python names them in order; `can't multiply sequence` does not say which is which."""
    known = [site.type_of(side) for side in sides]
    shorts = [kind.split(".")[-1] for kind in types]

    def fits(order: List[str]) -> bool:
        return all(have is None or have == want for have, want in zip(known, order))

    if fits(shorts):
        return (sides[0], types[0]), (sides[1], types[1])
    if fits(shorts[::-1]):
        return (sides[0], types[1]), (sides[1], types[0])
    return None


def _value_of(site: Site, side: cst.CSTNode) -> Any:
    known, value = site.value(side)
    return value if known else None


@extracts("ZeroDivisionError", "DivisionByZero", rank=50)
def zero_division(case: Case, site: Site) -> Facts | None:
    """Facts about `dividend / divisor`."""
    for node in site.nodes(cst.BinaryOperation, cst.AugAssign):
        if isinstance(node, cst.BinaryOperation) and isinstance(
            node.operator, (cst.Divide, cst.FloorDivide, cst.Modulo)
        ):
            dividend, divisor = node.left, node.right
        elif isinstance(node, cst.AugAssign) and isinstance(
            node.operator, (cst.DivideAssign, cst.FloorDivideAssign, cst.ModuloAssign)
        ):
            dividend, divisor = node.target, node.value
        else:
            continue
        known, value = site.value(divisor)
        if known and value:
            continue
        facts = Facts.about(case, site, node)
        facts.say("dividend", dividend)
        facts.say("divisor", divisor)
        facts.values["counted"] = _counted(site, divisor)
        facts.values["declared"] = declared_return(site.tree, site.function)
        facts.blame("divisor", origin(case, site, divisor))
        facts.sentence = f"{facts.where} divides by `{facts.values['divisor']}`, which is zero"
        return facts
    return None


def _counted(site: Site, divisor: cst.BaseExpression) -> bool:
    """Whether the divisor says how many there are: `len(...)`, `sum(...)`, `.count()`."""
    if isinstance(divisor, cst.Name):
        found = binding(site.tree, divisor.value, divisor)
        if found.kind == "augment":
            return True
        divisor = found.value if found.kind == "assign" and found.value is not None else divisor
    return isinstance(divisor, cst.Call) and called_name(divisor) in ("len", "count", "sum", "count_documents")


_UNPACKED = re.compile(r"^(?:not enough|too many) values to unpack \(expected (?:at least )?(\d{1,9})")


@extracts("ValueError", rank=50)
def unpacking(case: Case, site: Site) -> Facts | None:
    """Facts about `a, b = text.split(...)` with another number of parts; told like a conversion."""
    found = _UNPACKED.match(case.raised.message)
    for node in site.nodes(cst.Assign) if found is not None else ():
        if not isinstance(node, cst.Assign) or not isinstance(node.targets[0].target, (cst.Tuple, cst.List)):
            continue
        facts = Facts.about(case, site, node.value)
        facts.say("text", node.value)
        facts.values.update(converter="unpack", wanted=_parts(node.targets[0].target))
        facts.blame("text", origin(case, site, node.value))
        facts.sentence = f"{facts.where} unpacks `{facts.values['text']}`, which has another number of parts"
        return facts
    return None


def _parts(target: cst.Tuple | cst.List) -> str:
    """How many parts are unpacked: `made of 2 parts`, `made of at least 1 part`."""
    plain = sum(not isinstance(item, cst.StarredElement) for item in target.elements)
    least = "at least " if plain < len(target.elements) else ""
    return f"made of {least}{plain} part{'s' if plain != 1 else ''}"


_CONVERTERS = {
    "int": "a whole number",
    "float": "a number",
    "Decimal": "a decimal number",
    "UUID": "a UUID",
    "fromisoformat": "an ISO 8601 date",
    "strptime": "a date",
}
_SAID = {
    "invalid literal for int()": "int",
    "could not convert string to float: ": "float",
    "Invalid isoformat string: ": "fromisoformat",
    "badly formed hexadecimal UUID string": "UUID",
    "[<class 'decimal.ConversionSyntax'>]": "Decimal",
}
"""How messages begin, and the converter that says so."""


@extracts("ValueError", "InvalidOperation", rank=51)
def conversion(case: Case, site: Site) -> Facts | None:
    """Facts about `int(text)` and other conversions that refuse their text, under whatever name they are called."""
    refused = refused_text(case)
    for node in site.nodes(cst.Call):
        if not isinstance(node, cst.Call) or not node.args:
            continue
        mapped = _mapped(site, node)
        if mapped is not None:
            return _told(case, site, mapped[0], mapped[1], "made of numbers", origin(case, site, mapped[1]))
        converter = called_name(node) if called_name(node) in _CONVERTERS else _converter(case, site, node, refused)
        if converter is None:
            continue
        text = node.args[0].value
        known, value = site.value(text)
        if known and NUMBER.match(str(value)) and converter == "int" and "." not in str(value):
            continue
        facts = _told(case, site, node, text, _CONVERTERS[converter], origin(case, site, text, refused))
        facts.values["converter"] = converter
        facts.values["fallback"] = fallback(site.tree, text, site.function)
        return facts
    return None


def _told(
    case: Case, site: Site, node: cst.BaseExpression, text: cst.BaseExpression, wanted: str, found: Origin
) -> Facts:
    facts = Facts.about(case, site, node)
    facts.say("text", text)
    facts.values.update(converter="map", wanted=wanted)
    facts.blame("text", found)
    facts.sentence = f"{facts.where} converts `{facts.values['text']}`, which is not {wanted}"
    return facts


_CONSUMERS = frozenset(("list", "tuple", "set", "sum", "max", "min", "sorted"))


def _mapped(site: Site, node: cst.Call) -> Tuple[cst.BaseExpression, cst.BaseExpression] | None:
    """Where `map(int, texts)` is used up, and the texts."""
    if called_name(node) != "map" or len(node.args) != 2 or dotted_name(node.args[0].value) not in ("int", "float"):
        return None
    around = site.tree.parent(node)
    outer = site.tree.parent(around) if isinstance(around, cst.Arg) else None
    texts = node.args[1].value
    if isinstance(outer, cst.Call) and called_name(outer) in _CONSUMERS:
        return outer, texts
    unpacked = isinstance(around, cst.Assign) and isinstance(around.targets[0].target, (cst.Tuple, cst.List))
    return (node, texts) if unpacked else None


def _converter(case: Case, site: Site, node: cst.Call, refused: str | None) -> str | None:
    """What a call of a variable converts to, as `kind(text)`: the message tells, if the text is the one refused."""
    said = next((name for start, name in _SAID.items() if case.raised.message.startswith(start)), None)
    given = node.args[0]
    if said is None or len(node.args) != 1 or given.star or given.keyword is not None:
        return None
    known, value = site.value(given.value)
    if known:
        return said if isinstance(value, str) and refused in (value, None) else None
    # Without any function's frame below, the class itself was called.
    last = all(frame.function in INNER for frame in case.raised.frames[site.index + 1 :])
    return said if last and node is site.nodes(cst.Call)[0] else None
