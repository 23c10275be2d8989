"""Objects of another kind than the code takes them for: a dict for an object, a number for text, text for its JSON."""

from __future__ import annotations

import json
import re
from typing import FrozenSet, List

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.known import app_class, functions_named, known_keys
from homeostasis_rules_python.code.members import members
from homeostasis_rules_python.code.origin import origin
from homeostasis_rules_python.code.scope import binding, parameters
from homeostasis_rules_python.code.tree import dotted_name, literal_of, subscript_key
from homeostasis_rules_python.facts.base import Facts, extracts
from homeostasis_rules_python.facts.replacing import bare, call_of, replacing

_NO_ATTRIBUTE = re.compile(r"^'([\w.]{1,200})' object has no attribute '(\w{1,100})'")
_NO_ITEMS = re.compile(r"^'([\w.]{1,200})' object is not subscriptable")
_NUMBERS = frozenset(("int", "float", "decimal.Decimal", "Decimal", "UUID"))
_PATHS = frozenset(("PosixPath", "WindowsPath", "pathlib.PosixPath"))
_TEXT_METHODS: FrozenSet[str] = frozenset(name for name in dir(str) if not name.startswith("_"))


@extracts("AttributeError", rank=47)
def dict_for_object(case: Case, site: Site) -> Facts | None:
    """`mistake` is `dict-attribute`: an attribute is asked for of a dict that has a key of that name."""
    found = _NO_ATTRIBUTE.match(case.raised.message)
    if found is None or found.group(1) not in ("dict", "OrderedDict", "collections.OrderedDict"):
        return None
    for node in _attributes(site, found.group(2)):
        parent = site.tree.parent(node)
        called = isinstance(parent, cst.Call) and parent.func is node
        if called or found.group(2) not in known_keys(site, node.value):
            continue
        quoted = cst.SimpleString(f'"{found.group(2)}"')
        new = cst.Subscript(node.value, [cst.SubscriptElement(cst.Index(quoted))])
        sentence = f"{{where}} asks `{site.tree.code(node.value)}` for an attribute, which is a dict with that key"
        return replacing(case, site, "dict-attribute", node, new, sentence)
    return None


@extracts("TypeError", rank=47)
def object_for_dict(case: Case, site: Site) -> Facts | None:
    """`mistake` is `object-subscript`: an item is asked for of an object that has it as an attribute, or by `get`."""
    found = _NO_ITEMS.match(case.raised.message)
    owner = app_class(case, found.group(1).split(".")[-1]) if found is not None else None
    known = members(case, owner) if owner is not None else None
    for node in site.nodes(cst.Subscript) if known is not None else ():
        key = subscript_key(node) if isinstance(node, cst.Subscript) else None
        if not isinstance(node, cst.Subscript) or key is None or known is None or owner is None:
            continue
        literal = literal_of(key)[1]
        code, name = site.tree.code(node.value), owner[1].name.value
        if (
            isinstance(literal, str)
            and literal in known
            and _is_data(case, literal)
            and not isinstance(site.tree.parent(node), cst.Del)
        ):
            new: cst.BaseExpression = cst.Attribute(node.value, cst.Name(literal))
            sentence = f"{{where}} asks `{code}` for an item, which is a `{name}` with that attribute"
            return replacing(case, site, "object-subscript", node, new, sentence)
        if _takes_key(owner[1]) and not isinstance(site.tree.parent(node), (cst.AssignTarget, cst.AugAssign, cst.Del)):
            new = cst.Call(cst.Attribute(node.value, cst.Name("get")), [cst.Arg(key)])
            sentence = f"{{where}} asks `{code}` for an item, which is a `{name}` and gives them by `get`"
            return replacing(case, site, "object-subscript", node, new, sentence)
    return None


def _is_data(case: Case, name: str) -> bool:
    """Whether no class of the app has a method of that name that must be called."""
    return all(
        any((dotted_name(mark.decorator) or "").split(".")[-1].endswith("property") for mark in function.decorators)
        for _tree, function in functions_named(case, name)
    )


def _takes_key(cls: cst.ClassDef) -> bool:
    """Whether a class has a method `get` that one key is enough for."""
    for statement in cls.body.body:
        if isinstance(statement, cst.FunctionDef) and statement.name.value == "get" and not statement.asynchronous:
            needed = [each for each in parameters(statement) if each.default is None]
            return len(needed) == 2 and needed[0].name.value == "self" and not statement.params.kwonly_params
    return False


_BRACKETED = frozenset(
    ("get", "append", "pop", "index", "count", "join", "split", "add", "remove", "extend", "startswith", "endswith",
     "strip", "format", "setdefault", "encode", "decode", "getlist", "exists", "is_file")
)  # fmt: skip


@extracts("TypeError", rank=48)
def called_with_brackets(case: Case, site: Site) -> Facts | None:
    """`mistake` is `brackets`: `f[x]` for `f(x)`."""
    found = _NO_ITEMS.match(case.raised.message)
    if found is None or found.group(1) not in ("builtin_function_or_method", "method", "function"):
        return None
    for node in site.nodes(cst.Subscript):
        if not isinstance(node, cst.Subscript):
            continue
        indexes = [each.slice.value for each in node.slice if isinstance(each.slice, cst.Index)]
        if len(indexes) != len(node.slice):
            continue
        name = (dotted_name(node.value) or "").split(".")[-1]
        if isinstance(node.value, cst.Attribute):
            name = node.value.attr.value
        args = [cst.Arg(bare(each)) for each in indexes]
        if name in _BRACKETED or _takes(case, name, len(args)):
            sentence = f"{{where}} writes `{site.tree.code(node)}`, but `{name}` is called with parentheses"
            return replacing(case, site, "brackets", node, cst.Call(node.value, args), sentence)
    return None


