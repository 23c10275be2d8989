"""None where something was expected: attribute, subscript, iteration and operand."""

from __future__ import annotations

import re

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.origin import asked_by_client, origin
from homeostasis_rules_python.code.scope import binding
from homeostasis_rules_python.code.tree import argument, called_name, dotted_name, subscript_key
from homeostasis_rules_python.facts.base import Facts, extracts

ATTRIBUTE = re.compile(r"^'NoneType' object has no attribute '(\w{1,200})'")
SUBSCRIPT = re.compile(r"^'NoneType' object is not subscriptable")
ITERATION = re.compile(r"^('NoneType' object is not iterable|cannot unpack non-iterable NoneType)")
SEARCH = re.compile(r"^argument of type 'NoneType' is not (?:iterable|a container)")
OPERAND = re.compile(
    r"^(?:unsupported operand type\(s\) for .{0,80}'NoneType'"
    r"|'(?:<|>|<=|>=)' not supported between instances of .{0,80}'NoneType'"
    r"|can only concatenate \w{1,20} \(not \"NoneType\"\))"
)
ARGUMENT = re.compile(
    r"^(?:object of type 'NoneType' has no len\(\)|can only join an iterable$"
    r"|'NoneType' object cannot be interpreted as an integer|.{0,40}indices must be integers.{0,20} not '?NoneType'?"
    r"|expected string or bytes-like object, got 'NoneType'|expected str, bytes or os.PathLike object, not NoneType"
    r"|decoding to str: need a bytes-like object, NoneType found|a bytes-like object is required, not 'NoneType'"
    r"|the JSON object must be str, bytes or bytearray, not NoneType$"
    r"|.{0,40}argument.{0,20} must be .{1,80}, not '?None(?:Type)?'?$)"
)
_CONVERSIONS = frozenset(("int", "float", "complex", "Decimal", "UUID", "fromisoformat", "strptime", "loads"))


@extracts("AttributeError", "TypeError", rank=50)
def of_none(case: Case, site: Site) -> Facts | None:
    """Facts about the expression that was None; None if the message speaks of something else."""
    subject = _subject(case, site)
    return _about(case, site, *subject) if subject is not None else None


@extracts("TypeError", rank=29)
def searched_none(case: Case, site: Site) -> Facts | None:
    """The same facts about None in which something is looked for with `in`, if it is not what the client sent."""
    subject = _searched(site) if SEARCH.match(case.raised.message) else None
    facts = _about(case, site, *subject) if subject is not None else None
    if facts is None or "client" in (facts.values["subject_origin"], facts.values["lookup_origin"]):
        return None
    return facts


def _about(case: Case, site: Site, node: cst.CSTNode, value: cst.BaseExpression) -> Facts:
    facts = Facts.about(case, site, node)
    facts.say("subject", value)
    lookup = _source_of(site, value)
    facts.say("lookup", lookup)
    facts.values["source"] = _source_kind(site, lookup)
    facts.values["dereferenced"] = node is not value
    facts.values["null_default"] = _null_default(site, lookup)
    facts.values["looked_up"] = _is_looked_up(site, node)
    facts.values["operand"] = OPERAND.match(case.raised.message) is not None
    facts.blame("subject", origin(case, site, lookup))
    asked, asked_for = asked_by_client(case, site, value)
    if asked_for is not None:
        facts.nodes["asked"] = asked_for
    facts.blame("lookup", asked)
    came = f", which `{facts.values['lookup'].strip()[:100]}` gave" if lookup is not value else ""
    facts.sentence = f"{facts.where} uses `{facts.values['subject']}`{came}, but it is None"
    return facts


def _subject(case: Case, site: Site) -> tuple[cst.CSTNode, cst.BaseExpression] | None:
    message = case.raised.message
    attribute = ATTRIBUTE.match(message)
    if attribute is not None:
        for node in site.nodes(cst.Attribute):
            if isinstance(node, cst.Attribute) and node.attr.value == attribute.group(1):
                return node, node.value
        return None
    if SUBSCRIPT.match(message):
        return next(((n, n.value) for n in _first_none(site, cst.Subscript) if isinstance(n, cst.Subscript)), None)
    if ITERATION.match(message):
        return _iterated(site)
    if OPERAND.match(message):
        return _operand(site, message)
    return _given(site) if ARGUMENT.match(message) else None


def _given(site: Site) -> tuple[cst.CSTNode, cst.BaseExpression] | None:
    """The argument or index that was None; of several that may have been, none."""
    for node in site.nodes(cst.Call, cst.Subscript):
        if isinstance(node, cst.Subscript):
            key = subscript_key(node)
            values = [key] if key is not None else []
        elif isinstance(node, cst.Call) and called_name(node) not in _CONVERSIONS:
            values = [arg.value for arg in node.args if not arg.star]
        else:
            return None
        known = [value for value in values if site.type_of(value) == "NoneType"]
        unknown = [value for value in values if site.type_of(value) is None]
        if known or len(unknown) == 1:
            value = (known or unknown)[0]
            return value, value
    return None


