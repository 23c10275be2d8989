"""Refactors that follow a moved module or name through the imports of all files of the app."""

from __future__ import annotations

from typing import Iterator, List, Sequence, Tuple

import libcst as cst

from homeostasis.models import Effect, Risk
from homeostasis_rules_python.code.edit import Edits
from homeostasis_rules_python.code.modules import absolute, dotted, package_at
from homeostasis_rules_python.code.tree import Tree, dotted_name
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.facts.moved import plain_names
from homeostasis_rules_python.refactors.base import Change, register
from homeostasis_rules_python.refactors.upgrades import elsewhere, move_others


@register
class FollowMovedModule:
    """A module that has another place now."""

    refactor_id = "follow-moved-module"
    needs = ("moved_from", "moved_to")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """Every import of the old place, and every dotted use of it, names the new one."""
        old, new = facts.values["moved_from"], facts.values["moved_to"]
        made = []
        for tree in facts.case.trees(old.split(".")[-1].encode("utf-8")):
            edits = Edits(tree)
            if _follow(edits, tree, package_at(facts.case, tree), old, new):
                made.append(edits)
        if made:
            summary = f"Import `{new}` instead of `{old}`"
            yield Change(tuple(made), Effect.CORRECT, summary, _rationale(facts, made), 1.0, Risk.LOW)


@register
class FollowMovedName:
    """A function, class or constant that stands in another module now."""

    refactor_id = "follow-moved-name"
    needs = ("moved_from", "moved_to", "moved_name")

    def changes(self, facts: Facts) -> Iterator[Change]:
        """Every import of the name from the old module takes it from the new one; other names stay where they were."""
        old, new, name = facts.values["moved_from"], facts.values["moved_to"], facts.values["moved_name"]
        made = []
        for tree in facts.case.trees(name.encode("utf-8")):
            edits = Edits(tree)
            package = package_at(facts.case, tree)
            done = [
                _move_name(edits, tree, node, package, new, name) for node in _imports_from(tree, package, old, name)
            ]
            if any(done):
                made.append(edits)
        if made:
            summary = f"Import `{name}` from `{new}`"
            for edits in made:
                move_others(facts, edits, besides=old)
            made += elsewhere(facts, made)
            yield Change(tuple(made), Effect.CORRECT, summary, _rationale(facts, made), 1.0, Risk.LOW)


def _rationale(facts: Facts, made: Sequence[Edits]) -> str:
    others = len(made) - 1
    more = f" {others} other file{'s' if others > 1 else ''} did the same and would have failed next." if others else ""
    return f"{facts.sentence}.{more}"


def _follow(edits: Edits, tree: Tree, package: str, old: str, new: str) -> bool:
    changed = False
    for node in tree.all(cst.ImportFrom):
        if absolute(node, package) == old:
            edits.replace(node, _from(node, package, new))
            changed = True
    for plain in tree.all(cst.Import):
        if [alias.evaluated_name for alias in plain.names] == [old]:
            changed = _plain(edits, tree, plain, old, new) or changed
    return changed


def _plain(edits: Edits, tree: Tree, node: cst.Import, old: str, new: str) -> bool:
    alias = node.names[0]
    if alias.asname is not None or "." not in new:
        edits.replace(node, node.with_changes(names=[alias.with_changes(name=dotted(new))]))
    elif "." not in old and new.split(".")[-1] == old:
        package, _dot, name = new.rpartition(".")
        edits.replace(node, cst.ImportFrom(module=dotted(package), names=[cst.ImportAlias(cst.Name(name))]))
        return True
    else:
        edits.replace(node, node.with_changes(names=[alias.with_changes(name=dotted(new))]))
    if alias.asname is None:
        for use in tree.all(cst.Attribute if "." in old else cst.Name):
            if dotted_name(use) == old and not _is_part(tree, use):
                edits.replace(use, dotted(new))
    return True


def _is_part(tree: Tree, use: cst.CSTNode) -> bool:
    """Whether a name stands in an import or as an attribute of something else."""
    parent = tree.parent(use)
    if isinstance(parent, cst.Attribute) and parent.attr is use:
        return True
    return tree.enclosing(use, (cst.Import, cst.ImportFrom)) is not None


def _from(node: cst.ImportFrom, package: str, new: str) -> cst.ImportFrom:
    """The same import from another module; a relative one stays relative where both are in one package."""
    own, parts = package.split(".") if package else [], new.split(".")
    shared = 0
    while shared < min(len(own), len(parts) - 1) and own[shared] == parts[shared]:
        shared += 1
    if not node.relative or not shared:
        return node.with_changes(relative=(), module=dotted(new), whitespace_after_from=cst.SimpleWhitespace(" "))
    dots = [cst.Dot()] * (len(own) - shared + 1)
    return node.with_changes(relative=dots, module=dotted(".".join(parts[shared:])))


def _imports_from(tree: Tree, package: str, old: str, name: str) -> List[cst.ImportFrom]:
    return [node for node in tree.all(cst.ImportFrom) if absolute(node, package) == old and name in plain_names(node)]


def _move_name(edits: Edits, tree: Tree, node: cst.ImportFrom, package: str, new: str, name: str) -> bool:
    if isinstance(node.names, cst.ImportStar):
        return False
    kept, taken = _split(node.names, name)
    if not kept:
        edits.replace(node, _from(node, package, new))
        return True
    line = tree.parent(node)
    if not isinstance(line, cst.SimpleStatementLine) or len(line.body) != 1:
        return False
    fresh = _from(node.with_changes(names=[taken], lpar=None, rpar=None), package, new)
    rest = line.with_changes(body=[node.with_changes(names=kept)])
    edits.replace(line, cst.FlattenSentinel([rest, cst.SimpleStatementLine([fresh])]))  # type: ignore[arg-type]
    return True


def _split(names: Sequence[cst.ImportAlias], name: str) -> Tuple[List[cst.ImportAlias], cst.ImportAlias]:
    kept = [alias for alias in names if alias.evaluated_name != name]
    taken = next(alias for alias in names if alias.evaluated_name == name)
    if kept and taken is names[-1]:
        kept[-1] = kept[-1].with_changes(comma=taken.comma)
    return kept, taken.with_changes(comma=cst.MaybeSentinel.DEFAULT)
