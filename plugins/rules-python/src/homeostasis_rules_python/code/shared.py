"""Connections that a module opens once and that all functions and threads share."""

from __future__ import annotations

from typing import List, Tuple

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.scope import binding, bindings_in, imported_names
from homeostasis_rules_python.code.tree import Tree, called_name, dotted_name, literal_of

_WRITES = ("INSERT", "UPDATE", "DELETE", "REPLACE", "CREATE", "DROP", "ALTER")
_DRIVERS = ("sqlite3", "psycopg", "psycopg2", "pymysql", "MySQLdb")


def shared_connection(case: Case, site: Site) -> str | None:
    """Name of the module's connection that the failing function uses, if each call can open its own instead."""
    function = site.function
    if function is None:
        return None
    for line in site.tree.module.body:
        name = connection_name(line)
        if name is None:
            continue
        users = using(site.tree, name)
        if (
            function in users
            and all(_can_own(site.tree, each, name) for each in users)
            and not _exported(case, site, name)
        ):
            return name
    return None


def connection_name(line: cst.CSTNode) -> str | None:
    """`conn` of `conn = sqlite3.connect(path)`; None for other statements and for databases in memory."""
    small = line.body[0] if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1 else None
    if not isinstance(small, cst.Assign) or not isinstance(small.value, cst.Call):
        return None
    owner, _dot, called = (dotted_name(small.value.func) or "").rpartition(".")
    first = literal_of(small.value.args[0].value)[1] if small.value.args else None
    if owner not in _DRIVERS or called != "connect" or first in (":memory:", ""):
        return None
    return dotted_name(small.targets[0].target)


def carried(tree: Tree, name: str) -> List[cst.SimpleStatementLine]:
    """The module's statements that set the connection up: `conn.row_factory = ...`, `cursor = conn.cursor()`."""
    found: List[cst.SimpleStatementLine] = []
    for line in tree.module.body:
        small = line.body[0] if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1 else None
        if not isinstance(small, cst.Assign) or not isinstance(line, cst.SimpleStatementLine):
            continue
        target = dotted_name(small.targets[0].target) or ""
        made = isinstance(small.value, cst.Call) and dotted_name(small.value.func) == f"{name}.cursor"
        if target.startswith(f"{name}.") or made:
            found.append(line)
    return found


def cursor_names(tree: Tree, name: str) -> List[str]:
    """Names of the module's cursors of a connection."""
    targets = [line.body[0] for line in carried(tree, name)]
    named = [dotted_name(each.targets[0].target) or "" for each in targets if isinstance(each, cst.Assign)]
    return [each for each in named if "." not in each]


def using(tree: Tree, name: str) -> List[cst.FunctionDef]:
    """Outermost functions and methods that use a connection of the module or one of its cursors."""
    wanted = {name, *cursor_names(tree, name)}
    return [
        function
        for function in tree.all(cst.FunctionDef)
        if tree.function(function) is None and wanted & used_names(tree, function)
    ]


def used_names(tree: Tree, function: cst.FunctionDef) -> set[str]:
    """Names that a function reads."""
    return {node.value for node in tree.all(cst.Name, function.body)}


def _can_own(tree: Tree, function: cst.FunctionDef, name: str) -> bool:
    """Whether a function shares nothing with others but the connection: it commits what it writes."""
    if not isinstance(function.body, cst.IndentedBlock) or any(bindings_in(function.body, name)):
        return False
    if any(name in (item.name.value for item in node.names) for node in tree.all(cst.Global, function.body)):
        return False
    calls = {called_name(call) for call in tree.all(cst.Call, function.body)}
    texts = [str(literal_of(node)[1]).lstrip().upper() for node in tree.all(cst.SimpleString, function.body)]
    writes = any(text.startswith(_WRITES) for text in texts)
    within = any(dotted_name(item.item) == name for item in tree.all(cst.WithItem, function.body))
    handed = [item.value for item in tree.all(cst.Return, function.body)]
    if any(dotted_name(value) == name for value in handed if value is not None):
        return False
    return not writes or "commit" in calls or within or _commits_itself(tree, name)


def _commits_itself(tree: Tree, name: str) -> bool:
    value = binding(tree, name, tree.module.body[-1]).value
    keywords = [arg for arg in value.args if arg.keyword is not None] if isinstance(value, cst.Call) else []
    given: List[Tuple[str, object]] = [(arg.keyword.value, literal_of(arg.value)[1]) for arg in keywords if arg.keyword]
    return ("autocommit", True) in given or ("isolation_level", None) in given


def _exported(case: Case, site: Site, name: str) -> bool:
    for tree in case.trees(name.encode()):
        if tree.path == site.path:
            continue
        for statement in tree.all(cst.ImportFrom):
            if name in imported_names(statement):
                return True
    return False
