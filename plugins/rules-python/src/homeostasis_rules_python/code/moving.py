"""Moving the uses of removed names to what takes their place."""

from __future__ import annotations

from typing import Dict, List

import libcst as cst

from homeostasis_rules_python.code.edit import Edits
from homeostasis_rules_python.code.imports import NewImport, conflicts
from homeostasis_rules_python.code.modules import dotted
from homeostasis_rules_python.code.removed import NAMES, Successor
from homeostasis_rules_python.code.tree import Tree, dotted_name


def rename_module(edits: Edits, old: str, new: str) -> bool:
    """Import another module with the same names in the place of one; whether the file imports it."""
    done = False
    for statement in edits.tree.all(cst.ImportFrom):
        if not statement.relative and dotted_name(statement.module) == old and statement.module is not None:
            edits.replace(statement.module, dotted(new))
            done = True
    for plain in edits.tree.all(cst.Import):
        for alias in plain.names:
            if alias.evaluated_name != old:
                continue
            edits.replace(alias.name, dotted(new))
            done = True
            if alias.asname is None:
                for use in uses_of(edits.tree, old):
                    edits.replace(use, dotted(new))
    return done


def uses_of(tree: Tree, name: str) -> List[cst.BaseExpression]:
    """Expressions that are the dotted name, outside of imports."""
    kind = cst.Attribute if "." in name else cst.Name
    found: List[cst.BaseExpression] = []
    for node in tree.all(kind):
        parent = tree.parent(node)
        member = isinstance(parent, cst.Attribute) and parent.attr is node
        keyword = isinstance(parent, cst.Arg) and parent.keyword is node
        bound = isinstance(parent, (cst.ImportAlias, cst.ImportFrom, cst.Param, cst.FunctionDef, cst.ClassDef))
        if dotted_name(node) == name and not (member or keyword or bound):
            found.append(node)
    return found


def move_names(edits: Edits, module: str, *, whole: bool) -> bool:
    """Import the successors of a module's removed names and use them wherever the names were used.

    Args:
        edits: of the file.
        module: the module.
        whole: nothing of the module is left, so that its import has to go.

    Returns:
        Whether everything could be moved; the edits are of no use otherwise.
    """
    return _Move(edits, module, whole=whole).run()


class _Move:
    """Names of one module move to their successors; `whole` if nothing of the module is left."""

    def __init__(self, edits: Edits, module: str, *, whole: bool) -> None:
        self.edits, self.tree, self.module, self.whole = edits, edits.tree, module, whole
        self.successors: Dict[str, Successor] = {old: new for (owner, old), new in NAMES.items() if owner == module}
        self.possible = True
        self.done = False

    def run(self) -> bool:
        """Whether all uses could be moved."""
        for statement in list(self.tree.all(cst.ImportFrom)):
            if not statement.relative and dotted_name(statement.module) == self.module:
                self._from(statement)
        for plain in list(self.tree.all(cst.Import)):
            for alias in plain.names:
                if alias.evaluated_name == self.module:
                    self._plain(plain, alias)
        return self.possible and self.done

    def _from(self, statement: cst.ImportFrom) -> None:
        if isinstance(statement.names, cst.ImportStar):
            self.possible = False
            return
        moved = [alias for alias in statement.names if alias.evaluated_name in self.successors]
        kept = [alias for alias in statement.names if alias not in moved]
        self.possible = self.possible and bool(moved or not self.whole) and not (kept and self.whole)
        if not moved:
            return
        self.done = True
        line = self.tree.parent(statement)
        new = [self._import(alias, self.successors[alias.evaluated_name]) for alias in moved]
        wanted = [text for text in dict.fromkeys(new) if text]
        if not isinstance(line, cst.SimpleStatementLine) or len(line.body) != 1 or not self.possible:
            self.possible = False
            return
        lines = [cst.ensure_type(cst.parse_statement(text), cst.SimpleStatementLine) for text in _merged(wanted)]
        if kept:
            kept[-1] = kept[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
            lines.insert(0, line.with_changes(body=[statement.with_changes(names=kept)], leading_lines=[]))
        if not lines:
            self.edits.replace(line, cst.RemoveFromParent())  # type: ignore[arg-type]
            return
        lines[0] = lines[0].with_changes(leading_lines=line.leading_lines)
        self.edits.replace(line, cst.FlattenSentinel(lines))  # type: ignore[arg-type]

    def _import(self, alias: cst.ImportAlias, new: Successor) -> str:
        """The import of the successor; its uses are renamed where they must be."""
        bound, first = alias.evaluated_alias or alias.evaluated_name, new.name.split(".")[0]
        if not new.name:
            return f"import {new.module}" + (f" as {bound}" if bound != new.module else "")
        if alias.asname is not None and first == new.name:
            return f"from {new.module} import {first} as {bound}" if new.module else ""
        for use in uses_of(self.tree, bound) if bound != new.name else ():
            self.edits.replace(use, dotted(new.name))
        if bound != first and conflicts(self.tree, NewImport(new.module, first)):
            self.possible = False
        return f"from {new.module} import {first}" if new.module else ""

    def _plain(self, statement: cst.Import, alias: cst.ImportAlias) -> None:
        bound = alias.evaluated_alias or self.module
        used = [node for node in self.tree.all(cst.Attribute) if dotted_name(node.value) == bound]
        moved = [node for node in used if node.attr.value in self.successors]
        alone = len(statement.names) == 1
        if self.whole and (len(moved) != len(used) or not alone or not moved):
            self.possible = False
            return
        targets: List[str] = []
        for node in moved:
            new = self.successors[node.attr.value]
            whole = ".".join(part for part in (new.module, new.name) if part)
            same = new.module == self.module
            self.edits.replace(node, dotted(f"{bound}.{new.name}" if same else whole))
            self.done = True
            if new.module and not same and new.module not in targets:
                targets.append(new.module)
        if self.whole:
            line = self.tree.parent(statement)
            if not isinstance(line, cst.SimpleStatementLine) or not targets:
                self.possible = False
                return
            lines = [
                cst.ensure_type(cst.parse_statement(f"import {each}"), cst.SimpleStatementLine) for each in targets
            ]
            lines[0] = lines[0].with_changes(leading_lines=line.leading_lines)
            self.edits.replace(line, cst.FlattenSentinel(lines))  # type: ignore[arg-type]
            return
        wanted = [NewImport(each) for each in targets]
        self.possible = self.possible and not any(conflicts(self.tree, each) for each in wanted if each.top != bound)
        self.edits.add_imports(wanted)


def _merged(texts: List[str]) -> List[str]:
    """`from a import b` and `from a import c` as one line."""
    grouped: Dict[str, List[str]] = {}
    for text in texts:
        head, _import, name = text.partition(" import ")
        grouped.setdefault(head if name else text, []).extend([name] if name else [])
    return [f"{head} import {', '.join(names)}" if names else head for head, names in grouped.items()]
