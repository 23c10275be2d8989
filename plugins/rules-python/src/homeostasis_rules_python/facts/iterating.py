"""Iteration: dicts without items(), splits with too many parts, and iterators that are no lists or are used twice."""

from __future__ import annotations

import re
from typing import Iterator

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.known import app_class, base_names
from homeostasis_rules_python.code.origin import origin
from homeostasis_rules_python.code.scope import Binding, binding
from homeostasis_rules_python.code.tree import called_name, dotted_name, literal_of
from homeostasis_rules_python.code.web import handler
from homeostasis_rules_python.facts.base import Facts, extracts
from homeostasis_rules_python.facts.replacing import call_of, method_of, replacing

_PAIR = re.compile(
    r"^(?:too many|not enough) values to unpack \(expected 2|^cannot unpack non-iterable \w{1,30} object"
)
_TOO_MANY = re.compile(r"^too many values to unpack \(expected (\d{1,4})")
_LAZY = re.compile(
    r"^object of type '(?:generator|map|filter|zip|reversed|enumerate|itertools\.\w{1,30})' has no len\(\)"
    r"|^'(?:generator|map|filter|zip|reversed|enumerate|itertools\.\w{1,30})' object is not"
    r" (?:subscriptable|reversible)"
    r"|^'(?:generator|map|filter|zip|reversed)' object has no attribute '(?:append|sort|index|count|extend|insert|pop)'"
)
_LAZY_CALLS = frozenset(("map", "filter", "zip", "reversed", "enumerate"))
_EMPTY = re.compile(
    r"^(?:max|min)\(\) (?:arg is an empty sequence|iterable argument is empty)"
    r"|^division by zero|^$|requires at least one"
)


@extracts("ValueError", "TypeError", rank=12)
def dict_without_items(case: Case, site: Site) -> Facts | None:
    """`mistake` is `dict-items`: a loop takes keys and values of a dict that gives its keys only."""
    if not _PAIR.match(case.raised.message):
        return None
    for node in site.nodes(cst.For, cst.CompFor):
        if not isinstance(node, (cst.For, cst.CompFor)) or not isinstance(node.target, cst.Tuple):
            continue
        if len(node.target.elements) != 2 or not (is_dict(site, node.iter) or is_own_mapping(case, site, node.iter)):
            continue
        sentence = f"{{where}} takes keys and values of `{site.tree.code(node.iter)}`, which gives its keys only"
        return replacing(case, site, "dict-items", node.iter, method_of(node.iter, "items"), sentence)
    return None


def is_dict(site: Site, node: cst.BaseExpression) -> bool:
    """Whether an expression is a dict, by its captured type, its annotation, or where it was made."""
    if not isinstance(node, (cst.Name, cst.Attribute, cst.Subscript)):
        return isinstance(node, cst.Dict)
    if site.type_of(node) in ("dict", "OrderedDict", "defaultdict", "Counter"):
        return True
    if isinstance(node, cst.Attribute):
        return _is_made_as_dict(site, node)
    found = binding(site.tree, node.value, node) if isinstance(node, cst.Name) else Binding("unknown")
    if isinstance(found.node, cst.Param) and found.node.annotation is not None:
        written = site.tree.code(found.node.annotation.annotation).lower()
        return written.startswith(("dict", "mapping", "typing.dict"))
    made = isinstance(found.value, cst.Call) and called_name(found.value) in ("dict", "defaultdict", "Counter")
    return found.kind in ("assign", "module") and (made or isinstance(found.value, (cst.Dict, cst.DictComp)))


def _is_made_as_dict(site: Site, node: cst.Attribute) -> bool:
    """Whether all that the class assigns to an attribute of its objects are dicts: `{}`, `SortedDict()`."""
    cls, name = site.tree.enclosing(node, cst.ClassDef), dotted_name(node)
    if cls is None or name is None or not name.startswith("self."):
        return False
    assigned = site.tree.all(cst.Assign, cls.body)
    values = [each.value for each in assigned if dotted_name(each.targets[0].target) == name]
    return bool(values) and all(
        isinstance(value, (cst.Dict, cst.DictComp))
        or (isinstance(value, cst.Call) and (called_name(value) or "").lower().endswith(("dict", "counter")))
        for value in values
    )


_MAPPINGS = frozenset(
    ("dict", "OrderedDict", "defaultdict", "Counter", "UserDict", "Mapping", "MutableMapping", "ChainMap")
)
MAX_BASES = 5


def is_own_mapping(case: Case, site: Site, node: cst.BaseExpression) -> bool:
    """Whether an expression is an object of a class of the app that is a dict and iterates as one."""
    cls = site.tree.enclosing(node, cst.ClassDef) if dotted_name(node) == "self" else None
    named = app_class(case, (site.type_of(node) or "").split(".")[-1]) if cls is None else (site.tree, cls)
    for _ in range(MAX_BASES):
        if named is None or any(
            isinstance(each, cst.FunctionDef) and each.name.value == "__iter__" for each in named[1].body.body
        ):
            return False
        bases = base_names(named[1])
        if _MAPPINGS & {base.split("[")[0] for base in bases}:
            return True
        named = app_class(case, bases[0]) if bases else None
    return False


