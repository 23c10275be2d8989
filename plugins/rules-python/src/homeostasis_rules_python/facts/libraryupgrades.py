"""Calls as older versions of libraries took them: PyYAML, SQLAlchemy, Starlette, PyJWT, setuptools, pydantic."""

from __future__ import annotations

import re
from typing import List

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.construct import has_keyword, with_keywords
from homeostasis_rules_python.code.tree import Tree, called_name, dotted_name, literal_of
from homeostasis_rules_python.facts.base import Facts, extracts
from homeostasis_rules_python.facts.replacing import replacing

_YAML = re.compile(r"^load\(\) missing 1 required positional argument: 'Loader'")
_SELECT = re.compile(r"Did you mean to say select\(|select\(\) construct")
_ROOT = "To define root models, use `pydantic.RootModel`"
_CONST = "`const` is removed, use `Literal` instead"


@extracts("TypeError", rank=28)
def yaml_load(case: Case, site: Site) -> Facts | None:
    """`mistake` is `yaml-load`: PyYAML 6 loads nothing without being told how; plain data is loaded by `safe_load`."""
    for node in site.nodes(cst.Call) if _YAML.match(case.raised.message) else ():
        if isinstance(node, cst.Call) and dotted_name(node.func) == "yaml.load" and len(node.args) == 1:
            new = cst.parse_expression("yaml.safe_load")
            sentence = "{where} calls `yaml.load` without a loader, which PyYAML 6 needs"
            return replacing(case, site, "yaml-load", node.func, new, sentence)
    return None


@extracts("ArgumentError", rank=19)
def select_list(case: Case, site: Site) -> Facts | None:
    """`mistake` is `select-list`: SQLAlchemy 2 takes columns one by one, `select(a, b)` for `select([a, b])`."""
    for node in site.nodes(cst.Call) if _SELECT.search(case.raised.message) else ():
        if not isinstance(node, cst.Call) or called_name(node) != "select" or len(node.args) != 1:
            continue
        listed = node.args[0].value
        if (
            isinstance(listed, cst.List)
            and listed.elements
            and not any(isinstance(each, cst.StarredElement) for each in listed.elements)
        ):
            new = node.with_changes(args=[cst.Arg(each.value) for each in listed.elements])
            sentence = "{where} selects a list of columns, which SQLAlchemy 2 takes one by one"
            return replacing(case, site, "select-list", node, new, sentence)
    return None


@extracts("TypeError", "AttributeError", rank=28)
def template_response(case: Case, site: Site) -> Facts | None:
    """`mistake` is `template-response`: Starlette takes the request first, then the name and the context."""
    if "dict" not in case.raised.message:
        return None
    for node in site.nodes(cst.Call):
        if not isinstance(node, cst.Call) or called_name(node) != "TemplateResponse" or len(node.args) < 2:
            continue
        name, context = node.args[0], node.args[1]
        request = _request_in(context.value)
        if request is None or not isinstance(literal_of(name.value)[1], str) or name.keyword or context.keyword:
            return None
        comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
        new = node.with_changes(args=[cst.Arg(request, comma=comma), *node.args])
        sentence = "{where} makes a TemplateResponse without its request, which comes first in the installed version"
        return replacing(case, site, "template-response", node, new, sentence)
    return None


def _request_in(context: cst.BaseExpression) -> cst.BaseExpression | None:
    for item in context.elements if isinstance(context, cst.Dict) else ():
        if isinstance(item, cst.DictElement) and literal_of(item.key)[1] == "request":
            return item.value if isinstance(item.value, (cst.Name, cst.Attribute)) else None
    return None


@extracts("DecodeError", rank=28)
def jwt_algorithms(case: Case, site: Site) -> Facts | None:
    """`mistake` is `jwt-algorithms`: PyJWT 2 decodes nothing without being told how it may have been signed."""
    if 'pass in a value for the "algorithms" argument' not in case.raised.message:
        return None
    for node in site.nodes(cst.Call):
        if not isinstance(node, cst.Call) or called_name(node) != "decode" or has_keyword(node, "algorithms"):
            continue
        used = _signed_with(case)
        if len(used) != 1 or len(node.args) > 2:
            return None
        new = with_keywords(node, [("algorithms", f'["{used[0]}"]')])
        sentence = f"{{where}} decodes a token without saying that the app signs them with {used[0]}"
        return replacing(case, site, "jwt-algorithms", node, new, sentence)
    return None