def _first_none(site: Site, kind: type[cst.CSTNode]) -> list[cst.CSTNode]:
    nodes = site.nodes(kind)
    return sorted(nodes, key=lambda n: site.type_of(getattr(n, "value", None)) not in ("NoneType", None))


def _searched(site: Site) -> tuple[cst.CSTNode, cst.BaseExpression] | None:
    """`y` of `x in y`."""
    for node in site.nodes(cst.Comparison):
        target = node.comparisons[-1] if isinstance(node, cst.Comparison) else None
        if target is not None and isinstance(target.operator, (cst.In, cst.NotIn)):
            return target.comparator, target.comparator
    return None


def _iterated(site: Site) -> tuple[cst.CSTNode, cst.BaseExpression] | None:
    for node in site.nodes(cst.For, cst.CompFor, cst.Assign):
        value = node.iter if isinstance(node, (cst.For, cst.CompFor)) else getattr(node, "value", None)
        if not isinstance(value, cst.BaseExpression) or site.type_of(value) not in ("NoneType", None):
            continue
        if site.tree.range(value).start.line <= site.span.line <= site.tree.range(value).end.line:
            return value, value
    return None


def _operand(site: Site, message: str) -> tuple[cst.CSTNode, cst.BaseExpression] | None:
    summed = _summed(site)
    if summed is not None:
        return summed, summed
    nodes = site.nodes(cst.BinaryOperation, cst.AugAssign, cst.Comparison)
    for node in nodes:
        if isinstance(node, cst.BinaryOperation):
            sides = [node.left, node.right]
        elif isinstance(node, cst.AugAssign):
            sides = [node.value]
        elif isinstance(node, cst.Comparison):
            sides = [node.left, node.comparisons[0].comparator]
        else:
            continue
        known = [side for side in sides if site.type_of(side) == "NoneType"]
        unknown = [side for side in sides if site.type_of(side) is None]
        if not known and len(unknown) == 2 and (site.span.column is not None or len(nodes) == 1):
            unknown = _said(message, unknown)
        if known or len(unknown) == 1:
            side = (known or unknown)[0]
            return side, side
    return None


def _summed(site: Site) -> cst.BaseExpression | None:
    """`x` of `sum(x for ...)`, where the frame's expression is that call."""
    node = next(iter(site.nodes(cst.Call, cst.BinaryOperation, cst.AugAssign, cst.Comparison)), None)
    if not isinstance(node, cst.Call) or called_name(node) != "sum" or not node.args:
        return None
    inner = node.args[0].value
    simple = isinstance(inner, (cst.GeneratorExp, cst.ListComp)) and isinstance(
        inner.elt, (cst.Name, cst.Attribute, cst.Subscript, cst.Call)
    )
    return inner.elt if simple and isinstance(inner, (cst.GeneratorExp, cst.ListComp)) else None


_SIDES = re.compile(r"'([\w.]{1,80})' and '([\w.]{1,80})'$")


def _said(message: str, sides: list[cst.BaseExpression]) -> list[cst.BaseExpression]:
    """The sides that are None by the message, which names the types in order."""
    found = _SIDES.search(message)
    kinds = found.groups() if found is not None else ()
    return [side for side, kind in zip(sides, kinds) if kind == "NoneType"]


def _source_of(site: Site, value: cst.BaseExpression) -> cst.BaseExpression:
    if isinstance(value, cst.Name):
        found = binding(site.tree, value.value, value)
        if found.kind == "assign" and found.value is not None:
            return found.value
    return value


def _null_default(site: Site, lookup: cst.BaseExpression) -> str | None:
    """The empty default of `d.get(key, "")`, which is not what `d.get` gives for a stored None."""
    default = argument(lookup, 1) if isinstance(lookup, cst.Call) and called_name(lookup) == "get" else None
    text = site.tree.code(default).replace(" ", "") if default is not None else None
    return text if text in ('""', "''", "0", "0.0", "[]", "{}", "()", "False") else None


def _is_looked_up(site: Site, node: cst.CSTNode) -> bool:
    """Whether it is asked for a key with a default: `x.get(key, default)`."""
    call = site.tree.parent(node)
    asked = isinstance(node, cst.Attribute) and node.attr.value == "get"
    return asked and isinstance(call, cst.Call) and call.func is node and argument(call, 1) is not None


def _source_kind(site: Site, lookup: cst.BaseExpression) -> str:
    if isinstance(lookup, cst.Await):
        lookup = lookup.expression
    if isinstance(lookup, cst.Call):
        name = called_name(lookup)
        if dotted_name(lookup.func) in ("re.match", "re.search", "re.fullmatch") or name in ("fullmatch",):
            return "match"
        return "get" if name == "get" and isinstance(lookup.func, cst.Attribute) else "call"
    if isinstance(lookup, cst.Attribute):
        return "attribute"
    if isinstance(lookup, cst.Subscript):
        return "item"
    return "name" if isinstance(lookup, cst.Name) and site is not None else "other"
