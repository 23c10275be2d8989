"""Deadlocks of transactions that can be done again, and readers of sqlite that keep a writer waiting."""

from __future__ import annotations

import re

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.construct import constructions
from homeostasis_rules_python.code.known import app_class
from homeostasis_rules_python.code.scope import binding, imported_names
from homeostasis_rules_python.code.tree import Tree, called_name, dotted_name, literal_of
from homeostasis_rules_python.facts.base import Facts, extracts
from homeostasis_rules_python.facts.databases import about_database

_DEADLOCK = re.compile(r"deadlock detected|Deadlock found when trying to get lock|\(1213,")
_PURE = frozenset(("int", "str", "float", "len", "dict", "list", "tuple", "sorted", "sum", "min", "max", "Decimal"))
_LASTING = (cst.Yield, cst.Await, cst.Break, cst.Continue, cst.Global, cst.Nonlocal, cst.Del)


@extracts("OperationalError", rank=21)
def deadlock(case: Case, site: Site) -> Facts | None:
    """`transaction`: the `with ... .begin() as ...` of SQLAlchemy that lost a deadlock and does nothing else."""
    if not case.raised.module.startswith("sqlalchemy") or not _DEADLOCK.search(case.raised.message):
        return None
    for node in site.nodes(cst.Call, cst.Attribute, cst.With):
        found = transaction_around(site.tree, node)
        if found is None or not _repeatable(case, site.tree, found):
            continue
        facts = about_database(case, site, "deadlock", "{where} lost a deadlock between two transactions")
        if facts is not None:
            facts.node = node
            facts.values["transaction"] = site.tree.code(found.items[0].item)
        return facts
    return None


def transaction_around(tree: Tree, node: cst.CSTNode) -> cst.With | None:
    """`with engine.begin() as conn:` around a node or at it, within its function; None if it is not on its own."""
    around = node if isinstance(node, cst.With) else tree.enclosing(node, (cst.With, cst.FunctionDef))
    if not isinstance(around, cst.With) or around.asynchronous is not None or len(around.items) != 1:
        return None
    item = around.items[0]
    begins = isinstance(item.item, cst.Call) and called_name(item.item) == "begin" and not item.item.args
    named = item.asname is not None and isinstance(item.asname.name, cst.Name)
    alone = tree.enclosing(around, (cst.With, cst.Try, cst.FunctionDef))
    return around if begins and named and not isinstance(alone, (cst.With, cst.Try)) else None


def _repeatable(case: Case, tree: Tree, transaction: cst.With) -> bool:
    """Whether the block does nothing but work of the transaction, which the server undid."""
    name = transaction.items[0].asname
    own = {name.name.value} if name is not None and isinstance(name.name, cst.Name) else set()
    own |= {
        each.target.value for each in tree.all(cst.AssignTarget, transaction.body) if isinstance(each.target, cst.Name)
    }
    own |= {each.target.value for each in tree.all(cst.For, transaction.body) if isinstance(each.target, cst.Name)}
    if any(True for kind in _LASTING for _node in tree.all(kind, transaction.body)):
        return False
    if not all(_harmless(case, tree, call, own) for call in tree.all(cst.Call, transaction.body)):
        return False
    counted = {_root(each.target) for each in tree.all(cst.AugAssign, transaction.body)}
    given = {_root(each.target) for each in tree.all(cst.AssignTarget, transaction.body)}
    return (counted | given) <= own


def _harmless(case: Case, tree: Tree, call: cst.Call, own: set[str]) -> bool:
    name = _root(call.func)
    if name is None or name in own or (name in _PURE and isinstance(call.func, cst.Name)):
        return name is not None or isinstance(call.func, cst.Attribute)
    if any(
        name in imported_names(node)
        for node in tree.all(cst.ImportFrom)
        if (dotted_name(node.module) or "").split(".")[0] == "sqlalchemy"
    ):
        return True
    found = binding(tree, name, call)
    if found.kind == "module" and isinstance(found.value, cst.Call) and called_name(found.value) == "Table":
        return True
    model = app_class(case, name) if name[:1].isupper() else None
    return model is not None and "__tablename__" in model[0].code(model[1])


def _root(node: cst.CSTNode) -> str | None:
    """`conn` of `conn.execute(...).scalars().all`; None if it begins with something else than a name."""
    while not isinstance(node, cst.Name):
        if isinstance(node, cst.Call):
            node = node.func
        elif isinstance(node, (cst.Attribute, cst.Subscript)):
            node = node.value
        else:
            return None
    return node.value


@extracts("OperationalError", rank=16)
def readers_in_the_way(case: Case, site: Site) -> Facts | None:
    """`database` is `locked-journal`: connections wait for each other although they are told how long."""
    if "database is locked" not in case.raised.message or any(True for _tree in case.trees(b"journal_mode")):
        return None
    if any(True for _each in constructions(case, "create_engine")) or opening(case) is None:
        return None
    return about_database(
        case, site, "locked-journal", "{where} waited for readers of the database, which keep a writer out"
    )


def opening(case: Case) -> tuple[Tree, cst.SimpleStatementLine, str] | None:
    """The only place that opens a database file of sqlite, if it is an assignment, and the name of the connection."""
    found = [
        (tree, call) for tree, call in constructions(case, "connect") if dotted_name(call.func) == "sqlite3.connect"
    ]
    if len(found) != 1:
        return None
    tree, call = found[0]
    assign = tree.parent(call)
    line = tree.parent(assign) if isinstance(assign, cst.Assign) else None
    name = dotted_name(assign.targets[0].target) if isinstance(assign, cst.Assign) else None
    in_memory = bool(call.args) and literal_of(call.args[0].value)[1] in (":memory:", "")
    if name is None or in_memory or not isinstance(line, cst.SimpleStatementLine) or len(line.body) != 1:
        return None
    return tree, line, name
