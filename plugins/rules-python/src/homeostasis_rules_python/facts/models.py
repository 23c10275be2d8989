"""Models of pydantic: values that do not fit, and what version 2 took away from version 1."""

from __future__ import annotations

import re
from typing import List, Pattern, Tuple

import libcst as cst

from homeostasis_rules_python.code.answering import told
from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.known import Class, app_class
from homeostasis_rules_python.code.origin import UNKNOWN, origin
from homeostasis_rules_python.code.tree import Tree, called_name, dotted_name
from homeostasis_rules_python.facts.base import Facts, extracts

_TITLE = re.compile(r"^\d{1,5} validation errors? for ([A-Za-z_]\w{0,100})")
_ERROR = re.compile(
    r"^(?:([\w.\-\[\]]{1,200})\n)?  (\S.{1,200}?) \[type=(\w{1,60}), input_value=(.{0,200}?), input_type=(\w{1,60})\]",
    re.MULTILINE,
)
_RESPONSE = re.compile(
    r"\{'type': '(\w{1,60})', 'loc': \('response'((?:, (?:'[^']{1,100}'|\d{1,9})){0,20}),?\), "
    r"'msg': '[^']{1,200}', 'input': (.{0,200})"
)
_PART = re.compile(r"'([^']{1,100})'|(\d{1,9})")
_READING = frozenset(
    (
        "model_validate",
        "parse_obj",
        "model_validate_json",
        "parse_raw",
        "from_orm",
        "validate_python",
        "load",
        "validate",
    )
)
_INFO = re.compile(
    r"ValidationInfo' object (is not subscriptable|has no attribute '(get|items|keys|values)')"
    r"|of type '[\w.]{0,80}ValidationInfo' is not"
)
_DUMPS = re.compile(r"^`dumps_kwargs` keyword arguments are no longer supported")
_HOMES = {
    "pydantic_core._pydantic_core": "pydantic",
    "pydantic": "pydantic",
    "marshmallow": "marshmallow",
    "jsonschema": "jsonschema",
}
_MESSAGES: Tuple[Tuple[str, Pattern[str]], ...] = (
    ("root_validator", re.compile(r"use `@root_validator` with pre=False")),
    ("regex", re.compile(r"^`regex` is removed\. use `pattern` instead|unexpected keyword argument 'regex'")),
    ("unannotated", re.compile(r"^A non-annotated attribute was detected: `(\w{1,100}) = ")),
    ("settings", re.compile(r"^`BaseSettings` has been moved to the `pydantic-settings` package")),
    (
        "response_model",
        re.compile(r"^Invalid args for response field! Hint: check that (.{1,200}) is a valid Pydantic"),
    ),
    ("orm_mode", re.compile(r"^You must set the config attribute `from_attributes=True` to use from_orm")),
)
MAX_MESSAGE = 8000
"""Characters of a message that are read; errors further on are not looked at."""
Detail = Tuple[Tuple[str, ...], str, str]
"""Where in the model, the kind of the error, and the type of what was given."""


@extracts("ValidationError", "ResponseValidationError", rank=40)
def invalid(case: Case, site: Site) -> Facts | None:
    """Facts about values that do not fit a model.

    `model` is the class, `error_kind` the kind that all errors have, `fields` what they are about, `input_type` what
    was given, `data_origin` who gave it, and `home` the distribution of the error's class.
    """
    node = _reading(site, case) if case.raised.type == "ValidationError" else None
    if case.raised.type == "ValidationError" and node is None:
        return None
    facts = Facts.about(case, site, node if node is not None else _name_of(site))
    title, errors = _errors(case, site)
    facts.values.update(model=title, home=_home(case), error_kind=None)
    kinds = {kind for _where, kind, _given in errors}
    if len(kinds) == 1:
        facts.values["error_kind"] = kinds.pop()
        facts.values["input_type"] = errors[0][2]
        facts.values["fields"] = sorted({where[-1] for where, _kind, _given in errors if where})
        owner = _owner(case, title, errors[0][0]) if title is not None else None
        found = app_class(case, owner) if owner is not None else None
        facts.values["owner"] = owner
        facts.values["optional"] = found is not None and all(
            may_be_none(found, name) for name in facts.values["fields"]
        )
    if node is not None:
        given = [arg.value for arg in node.args]
        origins = [origin(case, site, part) for part in given]
        sent = next((item for item in origins if item.from_client), None)
        facts.blame("data", sent or (origins[0] if origins else UNKNOWN))
    facts.sentence = (
        f"{facts.where} gives `{title}` what does not fit it" if title else f"{facts.where} gives what does not fit"
    )
    return facts


def _name_of(site: Site) -> cst.CSTNode:
    return site.function.name if site.function is not None else site.tree.module.body[0]


def _home(case: Case) -> str | None:
    module = case.raised.module
    return _HOMES.get(module) or _HOMES.get(module.split(".")[0])


def _reading(site: Site, case: Case) -> cst.Call | None:
    """The call that made the model."""
    title = _TITLE.match(case.raised.message)
    for node in site.nodes(cst.Call):
        if isinstance(node, cst.Call):
            name = called_name(node)
            if (
                name in _READING
                or (title is not None and name == title.group(1))
                or (title and name and name[:1].isupper())
            ):
                return node
    return None