def _takes(case: Case, name: str, number: int) -> bool:
    """Whether the one function of the app of that name needs so many arguments."""
    found = [function for _tree, function in functions_named(case, name)]
    if len(found) != 1:
        return False
    needed = [each.name.value for each in parameters(found[0]) if each.default is None]
    return len([each for each in needed if each not in ("self", "cls")]) == number


@extracts("AttributeError", rank=47)
def text_method(case: Case, site: Site) -> Facts | None:
    """`mistake` is `text-method`: a method of texts is called on a number, a path or a UUID."""
    found = _NO_ATTRIBUTE.match(case.raised.message)
    if found is None or found.group(1) not in _NUMBERS | _PATHS or found.group(2) not in _TEXT_METHODS:
        return None
    for node in _attributes(site, found.group(2)):
        if origin(case, site, node.value).kind == "client":
            return None
        kind = found.group(1).split(".")[-1]
        sentence = f"{{where}} treats `{site.tree.code(node.value)}` as text, which is a {kind}"
        facts = replacing(case, site, "text-method", node.value, call_of("str", node.value), sentence)
        if facts is not None:
            facts.values["doubtful"] = found.group(1) in ("float", "Decimal", "decimal.Decimal")
        return facts
    return None


_OTHERS = {
    ("list", "add"): "append",
    ("list", "push"): "append",
    ("list", "update"): "extend",
    ("list", "discard"): "remove",
    ("set", "append"): "add",
    ("set", "extend"): "update",
    ("deque", "add"): "append",
    ("collections.deque", "add"): "append",
    ("str", "trim"): "strip",
    ("str", "toLowerCase"): "lower",
    ("str", "toUpperCase"): "upper",
}
"""(Class, method that it does not have) to the method that does the same."""


@extracts("AttributeError", rank=47)
def other_collection(case: Case, site: Site) -> Facts | None:
    """`mistake` is `other-method`: a method of another collection, or of another language."""
    found = _NO_ATTRIBUTE.match(case.raised.message)
    if found is None:
        return None
    for node in _attributes(site, found.group(2)):
        if found.group(2) in ("length", "size") and found.group(1) in ("list", "str", "dict", "set", "tuple"):
            call = site.tree.parent(node)
            target = call if isinstance(call, cst.Call) and call.func is node and not call.args else node
            sentence = f"{{where}} asks for `{found.group(2)}`, and a {found.group(1)} tells its length by `len`"
            return replacing(case, site, "other-method", target, call_of("len", node.value), sentence)
        meant = _OTHERS.get((found.group(1), found.group(2)))
        if meant is not None:
            sentence = f"{{where}} calls `{found.group(2)}` of a {found.group(1)}, which has `{meant}` for it"
            return replacing(case, site, "other-method", node, node.with_changes(attr=cst.Name(meant)), sentence)
    return None


@extracts("AttributeError", "TypeError", rank=49)
def undecoded_json(case: Case, site: Site) -> Facts | None:
    """`mistake` is `json-undecoded`: something is looked up in the text of a JSON object."""
    message = case.raised.message
    found = _NO_ATTRIBUTE.match(message)
    if found is not None and found.group(1) == "str" and found.group(2) in ("get", "items", "keys", "values", "pop"):
        targets: List[cst.BaseExpression] = [node.value for node in _attributes(site, found.group(2))]
    elif message.startswith("string indices must be integers"):
        targets = [node.value for node in site.nodes(cst.Subscript) if isinstance(node, cst.Subscript)]
    else:
        return None
    for target in targets:
        known, value = site.value(target)
        if not known or not isinstance(value, str) or not _is_json_object(value):
            continue
        if origin(case, site, target).kind == "client":
            return None
        sentence = f"{{where}} looks something up in `{site.tree.code(target)}`, which is JSON that was not decoded"
        return replacing(case, site, "json-undecoded", target, call_of("json.loads", target), sentence, ["json"])
    return None


def _is_json_object(text: str) -> bool:
    try:
        return text.lstrip()[:1] == "{" and isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


@extracts("TypeError", rank=47)
def number_iterated(case: Case, site: Site) -> Facts | None:
    """`mistake` is `number-iterated`: a loop over the number of items, as `for i in len(items)`."""
    if not case.raised.message.startswith("'int' object is not iterable"):
        return None
    for node in site.nodes(cst.For, cst.CompFor):
        given = node.iter if isinstance(node, (cst.For, cst.CompFor)) else None
        if given is None:
            continue
        source: cst.CSTNode | None = given
        if isinstance(given, cst.Name):
            source = binding(site.tree, given.value, given).value
        if isinstance(source, cst.Call) and dotted_name(source.func) == "len":
            sentence = f"{{where}} loops over the number `{site.tree.code(given)}`"
            return replacing(case, site, "number-iterated", given, call_of("range", given), sentence)
    return None


def _attributes(site: Site, name: str) -> List[cst.Attribute]:
    return [node for node in site.nodes(cst.Attribute) if isinstance(node, cst.Attribute) and node.attr.value == name]
