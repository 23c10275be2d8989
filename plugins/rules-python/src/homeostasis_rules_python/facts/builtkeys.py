"""Keys of a mapping that is built under a misspelt name, and that a `%` format or the parameters of a call ask for."""

from __future__ import annotations

import ast
import re
from typing import Iterator, List, Tuple

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.known import functions_named
from homeostasis_rules_python.code.scope import binding, parameters
from homeostasis_rules_python.code.slips import one_slip
from homeostasis_rules_python.code.tree import Tree, called_name, literal_of
from homeostasis_rules_python.facts import names
from homeostasis_rules_python.facts.base import Facts, extracts
from homeostasis_rules_python.facts.replacing import replacing

_KEYWORD = re.compile(names.CALLED + r"got an unexpected keyword argument '(?P<keyword>\w{1,200})'")
_FIELD = re.compile(r"%\((\w{1,100})\)")


@extracts("KeyError", rank=24)
def percent_field(case: Case, site: Site) -> Facts | None:
    """`mistake` is `built-key`: `fmt % dict(nmae=...)`, where the format asks for `name`."""
    key = _key(case.raised.message)
    for node in site.nodes(cst.BinaryOperation) if key is not None else ():
        if not isinstance(node, cst.BinaryOperation) or not isinstance(node.operator, cst.Modulo) or key is None:
            continue
        built: cst.BaseExpression | None = node.right
        if isinstance(built, cst.Name):
            found = binding(site.tree, built.value, built)
            built = found.value if found.kind == "assign" else None
        format_text = literal_of(node.left)[1]
        fields = set(_FIELD.findall(format_text)) if isinstance(format_text, str) else set()
        given = [name for name, _part in _keys(built)]
        near = one_slip(key, [name for name in given if name not in fields]) if key not in given else None
        if near is not None and built is not None:
            sentence = f"{{where}} formats with `{near}`, and the format asks for `{key}`"
            return replacing(case, site, "built-key", built, _renamed(built, near, key), sentence)
    return None


@extracts("TypeError", rank=42)
def passed_on(case: Case, site: Site) -> Facts | None:
    """`mistake` is `built-key`: `f(**values)`, where a mapping of the app has a key that is a slip for a parameter."""
    found = _KEYWORD.match(case.raised.message)
    starred = any(
        isinstance(call, cst.Call) and any(arg.star == "**" for arg in call.args) for call in site.nodes(cst.Call)[:2]
    )
    if found is None or not starred:
        return None
    keyword = found["keyword"]
    meant = one_slip(keyword, _parameters(case, found["name"], found["owner"]))
    places = list(_built(case, keyword)) if meant is not None else []
    if len(places) != 1 or meant is None:
        return None
    tree, built = places[0]
    if meant in [name for name, _part in _keys(built)]:
        return None
    other = Site(site.index, site.frame, tree.path, tree, tree.span(built), tree.function(built), {})
    sentence = f"{tree.path}:{tree.range(built).start.line} fills `{keyword}`, and `{found['name']}` takes `{meant}`"
    return replacing(case, other, "built-key", built, _renamed(built, keyword, meant), sentence)


def _key(message: str) -> str | None:
    try:
        value = ast.literal_eval(message)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None
    return value if isinstance(value, str) and value.isidentifier() else None


def _parameters(case: Case, name: str, owner: str | None) -> List[str]:
    """Names of the parameters of the one function that a message can mean."""
    found = [
        function for tree, function in functions_named(case, name) if owner is None or _owner(tree, function) == owner
    ]
    return [each.name.value for each in parameters(found[0])] if len(found) == 1 else []


def _owner(tree: Tree, function: cst.FunctionDef) -> str | None:
    around = tree.enclosing(function, (cst.ClassDef, cst.FunctionDef))
    return around.name.value if isinstance(around, cst.ClassDef) else None


def _built(case: Case, keyword: str) -> Iterator[Tuple[Tree, cst.BaseExpression]]:
    """The mappings of the app that have a key."""
    for tree in case.trees(keyword.encode()):
        for node in (*tree.all(cst.Dict), *tree.all(cst.Call)):
            if any(name == keyword for name, _part in _keys(node)):
                yield tree, node


def _keys(built: cst.CSTNode | None) -> List[Tuple[str, cst.CSTNode]]:
    """Keys of `{"key": ...}` and `dict(key=...)`, with the part that spells each."""
    if isinstance(built, cst.Dict):
        plain = [(literal_of(item.key)[1], item) for item in built.elements if isinstance(item, cst.DictElement)]
        return [(key, item) for key, item in plain if isinstance(key, str)]
    if isinstance(built, cst.Call) and called_name(built) == "dict" and isinstance(built.func, cst.Name):
        return [(arg.keyword.value, arg) for arg in built.args if arg.keyword is not None]
    return []


def _renamed(built: cst.BaseExpression, old: str, new: str) -> cst.BaseExpression:
    """The mapping with another key in the place of one; quotes stay as they are."""
    part = next(part for name, part in _keys(built) if name == old)
    if isinstance(part, cst.Arg):
        changed: cst.CSTNode = part.with_changes(keyword=cst.Name(new))
    elif isinstance(part, cst.DictElement) and isinstance(part.key, cst.SimpleString):
        quote = part.key.quote
        changed = part.with_changes(key=cst.SimpleString(f"{quote}{new}{quote}"))
    else:
        return built
    result = built.deep_replace(part, changed)
    return cst.ensure_type(result, type(built))