def _errors(case: Case, site: Site) -> Tuple[str | None, List[Detail]]:
    message = told(case)[:MAX_MESSAGE]
    title = _TITLE.match(message)
    if title is not None:
        found = [
            (tuple(part for part in where.split(".") if part), kind, given)
            for where, _text, kind, _value, given in _ERROR.findall(message)
        ]
        return title.group(1), found
    details: List[Detail] = []
    for kind, places, given in _RESPONSE.findall(message):
        where = tuple(name or number for name, number in _PART.findall(places) if name)
        details.append((where, kind, "int" if given.split("}")[0].strip().lstrip("-").isdecimal() else ""))
    return _response_model(site), details


def _response_model(site: Site) -> str | None:
    """The class of `response_model=`, or of the return annotation, without `list[...]` and `Optional[...]` around."""
    if site.function is None:
        return None
    for decorator in site.function.decorators:
        call = decorator.decorator
        for arg in call.args if isinstance(call, cst.Call) else ():
            if arg.keyword is not None and arg.keyword.value == "response_model":
                return innermost(site.tree, arg.value)
    returns = site.function.returns
    return innermost(site.tree, returns.annotation) if returns is not None else None


def innermost(tree: Tree, annotation: cst.BaseExpression) -> str | None:
    """The one class in an annotation such as `Optional[List[Item]]`."""
    skipped = {
        "List",
        "list",
        "Optional",
        "Union",
        "None",
        "Dict",
        "dict",
        "str",
        "int",
        "Sequence",
        "typing",
        "Set",
        "set",
    }
    names = [name.value for name in tree.all(cst.Name, annotation) if name.value not in skipped]
    return names[-1] if len(set(names)) == 1 else None


def _owner(case: Case, title: str, where: Tuple[str, ...]) -> str | None:
    """The class that declares the last part of a path, followed through the annotations of the fields before."""
    name: str | None = title
    for part in where[:-1]:
        found = app_class(case, name) if name is not None else None
        field = annotated_field(found, part) if found is not None else None
        if found is None or field is None:
            return None if not part.isdecimal() else name
        name = innermost(found[0], field.annotation.annotation)
    return name


def annotated_field(found: Class, name: str) -> cst.AnnAssign | None:
    """The annotated attribute of a class."""
    tree, definition = found
    for field in tree.all(cst.AnnAssign, definition.body):
        if dotted_name(field.target) == name and tree.enclosing(field, (cst.ClassDef, cst.FunctionDef)) is definition:
            return field
    return None


def may_be_none(found: Class, name: str) -> bool:
    """Whether a field is annotated as one that may be None, and has no default."""
    field = annotated_field(found, name)
    if field is None or field.value is not None:
        return False
    text = found[0].code(field.annotation.annotation).replace(" ", "")
    return "Optional[" in text or text.endswith("|None") or text.startswith("None|") or ",None]" in text


@extracts("PydanticUserError", "PydanticImportError", "FastAPIError", "TypeError", "AttributeError", rank=30)
def leftover(case: Case, site: Site) -> Facts | None:
    """Facts about code for pydantic 1: `leftover` says which, `attribute` names a field without an annotation."""
    message = case.raised.message
    kind, named = next(
        ((kind, hit) for kind, pattern in _MESSAGES for hit in [pattern.search(message)] if hit), ("", None)
    )
    if _INFO.search(message):
        kind = "info"
    elif _DUMPS.match(message):
        kind = "dumps"
    if not kind or (case.raised.type == "TypeError" and kind not in ("regex", "dumps", "info")):
        return None
    nodes = site.nodes(
        cst.Call, cst.Decorator, cst.Name, cst.Attribute, cst.AnnAssign, cst.Assign, cst.ImportFrom, cst.ClassDef
    )
    method = {"dumps": "json", "orm_mode": "from_orm"}.get(kind)
    calls = [node for node in nodes if isinstance(node, cst.Call) and called_name(node) == method]
    node = calls[0] if calls else nodes[0] if nodes else site.tree.module.body[0]
    facts = Facts.about(case, site, node)
    facts.values["leftover"] = kind
    if kind == "response_model" and named is not None:
        route = _wrong_annotation(site, named.group(1))
        if route is None:
            return None
        facts.say("route", route)
    if kind == "unannotated" and named is not None:
        facts.values["attribute"] = named.group(1)
    facts.sentence = f"{facts.where} is written for pydantic 1"
    return facts


def _wrong_annotation(site: Site, hint: str) -> cst.Call | None:
    """The decorator of the handler whose return annotation is meant by FastAPI's hint."""
    # Python 3.8 reports the line of the `def` for a decorator that raises.
    defined = [item for item in site.nodes(cst.FunctionDef) if isinstance(item, cst.FunctionDef)]
    near = [item for function in defined for item in function.decorators]
    for decorator in [*site.nodes(cst.Decorator), *near]:
        function = site.tree.parent(decorator)
        call = decorator.decorator if isinstance(decorator, cst.Decorator) else None
        if not isinstance(function, cst.FunctionDef) or not isinstance(call, cst.Call) or function.returns is None:
            continue
        names = {name.value for name in site.tree.all(cst.Name, function.returns.annotation)}
        given = {arg.keyword.value for arg in call.args if arg.keyword is not None}
        if names & set(re.findall(r"\w+", hint)) and "response_model" not in given:
            return call
    return None
