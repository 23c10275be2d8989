"""Values of another type than the code takes for granted: a list for an object, a text for a list."""

from __future__ import annotations

import re

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.known import functions_named
from homeostasis_rules_python.code.origin import origin
from homeostasis_rules_python.code.scope import parameters
from homeostasis_rules_python.code.sent import is_whole_body
from homeostasis_rules_python.code.tree import called_name, literal_of, subscript_key
from homeostasis_rules_python.facts.base import Facts, extracts
from homeostasis_rules_python.facts.nothing import of_none

_INDICES = re.compile(r"^(list|string|tuple|byte) indices must be integers")
_SUBSCRIPT = re.compile(r"^'(int|float|bool|str|NoneType)' object is not subscriptable")
_ATTRIBUTE = re.compile(r"^'(list|str|int|float|bool|dict|tuple)' object has no attribute '(\w{1,100})'")
_CONTAINED = re.compile(r"^argument of type '(\w{1,40})' is not (iterable|a container)")
_MAPPING = re.compile(r"argument after \*\* must be a mapping, not (\w{1,40})")
_ITERATED = re.compile(r"^'(int|float|bool|NoneType)' object is not iterable")
_OF_DICTS = frozenset(("get", "items", "keys", "values", "pop", "setdefault", "update", "copy"))
_OF_LISTS = frozenset(("append", "extend", "insert", "remove", "sort", "reverse"))
_OF_TEXTS = frozenset(
    ("strip", "lower", "upper", "split", "startswith", "endswith", "replace", "encode", "title", "format")
)


@extracts("TypeError", "AttributeError", rank=55)
def misshapen(case: Case, site: Site) -> Facts | None:
    """Facts about `subject`, which is of type `actual` where the code wants a `wanted_type`: dict, list or str."""
    found = _subject(case, site)
    if found is None:
        return None
    node, subject, wanted = found
    facts = Facts.about(case, site, node)
    facts.say("shaped", subject)
    facts.values["wanted_type"] = wanted
    facts.values["whole_body"] = is_whole_body(site, subject)
    facts.blame("shaped", origin(case, site, subject))
    facts.sentence = f"{facts.where} uses `{facts.values['shaped']}` as a {wanted}, which it is not"
    return facts


def _subject(case: Case, site: Site) -> tuple[cst.CSTNode, cst.BaseExpression, str] | None:
    message = case.raised.message
    if _INDICES.match(message) or _SUBSCRIPT.match(message):
        return _subscripted(case, site)
    attribute = _ATTRIBUTE.match(message)
    if attribute is not None:
        name = attribute.group(2)
        wanted = "dict" if name in _OF_DICTS else "list" if name in _OF_LISTS else "str" if name in _OF_TEXTS else None
        for node in site.nodes(cst.Attribute) if wanted is not None else ():
            if isinstance(node, cst.Attribute) and node.attr.value == name and wanted is not None:
                return node, node.value, wanted
        return None
    if _CONTAINED.match(message):
        return _tested(site)
    if _MAPPING.search(message):
        return _unpacked(site)
    return _iterated(site) if _ITERATED.match(message) else None


def _subscripted(case: Case, site: Site) -> tuple[cst.CSTNode, cst.BaseExpression, str] | None:
    for node in site.nodes(cst.Subscript):
        key = subscript_key(node) if isinstance(node, cst.Subscript) else None
        if key is None or not isinstance(node, cst.Subscript):
            continue
        kind = site.type_of(key) or type(literal_of(key)[1]).__name__
        if kind == "str" or (kind == "NoneType" and "indices" in case.raised.message):
            return node, node.value, "dict"
        if kind == "int":
            return node, node.value, "list"
    return None


def _tested(site: Site) -> tuple[cst.CSTNode, cst.BaseExpression, str] | None:
    for node in site.nodes(cst.Comparison):
        if isinstance(node, cst.Comparison) and isinstance(node.comparisons[0].operator, (cst.In, cst.NotIn)):
            return node, node.comparisons[0].comparator, "dict" if literal_of(node.left)[0] else "list"
    return None