@extracts("ValueError", rank=14)
def split_too_often(case: Case, site: Site) -> Facts | None:
    """`mistake` is `split`: a text is split at every separator, and only the first ones are meant."""
    found = _TOO_MANY.match(case.raised.message)
    for node in site.nodes(cst.Assign, cst.For, cst.CompFor) if found is not None else ():
        target = node.targets[0].target if isinstance(node, cst.Assign) else getattr(node, "target", None)
        call = node.value if isinstance(node, cst.Assign) else _mapped_split(node)
        if not isinstance(call, cst.Call) or not isinstance(target, cst.Tuple) or called_name(call) != "split":
            continue
        plain = len(call.args) == 1 and isinstance(literal_of(call.args[0].value)[1], str)
        starred = any(isinstance(item, cst.StarredElement) for item in target.elements)
        if not plain or starred or not isinstance(call.func, cst.Attribute) or found is None:
            continue
        if handler(case) is not None and origin(case, site, call.func.value).from_client:
            continue
        often = cst.Integer(str(len(target.elements) - 1))
        comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
        new = call.with_changes(args=[call.args[0].with_changes(comma=comma), cst.Arg(often)])
        sentence = f"{{where}} splits `{site.tree.code(call.func.value)}`, which holds the separator more than once"
        return replacing(case, site, "split", call, new, sentence)
    return None


def _mapped_split(node: cst.CSTNode) -> cst.BaseExpression | None:
    """`line.split(x)` of `for a, b in (line.split(x) for line in lines)`."""
    whole = node.iter if isinstance(node, (cst.For, cst.CompFor)) else None
    return whole.elt if isinstance(whole, (cst.GeneratorExp, cst.ListComp)) else None


@extracts("TypeError", "AttributeError", rank=24)
def lazy(case: Case, site: Site) -> Facts | None:
    """`mistake` is `lazy`: an iterator is used as a list."""
    if not _LAZY.match(case.raised.message):
        return None
    for node in site.nodes(cst.Call, cst.Subscript, cst.Attribute):
        for part in _parts(node):
            source = _lazy_source(site, part)
            if source is not None:
                sentence = f"{{where}} uses `{site.tree.code(part)}` as a list, but it is an iterator"
                return replacing(case, site, "lazy", source, _as_list(source), sentence)
    return None


def _parts(node: cst.CSTNode) -> Iterator[cst.BaseExpression]:
    if isinstance(node, cst.Call):
        yield from (arg.value for arg in node.args)
    elif isinstance(node, (cst.Subscript, cst.Attribute)):
        yield node.value


def _lazy_source(site: Site, node: cst.BaseExpression) -> cst.BaseExpression | None:
    """Where an iterator is made: the expression itself or what its name was assigned from."""
    value: cst.BaseExpression | None = node
    if isinstance(node, cst.Name):
        found = binding(site.tree, node.value, node)
        value = found.value if found.kind in ("assign", "module") else None
    if isinstance(value, cst.GeneratorExp):
        return value
    if not isinstance(value, cst.Call):
        return None
    generator = any(
        function.name.value == called_name(value) and any(True for _ in site.tree.all(cst.Yield, function.body))
        for function in site.tree.all(cst.FunctionDef)
    )
    return value if generator or called_name(value) in _LAZY_CALLS else None


def _as_list(source: cst.BaseExpression) -> cst.BaseExpression:
    if isinstance(source, cst.GeneratorExp):
        return cst.ListComp(source.elt, source.for_in)
    return call_of("list", source)


@extracts("ValueError", "ZeroDivisionError", "StopIteration", "StatisticsError", rank=12)
def used_up(case: Case, site: Site) -> Facts | None:
    """`mistake` is `used-twice`: an iterator that an earlier statement of the function has used up."""
    if not _EMPTY.search(case.raised.message) or site.function is None:
        return None
    for node in site.nodes(cst.Call, cst.BinaryOperation):
        for name in site.tree.all(cst.Name, node):
            source = _lazy_source(site, name)
            if source is None or source is name or not _used_before(site, name, source):
                continue
            sentence = f"{{where}} uses the iterator `{name.value}` a second time, when nothing is left of it"
            return replacing(case, site, "used-twice", source, _as_list(source), sentence)
    return None


def _used_before(site: Site, name: cst.Name, source: cst.BaseExpression) -> bool:
    """Whether a loop or call between where the iterator is made and the failing expression takes it."""
    after, before = site.tree.range(source).end, site.tree.range(name).start
    for other in site.tree.all(cst.Name, site.function):
        start = site.tree.range(other).start
        between = (after.line, after.column) <= (start.line, start.column) < (before.line, before.column)
        parent = site.tree.parent(other)
        taken = isinstance(parent, cst.Arg) or (isinstance(parent, (cst.For, cst.CompFor)) and parent.iter is other)
        if other.value == name.value and between and taken:
            return True
    return False