def _signed_with(case: Case) -> List[str]:
    """Algorithms with which the app signs tokens; HS256 is the default of `jwt.encode`."""
    found = []
    for tree in case.trees(b"jwt"):
        for call in tree.all(cst.Call):
            if dotted_name(call.func) != "jwt.encode":
                continue
            given = [arg.value for arg in call.args if arg.keyword is not None and arg.keyword.value == "algorithm"]
            given += [arg.value for arg in call.args[2:3] if arg.keyword is None]
            name = literal_of(given[0])[1] if given else "HS256"
            found.append(name if isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9]{2,20}", name) else "")
    return sorted(set(found)) if "" not in found else []


@extracts("ModuleNotFoundError", rank=37)
def pkg_resources(case: Case, site: Site) -> Facts | None:
    """`upgrade` is `pkg-resources`: all that the file asks setuptools for is the version of a distribution."""
    if case.raised.message != "No module named 'pkg_resources'":
        return None
    for node in site.nodes(cst.Import, cst.ImportFrom):
        if isinstance(node, (cst.Import, cst.ImportFrom)) and versions_asked(site.tree) is not None:
            facts = Facts.about(case, site, node)
            facts.values["upgrade"] = "pkg-resources"
            facts.sentence = f"{site.path} imports pkg_resources, which setuptools no longer brings"
            return facts
    return None


def versions_asked(tree: Tree) -> List[cst.Attribute] | None:
    """`pkg_resources.get_distribution(x).version`, if the file uses nothing else of the module."""
    found = [
        node
        for node in tree.all(cst.Attribute)
        if node.attr.value == "version"
        and isinstance(node.value, cst.Call)
        and dotted_name(node.value.func) in ("pkg_resources.get_distribution", "get_distribution")
        and len(node.value.args) == 1
    ]
    uses = [node for node in tree.all(cst.Name) if node.value in ("pkg_resources", "get_distribution")]
    outside = [node for node in uses if tree.enclosing(node, (cst.Import, cst.ImportFrom)) is None]
    imported = [node for node in uses if node not in outside]
    inside = {name for each in found for name in tree.all(cst.Name, each.value)}
    plain = len(imported) <= 2 and all(name in inside for name in outside)
    return found if found and plain else None


@extracts("TypeError", "PydanticUserError", rank=27)
def root_and_const(case: Case, site: Site) -> Facts | None:
    """`leftover` is `root` for a field `__root__`, or `const` for `Field(..., const=True)`."""
    message = case.raised.message
    if message.startswith(_ROOT):
        for cls in site.nodes(cst.ClassDef):
            if isinstance(cls, cst.ClassDef) and root_field(cls) is not None:
                return _leftover(case, site, cls, "root")
    if _CONST in message:
        for call in site.nodes(cst.Call):
            field = site.tree.parent(call)
            given = call.args[0] if isinstance(call, cst.Call) and call.args else None
            constant = given is not None and given.keyword is None and literal_of(given.value)[0]
            marked = isinstance(call, cst.Call) and has_keyword(call, "const")
            if isinstance(field, cst.AnnAssign) and marked and constant:
                return _leftover(case, site, call, "const")
    return None


def _leftover(case: Case, site: Site, node: cst.CSTNode, kind: str) -> Facts:
    facts = Facts.about(case, site, node)
    facts.values["leftover"] = kind
    facts.sentence = f"{facts.where} is written for pydantic 1"
    return facts


def root_field(cls: cst.ClassDef) -> cst.AnnAssign | None:
    """`__root__: T` of a class that derives from BaseModel alone."""
    if [dotted_name(base.value) for base in cls.bases] not in (["BaseModel"], ["pydantic.BaseModel"]):
        return None
    for line in cls.body.body:
        small = line.body[0] if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1 else None
        if isinstance(small, cst.AnnAssign) and dotted_name(small.target) == "__root__" and small.value is None:
            return small
    return None