def _unpacked(site: Site) -> tuple[cst.CSTNode, cst.BaseExpression, str] | None:
    for node in site.nodes(cst.Call):
        if isinstance(node, cst.Call):
            for arg in node.args:
                if arg.star == "**":
                    return node, arg.value, "dict"
    return None


def _iterated(site: Site) -> tuple[cst.CSTNode, cst.BaseExpression, str] | None:
    for node in site.nodes(cst.For, cst.CompFor):
        if isinstance(node, (cst.For, cst.CompFor)):
            return node.iter, node.iter, "list"
    return None


@extracts("TypeError", "AttributeError", rank=45)
def untyped_body(case: Case, site: Site) -> Facts | None:
    """Facts about a body that is None because the client said that it is not JSON: `content_type` is what it said."""
    request = case.event.request
    if request is None or "NoneType" not in case.raised.message:
        return None
    said = next((value for name, value in request.headers if name.lower() == "content-type"), None)
    if said is None or "json" in said.lower() or not request.body:
        return None
    facts = of_none(case, site) or misshapen(case, site)
    subject = facts.nodes.get("subject") or facts.nodes.get("shaped") if facts is not None else None
    if facts is None or not is_whole_body(site, subject):
        return None
    facts.values["content_type"] = said.split(";")[0].strip()[:60]
    facts.evidence.append(f"the request says that its body is {facts.values['content_type']}")
    return facts


_LACKS = re.compile(r"missing \d{1,3} required (?:positional|keyword-only) arguments?: (.{1,1000})$")
_SURPLUS = re.compile(r"got an unexpected keyword argument '(\w{1,100})'")


@extracts("TypeError", rank=30)
def unpacked_body(case: Case, site: Site) -> Facts | None:
    """Facts about `make(**data)` with data of the client: `required` fields that it lacks, or those `allowed`."""
    lacks, surplus = _LACKS.search(case.raised.message), _SURPLUS.search(case.raised.message)
    for node in site.nodes(cst.Call) if lacks or surplus else ():
        if not isinstance(node, cst.Call):
            continue
        given = next((arg.value for arg in node.args if arg.star == "**"), None)
        found = origin(case, site, given) if given is not None else None
        if given is None or found is None or not found.from_client:
            continue
        facts = Facts.about(case, site, node)
        facts.say("unpacked", given)
        facts.blame("unpacked", found)
        if lacks is not None:
            facts.values["required"] = re.findall(r"'(\w{1,100})'", lacks.group(1))
        else:
            facts.values["allowed"] = _taken(case, called_name(node) or "")
        facts.sentence = f"{facts.where} calls `{called_name(node)}` with the fields that the client sent"
        return facts
    return None


def _taken(case: Case, name: str) -> list[str] | None:
    """Names of the parameters of the one function of the app of that name; None if it takes any, or is not found."""
    found = [
        function for tree, function in functions_named(case, name) if tree.enclosing(function, cst.ClassDef) is None
    ]
    if len(found) != 1 or found[0].params.star_kwarg is not None or found[0].params.posonly_params:
        return None
    return [item.name.value for item in parameters(found[0])]


_NO_ATTRIBUTE = re.compile(r"^(type object |module )?'[\w.]{1,100}' (object )?has no attribute '")


@extracts("AttributeError", rank=40)
def unknown_attribute(case: Case, site: Site) -> Facts | None:
    """Facts about `getattr(owner, name)` without a default."""
    if not _NO_ATTRIBUTE.match(case.raised.message):
        return None
    for node in site.nodes(cst.Call):
        if isinstance(node, cst.Call) and called_name(node) == "getattr" and len(node.args) == 2:
            facts = Facts.about(case, site, node)
            facts.say("owner", node.args[0].value)
            facts.say("attribute", node.args[1].value)
            facts.blame("attribute", origin(case, site, node.args[1].value))
            owner, name = facts.values["owner"], facts.values["attribute"]
            facts.sentence = f"{facts.where} asks `{owner}` for the attribute that `{name}` names, which it lacks"
            return facts
    return None
