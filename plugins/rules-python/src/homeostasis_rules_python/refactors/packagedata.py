"""Refactors for `pkg_resources` and for entry points that are no dict."""

from __future__ import annotations

from typing import Iterator, List

import libcst as cst

from homeostasis.models import Effect
from homeostasis_rules_python.code.edit import Edits, expression
from homeostasis_rules_python.code.imports import NewImport, conflicts
from homeostasis_rules_python.code.tree import Tree, called_name, dotted_name
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.facts.packagedata import RESOURCES, asked, import_of
from homeostasis_rules_python.refactors.base import Change, register

_FILES = NewImport("importlib.resources", "files")
_IMPORTS = {
    "get_distribution": NewImport("importlib.metadata", "version"),
    "DistributionNotFound": NewImport("importlib.metadata", "PackageNotFoundError"),
    "iter_entry_points": NewImport("importlib.metadata", "entry_points"),
}


@register
class ImportlibForPkgResources:
    """Everything that is asked of `pkg_resources`."""

    refactor_id = "importlib-for-pkg-resources"
    needs = ("upgrade",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`importlib.resources` for data of packages, `importlib.metadata` for versions and entry points."""
        first = _moved(facts.site.tree)
        if first is None:
            return
        others = [_moved(tree) for tree in facts.case.trees(b"pkg_resources") if tree is not facts.site.tree]
        made = [first, *(each for each in others if each is not None)]
        evidence = "setuptools no longer brings `pkg_resources`, and `importlib` of the standard library does the same"
        yield Change.because(made, Effect.CORRECT, "Ask importlib instead of pkg_resources", evidence)


def _moved(tree: Tree) -> Edits | None:
    """The edits of a file; None if something that it asks has no successor or no free name."""
    found, edits = asked(tree), Edits(tree)
    lines = [tree.parent(node) for kind in (cst.Import, cst.ImportFrom) for node in tree.all(kind) if import_of(node)]
    wanted = list(dict.fromkeys(_IMPORTS.get(name, _FILES) for _node, name in found))
    if not found or any(conflicts(tree, each) for each in wanted):
        return None
    for line in lines:
        if not isinstance(line, cst.SimpleStatementLine) or len(line.body) != 1 or tree.enclosing(line, cst.Try):
            return None
        edits.replace(line, cst.RemoveFromParent())  # type: ignore[arg-type]
    for node, name in found:
        edits.replace(node, _successor(tree, node, name))
    edits.add_imports(wanted)
    return edits


def _successor(tree: Tree, node: cst.BaseExpression, name: str) -> cst.BaseExpression:
    if name == "DistributionNotFound":
        return cst.Name("PackageNotFoundError")
    call = node.value if isinstance(node, cst.Attribute) else node
    args = cst.ensure_type(call, cst.Call).args
    first = tree.code(args[0].value)
    if name == "get_distribution":
        return cst.Call(cst.Name("version"), [cst.Arg(args[0].value)])
    if name == "iter_entry_points":
        return expression(f"entry_points(group={first})")
    own = dotted_name(args[0].value) == "__name__" and not tree.path.endswith("__init__.py")
    place = f"files({'__package__' if own else first}).joinpath({tree.code(args[1].value)})"
    return expression(RESOURCES[name].format(place))


@register
class SelectEntryPoints:
    """Entry points of a group, asked for with `get`."""

    refactor_id = "select-entry-points"
    needs = ("entry_points",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`select(group=...)`, wherever the file asks so; entry points that there are none of are empty anyway."""
        tree, owner = facts.site.tree, facts.values["entry_points"]
        edits = Edits(tree)
        for call in _asking(tree, owner):
            group = cst.Arg(call.args[0].value, cst.Name("group"), equal=_TIGHT)
            func = cst.ensure_type(call.func, cst.Attribute)
            edits.replace(call, call.with_changes(func=func.with_changes(attr=cst.Name("select")), args=[group]))
        if facts.node in set(_asking(tree, owner)):
            evidence = "`EntryPoints` of Python 3.12 and importlib-metadata 5 has `select` for it"
            yield Change.because((edits,), Effect.CORRECT, "Select entry points by their group", evidence)


_TIGHT = cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))


def _asking(tree: Tree, owner: str) -> List[cst.Call]:
    """Calls `owner.get(group)` and `owner.get(group, nothing)`."""
    return [
        call
        for call in tree.all(cst.Call)
        if isinstance(call.func, cst.Attribute)
        and called_name(call) == "get"
        and tree.code(call.func.value) == owner
        and 1 <= len(call.args) <= 2
        and all(not arg.star and arg.keyword is None for arg in call.args)
        and (len(call.args) == 1 or tree.code(call.args[1].value) in ("[]", "()", "{}", "None", "tuple()", "list()"))
    ]
