"""Attributes that the app itself defines under another name."""

from __future__ import annotations

import difflib
import re
from typing import List

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site, tree_at
from homeostasis_rules_python.code.known import Class, app_class
from homeostasis_rules_python.code.members import CLOSE, meant_by, members
from homeostasis_rules_python.code.modules import available_names, modules
from homeostasis_rules_python.code.tree import Tree, dotted_name
from homeostasis_rules_python.facts.base import Facts, extracts

_OF_OBJECT = re.compile(r"^'(?:[\w.]{1,300}\.)?(\w{1,200})' object has no attribute '(\w{1,200})'")
_OF_MODULE = re.compile(r"^module '([\w.]{1,300})' has no attribute '(\w{1,200})'")


@extracts("AttributeError", rank=45)
def renamed_attribute(case: Case, site: Site) -> Facts | None:
    """Facts about an attribute for which the class or module has exactly one name that is spelt nearly so."""
    of_object, of_module = _OF_OBJECT.match(case.raised.message), _OF_MODULE.match(case.raised.message)
    if of_object is not None:
        return _of_object(case, site, *of_object.groups())
    return _of_module(case, site, *of_module.groups()) if of_module is not None else None


def _of_object(case: Case, site: Site, name: str, attribute: str) -> Facts | None:
    found = app_class(case, name)
    known = members(case, found) if found is not None else None
    meant = meant_by(attribute, known) if known is not None and attribute not in known else None
    node = _node(site, attribute) if meant is not None else None
    if found is None or node is None or _is_read_often(case, found, attribute):
        return None
    facts = Facts.about(case, site, node)
    facts.values.update(owner=name, attribute=attribute, attribute_meant=meant, owner_kind="class")
    place = f"{found[0].path}:{found[0].range(found[1].name).start.line}"
    facts.evidence.append(f"the class `{name}` ({place}) defines `{meant}`, and nothing else that is spelt nearly so")
    facts.sentence = f"{facts.where} reads `{attribute}` of a `{name}`, which calls it `{meant}`"
    return facts


def _is_read_often(case: Case, found: Class, attribute: str) -> bool:
    """Whether the class reads an attribute at several places, so that where it is set is what is misspelt."""
    tree, cls = found
    reads = [use for use in tree.all(cst.Attribute, cls.body) if use.attr.value == attribute]
    return len(reads) > 1 and _unread(case, found, attribute) is not None


def _of_module(case: Case, site: Site, name: str, attribute: str) -> Facts | None:
    path = modules(case).get(name)
    tree = tree_at(case.source, path) if path is not None and case.source.refusal(path) is None else None
    if tree is None or attribute in available_names(tree):
        return None
    meant, node = meant_by(attribute, available_names(tree)), _node(site, attribute)
    if meant is None or node is None:
        return None
    facts = Facts.about(case, site, node)
    facts.values.update(owner=name, attribute=attribute, attribute_meant=meant, owner_kind="module")
    facts.evidence.append(f"{path} defines `{meant}`, and nothing else that is spelt nearly so")
    facts.sentence = f"{facts.where} reads `{attribute}` of the module `{name}`, which calls it `{meant}`"
    return facts


def _node(site: Site, attribute: str) -> cst.Attribute | None:
    for node in site.nodes(cst.Attribute):
        if isinstance(node, cst.Attribute) and node.attr.value == attribute:
            return node
    return None


@extracts("AttributeError", rank=46)
def misspelt_initialiser(case: Case, site: Site) -> Facts | None:
    """Facts about an attribute that `__init__` sets under another spelling, which nothing ever reads.

    `assigned` is what `__init__` sets, `attribute` what is read. Names with two leading underscores are known by what
    the code writes.
    """
    of_object = _OF_OBJECT.match(case.raised.message)
    found = app_class(case, of_object.group(1)) if of_object is not None else None
    if of_object is None or found is None:
        return None
    attribute = plain_name(of_object.group(1), of_object.group(2))
    node, meant = _node(site, attribute), _unread(case, found, attribute)
    if node is None or meant is None:
        return None
    facts = Facts.about(case, site, node)
    facts.values.update(owner=of_object.group(1), attribute=attribute, assigned=meant.attr.value)
    place = f"{found[0].path}:{found[0].range(meant).start.line}"
    facts.evidence.append(f"`__init__` ({place}) sets `{meant.attr.value}`, which nothing reads, and not `{attribute}`")
    facts.sentence = f"{facts.where} reads `{attribute}`, which `__init__` sets under the name `{meant.attr.value}`"
    return facts


def plain_name(owner: str, attribute: str) -> str:
    """The attribute as the code spells it: `__a` for `_Owner__a`."""
    mangled = f"_{owner.lstrip('_')}__"
    return f"__{attribute[len(mangled) :]}" if attribute.startswith(mangled) else attribute


def _unread(case: Case, found: Class, attribute: str) -> cst.Attribute | None:
    """The one target in `__init__` that is spelt nearly like an attribute and that the app reads nowhere."""
    tree, cls = found
    targets = {target.attr.value: target for target in initialised(tree, cls)}
    if attribute in targets:
        return None
    close = difflib.get_close_matches(attribute, list(targets), 5, CLOSE)
    unread = [name for name in close if not _is_read(case, name) or _belongs_elsewhere(case, found, name)]
    return targets[unread[0]] if len(unread) == 1 else None


def initialised(tree: Tree, cls: cst.ClassDef) -> List[cst.Attribute]:
    """What `__init__` of a class sets of `self`."""
    return [
        target
        for function in tree.all(cst.FunctionDef, cls)
        if function.name.value == "__init__" and tree.enclosing(function, cst.ClassDef) is cls
        for node in (*tree.all(cst.Assign, function.body), *tree.all(cst.AnnAssign, function.body))
        for target in _assigned(node)
        if isinstance(target, cst.Attribute) and dotted_name(target.value) == "self"
    ]


def _assigned(node: cst.CSTNode) -> List[cst.BaseExpression]:
    if isinstance(node, cst.Assign):
        return [target.target for target in node.targets]
    return [node.target] if isinstance(node, cst.AnnAssign) else []


def _belongs_elsewhere(case: Case, found: Class, name: str) -> bool:
    """Whether another class has an attribute of that name, which reads of it mean: the class itself reads none."""
    tree, cls = found
    for use in tree.all(cst.Attribute, cls.body):
        written = isinstance(tree.parent(use), (cst.AssignTarget, cst.AnnAssign))
        if use.attr.value == name and dotted_name(use.value) == "self" and not written:
            return False
    return any(
        target.attr.value == name
        for other in case.trees(name.encode("utf-8"))
        for each in other.all(cst.ClassDef)
        if each is not cls
        for target in initialised(other, each)
    )


def _is_read(case: Case, name: str) -> bool:
    for tree in case.trees(name.encode("utf-8")):
        for use in tree.all(cst.Attribute):
            parent = tree.parent(use)
            written = isinstance(parent, cst.AssignTarget) or (
                isinstance(parent, cst.AnnAssign) and parent.target is use
            )
            if use.attr.value == name and not written:
                return True
        if any(text.evaluated_value == name for text in tree.all(cst.SimpleString)):
            return True
    return False
