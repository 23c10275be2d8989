"""Sessions and transactions: failed and never rolled back, opened and never closed, and objects read after them."""

from __future__ import annotations

import re
from typing import List, Tuple

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.construct import constructions, has_keyword, the_construction
from homeostasis_rules_python.code.tree import Tree, called_name, dotted_name
from homeostasis_rules_python.facts.base import Facts, extracts
from homeostasis_rules_python.facts.databases import about_database


@extracts("PendingRollbackError", "InFailedSqlTransaction", "InternalError", "InvalidRequestError", rank=20)
def failed_transaction(case: Case, site: Site) -> Facts | None:
    """Facts about a transaction that failed before and was never rolled back: `commits` says how many places commit."""
    message = case.raised.message
    if "rolled back due to a previous exception" not in message and "current transaction is aborted" not in message:
        return None
    if "Can't reconnect until invalid" in message:
        return None
    owner = owner_of(site)
    if owner is None or not unguarded_commits(case, owner):
        return None
    facts = about_database(
        case, site, "rollback", "{where} uses a transaction that failed before and was never rolled back"
    )
    if facts is not None:
        facts.values["session"] = owner
    return facts


def owner_of(site: Site) -> str | None:
    """The session or connection on which the failing call was made."""
    for node in site.nodes(cst.Call):
        if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute):
            named = _innermost(node.func.value)
            if named is not None:
                parts = named.split(".")
                methods = ("query", "execute", "scalars", "scalar", "get", "add")
                return ".".join(parts[:-1] if parts[-1] in methods and len(parts) > 1 else parts)
    return None


def _innermost(node: cst.BaseExpression) -> str | None:
    """`session.query` of `session.query(Order).filter(...)`."""
    while dotted_name(node) is None:
        if isinstance(node, cst.Call):
            node = node.func
        elif isinstance(node, cst.Attribute):
            node = node.value
        else:
            return None
    return dotted_name(node)


def unguarded_commits(case: Case, owner: str) -> List[Tuple[Tree, cst.SimpleStatementLine]]:
    """Statements `owner.commit()` that no `try` with a rollback is around."""
    found = []
    for tree in case.trees(b".commit("):
        for call in tree.all(cst.Call):
            if dotted_name(call.func) != f"{owner}.commit":
                continue
            statement = tree.statement(call)
            plain = isinstance(statement, cst.SimpleStatementLine) and len(statement.body) == 1
            if isinstance(statement, cst.SimpleStatementLine) and plain and not _rolled_back(tree, call):
                found.append((tree, statement))
    return found


def _rolled_back(tree: Tree, node: cst.CSTNode) -> bool:
    around = [each for each in tree.ancestors(node) if isinstance(each, cst.Try)]
    return any(called_name(call) == "rollback" for each in around for call in tree.all(cst.Call, each))


@extracts("TimeoutError", "PoolTimeout", rank=20)
def exhausted_pool(case: Case, site: Site) -> Facts | None:
    """Facts about connections that nobody gives back to the pool."""
    message = case.raised.message
    if "QueuePool limit of size" not in message and "couldn't get a connection after" not in message:
        return None
    if not list(leaks(case)):
        return None
    return about_database(
        case, site, "exhausted", "{where} waited for a connection, but sessions are opened and never closed"
    )


Leak = Tuple[Tree, cst.IndentedBlock, int, cst.Assign]


def leaks(case: Case) -> List[Leak]:
    """Assignments of sessions and connections in functions that neither close them nor hand them on."""
    makers = {"Session", "SessionLocal"}
    for tree, made in constructions(case, "sessionmaker"):
        parent = tree.parent(made)
        if isinstance(parent, cst.Assign):
            makers.add(dotted_name(parent.targets[0].target) or "")
    found: List[Leak] = []
    for tree in case.trees(b"("):
        for assign in tree.all(cst.Assign):
            call, line = assign.value, tree.parent(assign)
            block = tree.parent(line) if line is not None else None
            target = dotted_name(assign.targets[0].target)
            if not isinstance(call, cst.Call) or not isinstance(block, cst.IndentedBlock) or not target:
                continue
            opened = dotted_name(call.func) in makers or (dotted_name(call.func) or "").endswith("engine.connect")
            function = tree.function(assign)
            if opened and function is not None and "." not in target and not _given_on(tree, function, target):
                found.append((tree, block, list(block.body).index(line), assign))  # type: ignore[arg-type]
    return [item for item in found if item[2] + 1 < len(item[1].body)]


def _given_on(tree: Tree, function: cst.FunctionDef, name: str) -> bool:
    for call in tree.all(cst.Call, function.body):
        if dotted_name(call.func) in (f"{name}.close", f"{name}.remove"):
            return True
    returned = [item.value for item in tree.all(cst.Return, function.body)]
    yielded = [item.value for item in tree.all(cst.Yield, function.body)]
    return any(dotted_name(value) == name for value in (*returned, *yielded))


@extracts("DetachedInstanceError", "MissingGreenlet", rank=20)
def detached(case: Case, site: Site) -> Facts | None:
    """Facts about an object read after its session: `database` is `expired`, or `lazy` with the `attribute`."""
    message = case.raised.message
    lazy = re.search(r"lazy load operation of attribute '(\w{1,100})' cannot proceed", message)
    if lazy is not None:
        if relationship(case, lazy.group(1)) is None:
            return None
        facts = about_database(case, site, "lazy", "{where} loads a relationship after the session was closed")
        if facts is not None:
            facts.values["attribute"] = lazy.group(1)
        return facts
    if (
        "attribute refresh operation cannot proceed" not in message
        and "greenlet_spawn has not been called" not in message
    ):
        return None
    maker = session_maker(case)
    if maker is None or has_keyword(maker[1], "expire_on_commit"):
        return None
    return about_database(case, site, "expired", "{where} reads an object that its session's commit has expired")


def session_maker(case: Case) -> Tuple[Tree, cst.Call] | None:
    """Where the app says how its sessions behave."""
    return the_construction(case, "sessionmaker", "async_sessionmaker") or the_construction(case, "Session")


def relationship(case: Case, attribute: str) -> Tuple[Tree, cst.Call] | None:
    """The only relationship of that name that says nothing of how it is loaded."""
    found = []
    for tree, call in constructions(case, "relationship"):
        parent = tree.parent(call)
        target = parent.targets[0].target if isinstance(parent, cst.Assign) else getattr(parent, "target", None)
        if dotted_name(target) == attribute and not has_keyword(call, "lazy"):
            found.append((tree, call))
    return found[0] if len(found) == 1 else None
