"""What Flask 2.3 took away: encoders of JSON and the stacks of contexts; and `strtobool`, which went with distutils."""

from __future__ import annotations

import re
from typing import List

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.tree import Tree, dotted_name
from homeostasis_rules_python.facts.base import Facts, extracts

_ENCODER = re.compile(r"^cannot import name 'JSONEncoder' from 'flask\.json'")
_STACK = re.compile(r"^cannot import name '(_request_ctx_stack|_app_ctx_stack)' from '(flask(?:\.globals)?)'")
_APP = re.compile(r"^'Flask' object has no attribute '(\w{1,100})'")
_DISTUTILS = re.compile(r"^No module named 'distutils(?:\.util)?'")


@extracts("ImportError", rank=38)
def json_encoder(case: Case, site: Site) -> Facts | None:
    """`upgrade` is `flask-json`: `flask.json.JSONEncoder` is a base of classes, and nothing else."""
    if not _ENCODER.match(case.raised.message):
        return None
    node = _import(site, "flask.json", "JSONEncoder")
    if node is None or not isinstance(site.tree.parent(node), cst.SimpleStatementLine):
        return None
    if not encoders(site.tree) or not _only_derived(site.tree):
        return None
    return _about(case, site, node, "flask-json", "derives from flask.json.JSONEncoder, which Flask 2.3 removed")


def encoders(tree: Tree) -> List[cst.ClassDef]:
    """Classes whose only base is `JSONEncoder`."""
    return [
        each
        for each in tree.all(cst.ClassDef)
        if len(each.bases) == 1 and dotted_name(each.bases[0].value) == "JSONEncoder"
    ]


def _only_derived(tree: Tree) -> bool:
    """Whether the file uses `JSONEncoder` for nothing but bases and `JSONEncoder.default(self, value)`."""
    for use in tree.all(cst.Name):
        if use.value != "JSONEncoder":
            continue
        parent = tree.parent(use)
        base = isinstance(parent, cst.Arg) and isinstance(tree.parent(parent), cst.ClassDef)
        if not base and not isinstance(parent, cst.ImportAlias) and delegation(tree, use) is None:
            return False
    return True


def delegation(tree: Tree, use: cst.CSTNode) -> cst.Call | None:
    """The call of `JSONEncoder.default(self, value)`."""
    parent = tree.parent(use)
    call = tree.parent(parent) if isinstance(parent, cst.Attribute) and parent.attr.value == "default" else None
    plain = isinstance(call, cst.Call) and len(call.args) == 2 and dotted_name(call.args[0].value) == "self"
    return call if plain and isinstance(call, cst.Call) else None


@extracts("ImportError", rank=38)
def context_stack(case: Case, site: Site) -> Facts | None:
    """`upgrade` is `flask-stack`: `_request_ctx_stack.top` or `_app_ctx_stack.top`, and nothing else of the stacks."""
    found = _STACK.match(case.raised.message)
    node = _import(site, found.group(2), found.group(1)) if found is not None else None
    if node is None or found is None or not isinstance(site.tree.parent(node), cst.SimpleStatementLine):
        return None
    if any(not is_top(site.tree, use) for name in STACKS for use in _names(site.tree, name)):
        return None
    return _about(case, site, node, "flask-stack", f"uses flask.{found.group(1)}, which Flask 2.3 removed")


CONFIGURED = {
    "session_cookie_name": "SESSION_COOKIE_NAME",
    "send_file_max_age_default": "SEND_FILE_MAX_AGE_DEFAULT",
    "use_x_sendfile": "USE_X_SENDFILE",
    "propagate_exceptions": "PROPAGATE_EXCEPTIONS",
    "templates_auto_reload": "TEMPLATES_AUTO_RELOAD",
}
"""Attributes of an app that Flask 2.2 and 2.3 removed, to the keys of its configuration."""


@extracts("AttributeError", rank=38)
def app_attribute(case: Case, site: Site) -> Facts | None:
    """`configured` is the key of the configuration that a removed attribute of the app stood for.

    `first_request` is the function that a removed `before_first_request` decorates.
    """
    found = _APP.match(case.raised.message)
    for node in site.nodes(cst.Attribute) if found is not None else ():
        if found is None or not isinstance(node, cst.Attribute) or node.attr.value != found.group(1):
            continue
        decorator = site.tree.parent(node)
        function = site.tree.parent(decorator) if isinstance(decorator, cst.Decorator) else None
        first = found.group(1) == "before_first_request" and isinstance(function, cst.FunctionDef)
        if found.group(1) not in CONFIGURED and not first:
            return None
        facts = Facts.about(case, site, node)
        facts.values.update(upgrade="flask-app", attribute=found.group(1), configured=CONFIGURED.get(found.group(1)))
        if first and isinstance(function, cst.FunctionDef):
            facts.values["first_request"] = function.name.value
        facts.sentence = f"{site.path} uses `{found.group(1)}` of the app, which Flask 2.3 removed"
        return facts
    return None


STACKS = {
    "_request_ctx_stack": ("request_ctx", "has_request_context"),
    "_app_ctx_stack": ("app_ctx", "has_app_context"),
}
"""A stack to its context in `flask.globals`, and to the function of `flask` that says whether there is one."""


def _names(tree: Tree, name: str) -> List[cst.Name]:
    return [
        use for use in tree.all(cst.Name) if use.value == name and not isinstance(tree.parent(use), cst.ImportAlias)
    ]


def is_top(tree: Tree, use: cst.CSTNode) -> bool:
    """Whether a name stands in `name.top`."""
    parent = tree.parent(use)
    return isinstance(parent, cst.Attribute) and parent.value is use and parent.attr.value == "top"


@extracts("ModuleNotFoundError", rank=38)
def strtobool(case: Case, site: Site) -> Facts | None:
    """`upgrade` is `strtobool`: it is all that the file imports from `distutils.util`."""
    if not _DISTUTILS.match(case.raised.message):
        return None
    node = _import(site, "distutils.util", "strtobool")
    if node is None or isinstance(node.names, cst.ImportStar) or len(node.names) != 1:
        return None
    return _about(case, site, node, "strtobool", "uses strtobool of distutils, which Python 3.12 removed")


def _import(site: Site, module: str, name: str) -> cst.ImportFrom | None:
    for node in site.nodes(cst.ImportFrom):
        if not isinstance(node, cst.ImportFrom) or node.relative or isinstance(node.names, cst.ImportStar):
            continue
        plain = [alias for alias in node.names if alias.evaluated_name == name]
        renamed = any(alias.asname is not None for alias in plain)
        if dotted_name(node.module) == module and plain and not (renamed and name != "strtobool"):
            return node
    return None


def _about(case: Case, site: Site, node: cst.ImportFrom, upgrade: str, sentence: str) -> Facts:
    facts = Facts.about(case, site, node)
    facts.values["upgrade"] = upgrade
    facts.sentence = f"{site.path} {sentence}"
    return facts
