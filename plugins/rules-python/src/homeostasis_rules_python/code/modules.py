"""The modules of the app by their dotted names, what they define, and imports that name them."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Dict, FrozenSet, Iterator, List, Sequence, Tuple

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site, app_files
from homeostasis_rules_python.code.scope import imported_names, target_names
from homeostasis_rules_python.code.tree import Tree, dotted_name, kept_with_tree


def modules(case: Case) -> Dict[str, str]:
    """Dotted name to path of the app's files, as seen from the directory from which the crashing frame was imported."""
    root = "".join(f"{part}/" for part in import_root(case.crash))
    found: Dict[str, str] = {}
    for path in app_files(case.source):
        if not path.startswith(root):
            continue
        package, _slash, last = path[len(root) : -len(".py")].rpartition("/")
        name = package if last == "__init__" else f"{package}/{last}" if package else last
        if name:
            found[name.replace("/", ".")] = path
    return found


def import_root(site: Site | None) -> Tuple[str, ...]:
    """Directories above the top-level package of a frame: `("src",)` for `shop.api` in `src/shop/api.py`."""
    if site is None or not site.frame.module or site.frame.module == "__main__":
        return ()
    parts = PurePosixPath(site.path).with_suffix("").parts
    parts = parts[:-1] if parts[-1:] == ("__init__",) else parts
    module = tuple(site.frame.module.split("."))
    return parts[: -len(module)] if parts[-len(module) :] == module else ()


def package_of(name: str, path: str) -> str:
    """The package in which relative imports of a module start."""
    return name if path.endswith("__init__.py") else name.rpartition(".")[0]


def package_at(case: Case, tree: Tree) -> str:
    """The package in which a file's relative imports start."""
    root = "".join(f"{part}/" for part in import_root(case.crash))
    inside = tree.path[len(root) :] if tree.path.startswith(root) else tree.path
    name = re.sub(r"(/__init__)?\.py\Z", "", inside).replace("/", ".")
    return package_of(name, tree.path)


def absolute(statement: cst.ImportFrom, package: str) -> str | None:
    """The dotted name of what `from ... import` imports from; None if it leaves the top-level package."""
    named = dotted_name(statement.module) if statement.module is not None else None
    if not statement.relative:
        return named
    parts = package.split(".") if package else []
    up = len(statement.relative) - 1
    if up >= len(parts):
        return None
    return ".".join([*parts[: len(parts) - up], *([named] if named else [])])


@kept_with_tree
def defined_names(tree: Tree) -> FrozenSet[str]:
    """Names that a module defines at its top level by itself; what it imports does not count."""
    return frozenset(_defined(tree.module.body))


@kept_with_tree
def available_names(tree: Tree) -> FrozenSet[str]:
    """Names that can be imported from a module: those that it defines and those that it imports."""
    imported = [
        name
        for statement in tree.all(cst.SimpleStatementLine)
        for small in statement.body
        if isinstance(small, (cst.Import, cst.ImportFrom))
        for name in imported_names(small)
    ]
    return defined_names(tree) | frozenset(imported)


def _defined(body: Sequence[cst.CSTNode]) -> Iterator[str]:
    for node in body:
        if isinstance(node, (cst.FunctionDef, cst.ClassDef)):
            yield node.name.value
        elif isinstance(node, cst.SimpleStatementLine):
            for small in node.body:
                if isinstance(small, cst.Assign):
                    for target in small.targets:
                        yield from target_names(target.target)
                elif isinstance(small, cst.AnnAssign):
                    yield from target_names(small.target)
        elif isinstance(node, (cst.If, cst.Try, cst.Else, cst.Finally)):
            inner: List[cst.CSTNode] = list(node.body.body)
            yield from _defined(inner)


def defining(case: Case, names: Sequence[str], known: Dict[str, str]) -> List[str]:
    """Dotted names of the modules that define all of the names themselves."""
    if not names:
        return []
    name_at = {path: name for name, path in known.items()}
    return [
        name_at[tree.path]
        for tree in case.trees(names[0].encode("utf-8"))
        if tree.path in name_at and set(names) <= defined_names(tree)
    ]


def dotted(name: str) -> cst.Name | cst.Attribute:
    """The node of a dotted name."""
    first, *rest = name.split(".")
    node: cst.Name | cst.Attribute = cst.Name(first)
    for part in rest:
        node = cst.Attribute(node, cst.Name(part))
    return node
