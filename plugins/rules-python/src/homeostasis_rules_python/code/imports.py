"""Imports that a patch adds to a module."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator, List, Sequence

import libcst as cst

from homeostasis_rules_python.code.scope import imported_names, target_names
from homeostasis_rules_python.code.tree import Tree, dotted_name


@dataclass(frozen=True)
class NewImport:
    """`from module import name`, or `import module` if there is no name. Leading dots make it relative."""

    module: str
    name: str | None = None

    @property
    def top(self) -> str | None:
        """The top-level module; None for a relative import."""
        return None if self.module.startswith(".") else self.module.split(".")[0]

    @property
    def binds(self) -> str:
        """The name that the import gives to the module."""
        return self.name or self.module.split(".")[0]

    @classmethod
    def parse(cls, text: str) -> NewImport:
        """`json` or `flask:abort`."""
        module, _colon, name = text.partition(":")
        return cls(module, name or None)


def bound_module_name(tree: Tree, module: str) -> str | None:
    """The name under which a top-level module is imported as a whole (`import flask`), or None."""
    for statement in tree.module.body:
        for small in statement.body if isinstance(statement, cst.SimpleStatementLine) else ():
            if isinstance(small, cst.Import):
                for alias in small.names:
                    if alias.evaluated_name == module:
                        return alias.evaluated_alias or module
    return None


def missing(tree: Tree, wanted: Sequence[NewImport]) -> List[NewImport]:
    """Those imports that the module does not have at its top level yet."""
    return [item for item in dict.fromkeys(wanted) if not _has(tree, item)]


def conflicts(tree: Tree, wanted: NewImport) -> bool:
    """Whether the module uses the name for something else."""
    if _has(tree, wanted):
        return False
    for node in tree.nodes:
        if isinstance(node, (cst.Import, cst.ImportFrom)) and wanted.binds in imported_names(node):
            return True
        if isinstance(node, (cst.FunctionDef, cst.ClassDef)) and node.name.value == wanted.binds:
            return True
        if isinstance(node, cst.AssignTarget) and wanted.binds in target_names(node.target):
            return True
        if isinstance(node, cst.Param) and node.name.value == wanted.binds:
            return True
    return False


def _has(tree: Tree, wanted: NewImport) -> bool:
    return any(
        _same_module(small, wanted.module) and wanted.binds in imported_names(small)
        for statement in _certain(tree.module.body)
        for small in statement.body
        if isinstance(small, cst.ImportFrom if wanted.name else cst.Import)
    )


def _certain(body: Sequence[cst.BaseStatement]) -> Iterator[cst.SimpleStatementLine]:
    """Lines that were run once the module is there: of a `try` those whose failure raises another exception."""
    for statement in body:
        if isinstance(statement, cst.SimpleStatementLine):
            yield statement
        elif isinstance(statement, cst.Try) and all(_raises(handler.body.body) for handler in statement.handlers):
            yield from (line for line in statement.body.body if isinstance(line, cst.SimpleStatementLine))


def _raises(body: Sequence[cst.CSTNode]) -> bool:
    last = body[-1] if body else None
    return isinstance(last, cst.SimpleStatementLine) and isinstance(last.body[-1], cst.Raise)


def _same_module(node: cst.CSTNode, module: str) -> bool:
    if isinstance(node, cst.ImportFrom):
        return "." * len(node.relative) + (dotted_name(node.module) or "") == module
    return isinstance(node, cst.Import) and any(alias.evaluated_name == module for alias in node.names)


def with_imports(module: cst.Module, wanted: Sequence[NewImport]) -> cst.Module:
    """The module with the imports added: to an import of the same module, else after the last import at the top."""
    for item in wanted:
        module = _extended(module, item) or _inserted(module, item)
    return module


def _extended(module: cst.Module, wanted: NewImport) -> cst.Module | None:
    for position, statement in enumerate(module.body):
        if not isinstance(statement, cst.SimpleStatementLine) or len(statement.body) != 1:
            continue
        node = statement.body[0]
        if not isinstance(node, cst.ImportFrom) or wanted.name is None or isinstance(node.names, cst.ImportStar):
            continue
        if not _same_module(node, wanted.module):
            continue
        names = list(node.names)
        separator = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
        trailing = names[-1].comma
        if isinstance(trailing, cst.Comma) and len(names) > 1 and isinstance(names[-2].comma, cst.Comma):
            separator = names[-2].comma
        elif isinstance(trailing, cst.Comma) and node.lpar is not None:
            continue
        alias = cst.ImportAlias(cst.Name(wanted.name), comma=trailing)
        names[-1] = names[-1].with_changes(comma=separator)
        changed = statement.with_changes(body=[node.with_changes(names=[*names, alias])])
        return module.with_changes(body=[*module.body[:position], changed, *module.body[position + 1 :]])
    return None


def _inserted(module: cst.Module, wanted: NewImport) -> cst.Module:
    text = f"from {wanted.module} import {wanted.name}" if wanted.name else f"import {wanted.module}"
    statement = cst.parse_statement(text)
    body = list(module.body)
    position = 0
    for index, existing in enumerate(body):
        if _is_docstring(existing, index) or _is_import(existing):
            position = index + 1
        elif position:
            break
    return module.with_changes(body=[*body[:position], statement, *body[position:]])


def _is_docstring(node: cst.CSTNode, index: int) -> bool:
    return (
        index == 0
        and isinstance(node, cst.SimpleStatementLine)
        and isinstance(node.body[0], cst.Expr)
        and isinstance(node.body[0].value, (cst.SimpleString, cst.ConcatenatedString))
    )


def _is_import(node: cst.CSTNode) -> bool:
    return isinstance(node, cst.SimpleStatementLine) and isinstance(node.body[0], (cst.Import, cst.ImportFrom))
