"""What files ask of `pkg_resources`, which setuptools no longer brings, and of the entry points that are installed."""

from __future__ import annotations

import re
from typing import Dict, List, Tuple

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.installed import since
from homeostasis_rules_python.code.scope import imported_names
from homeostasis_rules_python.code.tree import Tree, called_name, dotted_name
from homeostasis_rules_python.facts.base import Facts, extracts

MODULE = "pkg_resources"
RESOURCES: Dict[str, str] = {
    "resource_string": "{}.read_bytes()",
    "resource_stream": '{}.open("rb")',
    "resource_filename": "str({})",
    "resource_exists": "({0}.is_file() or {0}.is_dir())",
    "resource_isdir": "{}.is_dir()",
    "resource_listdir": "[each.name for each in {}.iterdir()]",
}
"""Functions of a package and a path, to what does the same with the path that `importlib.resources.files` gives."""
_ENTRY_POINTS = re.compile(r"^'EntryPoints' object has no attribute 'get'")


@extracts("ModuleNotFoundError", rank=36)
def package_data(case: Case, site: Site) -> Facts | None:
    """`upgrade` is `package-data`: all that the file asks of `pkg_resources` has a successor in `importlib`."""
    if case.raised.message != f"No module named '{MODULE}'" or not since(case, 3, 9, unknown=True):
        return None
    used = {name for _node, name in asked(site.tree)}
    for node in site.nodes(cst.Import, cst.ImportFrom):
        # A file that asks for versions only is the matter of `pkg_resources` in `libraryupgrades`.
        if import_of(node) and used - {"get_distribution"} and _is_plain(site.tree, node):
            facts = Facts.about(case, site, node)
            facts.values["upgrade"] = "package-data"
            facts.sentence = f"{site.path} imports pkg_resources, which setuptools no longer brings"
            return facts
    return None


def import_of(node: cst.CSTNode) -> bool:
    """Whether a node is `import pkg_resources` and nothing else, or `from pkg_resources import ...`."""
    if isinstance(node, cst.ImportFrom):
        return not node.relative and dotted_name(node.module) == MODULE and not isinstance(node.names, cst.ImportStar)
    return (
        isinstance(node, cst.Import)
        and [each.evaluated_name for each in node.names] == [MODULE]
        and (node.names[0].asname is None)
    )


def _is_plain(tree: Tree, node: cst.CSTNode) -> bool:
    """Whether an import stands alone on its line, and in no `try`: one that does knows that it may fail."""
    line = tree.parent(node)
    alone = isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1
    return alone and tree.enclosing(node, cst.Try) is None


def asked(tree: Tree) -> List[Tuple[cst.BaseExpression, str]]:
    """Each use of the module and the name that is used; nothing if one of them has no successor.

    A function is its call, `get_distribution(name)` with a `.version` behind it, an exception its name.
    """
    imported: set[str] = set()
    for node in tree.all(cst.ImportFrom):
        if import_of(node):
            imported |= set(imported_names(node))
    found: List[Tuple[cst.BaseExpression, str]] = []
    for use in _uses(tree, imported):
        name = use.attr.value if isinstance(use, cst.Attribute) else use.value
        outer = tree.parent(use)
        call = outer if isinstance(outer, cst.Call) and outer.func is use else None
        if name in RESOURCES and call is not None and _is_located(tree, call):
            found.append((call, name))
        elif name == "get_distribution" and call is not None and len(call.args) == 1:
            found.append((_versioned(tree, call), name))
        elif name == "iter_entry_points" and call is not None and len(call.args) == 1 and _is_group(call.args[0]):
            found.append((call, name))
        elif name == "DistributionNotFound" and call is None:
            found.append((use, name))
        else:
            return []
    return found if all(kept is not None for kept, _name in found) else []


def _uses(tree: Tree, imported: set[str]) -> List[cst.Name | cst.Attribute]:
    found: List[cst.Name | cst.Attribute] = []
    for use in tree.all(cst.Name):
        outer = tree.parent(use)
        if isinstance(outer, cst.ImportAlias) or tree.enclosing(use, (cst.Import, cst.ImportFrom)) is not None:
            continue
        if use.value == MODULE:
            found.append(outer if isinstance(outer, cst.Attribute) and outer.value is use else use)
        elif use.value in imported and not (isinstance(outer, cst.Attribute) and outer.attr is use):
            found.append(use)
    return found


def _is_located(tree: Tree, call: cst.Call) -> bool:
    """Whether a call names a package, or the module of a package, and a path."""
    if len(call.args) != 2 or any(arg.star or arg.keyword is not None for arg in call.args):
        return False
    return dotted_name(call.args[0].value) != "__name__" or "/" in tree.path


def _is_group(arg: cst.Arg) -> bool:
    return not arg.star and (arg.keyword is None or arg.keyword.value == "group")


def _versioned(tree: Tree, call: cst.Call) -> cst.BaseExpression:
    """`get_distribution(name).version`; the call itself where it only asks whether there is such a distribution."""
    outer = tree.parent(call)
    return outer if isinstance(outer, cst.Attribute) and outer.attr.value == "version" else call


@extracts("AttributeError", rank=37)
def entry_points(case: Case, site: Site) -> Facts | None:
    """`entry_points` is what is asked for a group with `get`, as when entry points were a dict of lists."""
    if not _ENTRY_POINTS.match(case.raised.message):
        return None
    for node in site.nodes(cst.Call, cst.Attribute):
        call = node if isinstance(node, cst.Call) else site.tree.parent(node)
        if isinstance(call, cst.Call) and called_name(call) == "get" and isinstance(call.func, cst.Attribute):
            facts = Facts.about(case, site, call)
            facts.say("entry_points", call.func.value)
            facts.values["upgrade"] = "entry-points"
            facts.sentence = f"{facts.where} takes entry points for a dict, which they are no longer"
            return facts
    return None
