"""Names that another module of the app defines and that a file uses without importing them."""

from __future__ import annotations

import builtins
import re

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site, tree_at
from homeostasis_rules_python.code.modules import absolute, defining, modules, package_at
from homeostasis_rules_python.code.scope import bindings_in, imported_names
from homeostasis_rules_python.code.tree import Tree
from homeostasis_rules_python.facts.base import Facts, extracts

_UNDEFINED = re.compile(r"^name '(\w{1,200})' is not defined")


@extracts("NameError", rank=43)
def defined_in_the_app(case: Case, site: Site) -> Facts | None:
    """`forgotten` is the import of what exactly one other module of the app defines, and that does not import back."""
    found = _UNDEFINED.match(case.raised.message)
    if found is None or case.raised.type != "NameError":
        return None
    name = found.group(1)
    node = next((each for each in site.nodes(cst.Name) if isinstance(each, cst.Name) and each.value == name), None)
    if node is None or hasattr(builtins, name) or _binds(site.tree, name):
        return None
    known = modules(case)
    own = {module for module, path in known.items() if path == site.path}
    places = [each for each in defining(case, [name], known) if each not in own and not _is_test(each)]
    if len(places) != 1 or len(own) != 1 or _imports_back(case, known[places[0]], own | {""}):
        return None
    facts = Facts.about(case, site, node)
    facts.values["forgotten"] = f"{_spelt(case, site, places[0])}:{name}"
    facts.evidence.append(f"{known[places[0]]} is the only file of the app that defines `{name}`")
    facts.sentence = f"{facts.where} uses `{name}`, which {site.path} does not import"
    return facts


def _binds(tree: Tree, name: str) -> bool:
    """Whether the file defines or imports the name anywhere."""
    defined = [each.name.value for each in tree.all(cst.FunctionDef)]
    if name in defined or any(each.name.value == name for each in tree.all(cst.ClassDef)):
        return True
    imported = [each for node in tree.all(cst.Import) for each in imported_names(node)]
    imported += [each for node in tree.all(cst.ImportFrom) for each in imported_names(node)]
    return name in imported or any(bindings_in(tree.module, name))


def _is_test(module: str) -> bool:
    return any(
        part in ("tests", "test", "conftest", "__main__") or part.startswith("test_") for part in module.split(".")
    )


def _imports_back(case: Case, path: str, own: set[str]) -> bool:
    """Whether a file imports the one that shall import it, when it is loaded."""
    tree = tree_at(case.source, path)
    if tree is None:
        return True
    for line in tree.module.body:
        for small in line.body if isinstance(line, cst.SimpleStatementLine) else ():
            if isinstance(small, cst.Import) and any(alias.evaluated_name in own for alias in small.names):
                return True
            if not isinstance(small, cst.ImportFrom) or isinstance(small.names, cst.ImportStar):
                continue
            start = absolute(small, package_at(case, tree))
            if start in own or any(f"{start}.{alias.evaluated_name}" in own for alias in small.names):
                return True
    return False


def _spelt(case: Case, site: Site, module: str) -> str:
    """The module as the file would import it: relative if that is how it imports its neighbours."""
    package, _dot, last = module.rpartition(".")
    relative = any(node.relative for node in site.tree.all(cst.ImportFrom))
    return f".{last}" if relative and package and package == package_at(case, site.tree) else module
