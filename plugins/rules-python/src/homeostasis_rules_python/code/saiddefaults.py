"""Defaults of parameters as a function's docstring, its annotation, its protocol or its neighbours say them."""

from __future__ import annotations

import ast
import re
from typing import FrozenSet, List, Tuple

import libcst as cst

from homeostasis_rules_python.code.scope import bindings_in, imported_names
from homeostasis_rules_python.code.tree import Tree, dotted_name, literal_of

Said = Tuple[str, int, str]
"""Source of the default, how many declarations agree, and the evidence."""
_PROTOCOL: FrozenSet[Tuple[str, str]] = frozenset((("get", "default"), ("setdefault", "default")))
"""Methods of dicts with the parameters that are None there unless somebody says otherwise."""
_DOCUMENTED = (
    r"\b{name}\b[^\n]{{0,200}}?(?:\n[ \t]{{1,40}}[^:\n]{{1,200}})??[(,;.]?\s*"
    r"[Dd]efaults?(?: value)?(?: to| is|:|=)?\s*[`'\"]{{0,2}}(?P<value>None|True|False|-?\d{{1,12}}(?:\.\d{{1,12}})?)\b"
)
"""`name: what it is (default: 3)`, `Defaults to None`, on the parameter's own line or the one below."""


def declared(tree: Tree, function: cst.FunctionDef, parameter: cst.Param) -> Said | None:
    """What stands for a parameter that is left out, by what is written about it; None if nothing is."""
    name = parameter.name.value
    return _documented(function, name) or _of_neighbours(tree, function, name) or _usual(tree, function, parameter)


def _documented(function: cst.FunctionDef, name: str) -> Said | None:
    text = function.get_docstring()
    found = re.search(_DOCUMENTED.format(name=re.escape(name)), text) if text is not None else None
    if found is None:
        return None
    value = repr(ast.literal_eval(found["value"]))
    return value, 2, f"the docstring of `{function.name.value}` says that `{name}` is {value} by default"


def _of_neighbours(tree: Tree, function: cst.FunctionDef, name: str) -> Said | None:
    """The default that the other methods of the class, or functions of the file, give a parameter of that name."""
    owner = tree.enclosing(function, cst.ClassDef)
    block = owner.body if owner is not None else tree.module
    texts: List[str] = []
    required = 0
    for other in tree.all(cst.FunctionDef, block):
        given = other.params
        for each in (*given.posonly_params, *given.params, *given.kwonly_params):
            if each.name.value != name or other is function:
                continue
            if each.default is None:
                required += 1
            elif not literal_of(each.default)[0] and not _is_of_module(tree, each.default):
                return None
            else:
                texts.append(tree.code(each.default))
    if len(set(texts)) != 1 or required > len(texts):
        return None
    place = f"of `{owner.name.value}`" if owner is not None else "of the file"
    times = "once" if len(texts) == 1 else f"{len(texts)} times"
    agreeing = 1 if required else len(texts)
    return texts[0], agreeing, f"`{name}` is {texts[0]} by default in the other functions {place}, {times}"


def _is_of_module(tree: Tree, default: cst.BaseExpression) -> bool:
    """Whether a default is a name of the module or one that it imports, which means the same in each function."""
    name = dotted_name(default)
    imports = (*tree.all(cst.ImportFrom), *tree.all(cst.Import))
    imported = {
        each for node in imports if isinstance(node, (cst.Import, cst.ImportFrom)) for each in imported_names(node)
    }
    return name is not None and "." not in name and (name in imported or any(bindings_in(tree.module, name)))


def _usual(tree: Tree, function: cst.FunctionDef, parameter: cst.Param) -> Said | None:
    name = parameter.name.value
    if (function.name.value, name) in _PROTOCOL and tree.enclosing(function, cst.ClassDef) is not None:
        return "None", 2, f"`{function.name.value}` of a mapping gives None for what is missing"
    note = tree.code(parameter.annotation.annotation).replace(" ", "") if parameter.annotation is not None else ""
    if note.startswith(("Optional[", "typing.Optional[")) or note.endswith("|None"):
        return "None", 1, f"`{name}` is annotated as one that may be None"
    if note == "bool":
        return "False", 0, f"`{name}` is a flag, and one that nobody mentions is off"
    return None
