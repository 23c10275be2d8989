"""What JSON has no form for in the answer of a handler: objects of the app, sets and members of an Enum."""

from __future__ import annotations

import re
from typing import Iterator, Tuple

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.known import app_class, base_names, functions_named
from homeostasis_rules_python.code.scope import bindings_in, parameters
from homeostasis_rules_python.code.tree import Comprehension, called_name, dotted_name
from homeostasis_rules_python.facts.base import Facts, extracts

_NOT_JSON = re.compile(r"^Object of type (\w{1,100}) is not JSON serializable")
_WRITERS = frozenset(("jsonify", "JSONResponse", "dumps", "dump"))
_METHODS = ("to_dict", "as_dict", "to_json", "serialize", "model_dump", "asdict", "json_dict")
_LISTS = {
    "set": "set",
    "frozenset": "set",
    "dict_keys": "list",
    "dict_values": "list",
    "generator": "list",
    "deque": "list",
}
_ENUMS = frozenset(("Enum", "Flag"))


@extracts("TypeError", rank=30)
def unserialised(case: Case, site: Site) -> Facts | None:
    """Facts about the one value of an answer that JSON has no form for: `unserialised`, `form` and `method`.

    `form` is `object`, `objects` for a list of them, `set`, `list` or `enum`; None if the type has no known form.
    """
    found = _NOT_JSON.match(case.raised.message)
    written = _written(site) if found is not None else None
    if found is None or written is None:
        return None
    kind = found.group(1)
    if kind in _LISTS and called_name(written[0]) in ("dumps", "dump"):
        # `names.not_json` gives those a `default`.
        return None
    form, method = _form(case, kind)
    if form is None:
        return None
    fitting = list(_fitting(case, site, written[1], kind, form))
    if len(fitting) != 1:
        return None
    node, many = fitting[0]
    facts = Facts.about(case, site, written[0])
    facts.say("unserialised", node)
    facts.values.update(type=kind, form="objects" if many else form, method=method, called=called_name(written[0]))
    facts.sentence = f"{facts.where} answers with a {kind}, which JSON has no form for"
    return facts


def _written(site: Site) -> Tuple[cst.Call, list[cst.BaseExpression]] | None:
    for node in site.nodes(cst.Call):
        if isinstance(node, cst.Call) and called_name(node) in _WRITERS and node.args:
            given = {arg.keyword.value for arg in node.args if arg.keyword is not None}
            return None if given & {"default", "cls"} else (node, [arg.value for arg in node.args])
    return None


def _form(case: Case, kind: str) -> Tuple[str | None, str | None]:
    if kind in _LISTS:
        return _LISTS[kind], None
    found = app_class(case, kind)
    if found is None:
        return None, None
    tree, definition = found
    if _ENUMS & set(base_names(definition)):
        return "enum", None
    for function in tree.all(cst.FunctionDef, definition.body):
        required = [item for item in parameters(function)[1:] if item.default is None]
        if function.name.value in _METHODS and not required and not function.decorators:
            return "object", function.name.value
    return ("object", "model_dump") if "BaseModel" in base_names(definition) else (None, None)


def _fitting(
    case: Case, site: Site, given: list[cst.BaseExpression], kind: str, form: str
) -> Iterator[Tuple[cst.BaseExpression, bool]]:
    """Parts of an answer that are of the type, with whether they are lists of such."""
    for value in given:
        if isinstance(value, (cst.Dict, cst.List, cst.Tuple)):
            yield from _fitting(case, site, [item.value for item in value.elements], kind, form)
        elif isinstance(value, cst.ListComp):
            yield from _fitting(case, site, [value.elt], kind, form)
        elif isinstance(value, (cst.Set, cst.SetComp)):
            if form == "set":
                yield value, False
        elif isinstance(value, Comprehension):
            continue
        else:
            known = _type_of(case, site, value)
            if known == kind:
                yield value, False
            elif known in ("list", "tuple", "Query", "ScalarResult") and form == "object":
                yield value, True


def _type_of(case: Case, site: Site, value: cst.BaseExpression) -> str | None:
    """The class of a value: as captured, as made here, or as a called function of the app says in its annotation."""
    known = site.type_of(value)
    if known is not None:
        return known
    if isinstance(value, cst.Name) and site.function is not None:
        made = [item.value for item in bindings_in(site.function.body, value.value) if item.kind == "assign"]
        return _type_of(case, site, made[0]) if len(made) == 1 and made[0] is not None else None
    if isinstance(value, cst.Attribute):
        owner = (dotted_name(value.value) or "").split(".")[-1]
        return owner if app_class(case, owner) is not None and owner[:1].isupper() else None
    if isinstance(value, (cst.Set, cst.SetComp)):
        return "set"
    if isinstance(value, (cst.List, cst.ListComp)):
        return "list"
    if not isinstance(value, cst.Call):
        return None
    name = called_name(value) or ""
    if name in ("keys", "values"):
        return f"dict_{name}"
    return name if name in _LISTS or name[:1].isupper() else _annotated(case, name)


def _annotated(case: Case, name: str) -> str | None:
    for tree, function in functions_named(case, name):
        if function.returns is not None:
            text = tree.code(function.returns.annotation).strip("'\"").replace("Optional[", "").rstrip("]")
            return "list" if text.lower().startswith("list") else text.split(".")[-1]
    return None
