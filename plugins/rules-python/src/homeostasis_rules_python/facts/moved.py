"""Modules and names of the app that were moved, and imports that still look for them at their old place."""

from __future__ import annotations

import re
from typing import List

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site, tree_at
from homeostasis_rules_python.code.modules import absolute, available_names, defining, modules, package_at
from homeostasis_rules_python.code.tree import Tree, dotted_name
from homeostasis_rules_python.facts.base import Facts, extracts

_NO_MODULE = re.compile(r"^No module named '([\w.]{1,300})'")
_NO_NAME = re.compile(r"^cannot import name '(\w{1,200})' from '([\w.]{1,300})'")
Import = (cst.ImportFrom, cst.Import)


@extracts("ModuleNotFoundError", "ImportError", rank=45)
def moved(case: Case, site: Site) -> Facts | None:
    """Facts about an import of what is defined in exactly one other module of the app: `moved_from` and `moved_to`.

    `moved_name` is known where a single name was moved, not its module.
    """
    message = case.raised.message
    module, name = _NO_MODULE.match(message), _NO_NAME.match(message)
    if module is not None:
        return _moved_module(case, site, module.group(1))
    if name is not None and "partially initialized" not in message:
        return _moved_name(case, site, name.group(2), name.group(1))
    return None


def _moved_module(case: Case, site: Site, missing: str) -> Facts | None:
    known = modules(case)
    package = package_at(case, site.tree)
    for node in site.nodes(*Import):
        if isinstance(node, cst.ImportFrom) and absolute(node, package) == missing:
            names = plain_names(node)
        elif isinstance(node, cst.Import) and [alias.evaluated_name for alias in node.names] == [missing]:
            names = used_of_module(site.tree, node, missing)
        else:
            continue
        places = defining(case, names, {name: path for name, path in known.items() if name != missing})
        namesakes = [place for place in places if place.split(".")[-1] == missing.split(".")[-1]]
        chosen = namesakes if len(namesakes) == 1 else places
        if len(chosen) != 1:
            return None
        facts = Facts.about(case, site, node)
        facts.values.update(moved_from=missing, moved_to=chosen[0])
        listed = ", ".join(f"`{each}`" for each in names)
        facts.evidence.append(f"{known[chosen[0]]} is the only file of the app that defines {listed}")
        facts.sentence = f"{site.path} imports `{missing}`, which does not exist; the app has it as `{chosen[0]}`"
        return facts
    return None


def _moved_name(case: Case, site: Site, module: str, name: str) -> Facts | None:
    known = modules(case)
    tree = tree_at(case.source, known[module]) if module in known else None
    if tree is None or case.source.refusal(tree.path) is not None or name in available_names(tree):
        return None
    places = defining(case, [name], {other: path for other, path in known.items() if other != module})
    package = package_at(case, site.tree)
    for node in site.nodes(cst.ImportFrom):
        if len(places) != 1 or not isinstance(node, cst.ImportFrom) or absolute(node, package) != module:
            continue
        facts = Facts.about(case, site, node)
        facts.values.update(moved_from=module, moved_to=places[0], moved_name=name)
        facts.evidence.append(f"{known[places[0]]} is the only file of the app that defines `{name}`")
        facts.sentence = f"{site.path} imports `{name}` from `{module}`, which does not define it; `{places[0]}` does"
        return facts
    return None


def plain_names(node: cst.ImportFrom) -> List[str]:
    """Names that are imported; none for a star."""
    return [] if isinstance(node.names, cst.ImportStar) else [alias.evaluated_name for alias in node.names]


def used_of_module(tree: Tree, node: cst.Import, module: str) -> List[str]:
    """Attributes of an imported module that the file uses."""
    alias = node.names[0].asname
    bound = alias.name.value if alias is not None and isinstance(alias.name, cst.Name) else module
    return list(dict.fromkeys(use.attr.value for use in tree.all(cst.Attribute) if dotted_name(use.value) == bound))
