"""Databases: connections that went stale, transactions that were left failed, rows and parameters of a wrong shape."""

from __future__ import annotations

import re
from typing import Tuple

import libcst as cst

from homeostasis_rules_python.code.case import Case, Site
from homeostasis_rules_python.code.construct import constructions, has_keyword, the_construction
from homeostasis_rules_python.code.shared import shared_connection
from homeostasis_rules_python.code.tree import Tree, argument, called_name, dotted_name, literal_of
from homeostasis_rules_python.facts.base import Facts, extracts

STALE = re.compile(
    r"server closed the connection unexpectedly|SSL (?:connection has been closed|SYSCALL error)"
    r"|terminating connection due to|MySQL server has gone away|Lost connection to (?:MySQL )?server"
    r"|[Cc]onnection was killed|the connection is closed|connection already closed|\(0, ''\)|consuming input failed"
    r"|\((?:2006|2013|1927),"
)
"""What drivers say when the server closed a connection that was kept open."""
_MISSING = re.compile(
    r"no such (?P<kind>table|column): (?P<name>[\w.\"]{1,200})"
    r"|(?P<kind2>relation|column) (?P<name2>[\w.\"]{1,200}) does not exist"
    r"|Table '(?P<name3>[\w.]{1,200})' doesn't exist|Unknown column '(?P<name4>[\w.]{1,200})'"
)
_ERRORS = ("OperationalError", "InterfaceError", "DBAPIError", "DatabaseError", "ProgrammingError", "AdminShutdown")
_POOLS = ("ConnectionPool", "AsyncConnectionPool")


def about_database(case: Case, site: Site, problem: str, sentence: str) -> Facts | None:
    """Facts about the failing call, whose `database` is `problem`; `{where}` of the sentence is the function."""
    nodes = site.nodes(cst.Call, cst.Attribute, cst.Subscript)
    if not nodes:
        return None
    facts = Facts.about(case, site, nodes[0])
    facts.values["database"] = problem
    facts.sentence = sentence.format(where=facts.where)
    return facts


@extracts(*_ERRORS, rank=20)
def stale_connection(case: Case, site: Site) -> Facts | None:
    """Facts about a connection that the server closed: `database` is `stale-` and what holds it."""
    if not STALE.search(case.raised.message):
        return None
    engine = the_construction(case, "create_engine", "create_async_engine")
    if engine is not None and not has_keyword(engine[1], "pool_pre_ping", "poolclass", "creator"):
        return about_database(case, site, "stale-engine", "{where} got a pooled connection that the server had closed")
    pool = the_construction(case, *_POOLS)
    if pool is not None and not has_keyword(pool[1], "check"):
        return about_database(case, site, "stale-pool", "{where} got a pooled connection that the server had closed")
    if engine is None and database_uri(case) is not None:
        return about_database(case, site, "stale-options", "{where} got a pooled connection that the server had closed")
    shared = shared_connection(case, site)
    if shared is not None and engine is None and pool is None:
        facts = about_database(
            case, site, "stale-shared", "{where} uses a connection opened long ago, which the server closed"
        )
        if facts is not None:
            facts.values["shared"] = shared
        return facts
    return None


def database_uri(case: Case) -> Tuple[Tree, cst.Assign] | None:
    """Where Flask-SQLAlchemy's address is set, if the app sets no options of the engine."""
    if any(True for _tree in case.trees(b"SQLALCHEMY_ENGINE_OPTIONS")):
        return None
    for tree in case.trees(b"SQLALCHEMY_DATABASE_URI"):
        for assign in tree.all(cst.Assign):
            target = assign.targets[0].target
            line = tree.parent(assign)
            single = isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1
            if single and dotted_name(target) == "SQLALCHEMY_DATABASE_URI":
                return tree, assign
            key = target.slice[0].slice if isinstance(target, cst.Subscript) and len(target.slice) == 1 else None
            if single and isinstance(key, cst.Index) and literal_of(key.value) == (True, "SQLALCHEMY_DATABASE_URI"):
                return tree, assign
    return None


@extracts("ProgrammingError", "OperationalError", rank=15)
def sqlite(case: Case, site: Site) -> Facts | None:
    """Facts about sqlite: `database` is `thread` for a connection of another thread, `locked` for one that gave up."""
    message = case.raised.message
    if message.startswith("SQLite objects created in a thread can only be used in that same thread"):
        shared = shared_connection(case, site)
        facts = about_database(case, site, "thread", "{where} uses a connection that another thread opened")
        if facts is not None and shared is not None:
            facts.values["shared"] = shared
        return facts if shared is not None else None
    if "database is locked" not in message and "database table is locked" not in message:
        return None
    engine = the_construction(case, "create_engine")
    if engine is not None and not has_keyword(engine[1], "connect_args"):
        return about_database(
            case, site, "locked-engine", "{where} waited for another writer of the database, and gave up"
        )
    waits = [call for _tree, call in constructions(case, "connect") if _is_sqlite(call)]
    if engine is None and waits and not any(has_keyword(call, "timeout") or argument(call, 1) for call in waits):
        return about_database(case, site, "locked", "{where} waited for another writer of the database, and gave up")
    return None


def _is_sqlite(call: cst.Call) -> bool:
    return dotted_name(call.func) in ("sqlite3.connect", "aiosqlite.connect")


@extracts("OperationalError", "ProgrammingError", "UndefinedTable", "UndefinedColumn", rank=16)
def missing_schema(case: Case, site: Site) -> Facts | None:
    """Facts about a table or column that the database does not have: `missing` is its name."""
    found = _MISSING.search(case.raised.message)
    if found is None:
        return None
    facts = about_database(case, site, "schema", "")
    if facts is not None:
        name = next(value for key, value in found.groupdict().items() if key.startswith("name") and value)
        facts.values["missing"] = name.strip('"')
        facts.sentence = f"{facts.where} needs `{name}`, which the database does not have; a migration has not been run"
    return facts


_PARAMETERS = re.compile(
    r"Incorrect number of bindings supplied|query parameters should be a sequence or a mapping"
    r"|parameters are of unsupported type|not all arguments converted during string formatting"
)


@extracts("ProgrammingError", "ValueError", "TypeError", rank=14)
def single_parameter(case: Case, site: Site) -> Facts | None:
    """Facts about `execute(sql, (value))`, which lacks the comma of a tuple: `parameter`."""
    if not _PARAMETERS.search(case.raised.message):
        return None
    for node in site.nodes(cst.Call):
        if not isinstance(node, cst.Call) or called_name(node) != "execute" or len(node.args) != 2:
            continue
        given, statement = node.args[1].value, literal_of(node.args[0].value)[1]
        marks = len(re.findall(r"\?|%s", statement)) if isinstance(statement, str) else 0
        shaped = (cst.Tuple, cst.List, cst.Dict, cst.ListComp, cst.DictComp)
        if marks != 1 or isinstance(given, shaped) or site.type_of(given) in ("tuple", "list", "dict"):
            continue
        facts = Facts.about(case, site, node)
        facts.say("parameter", given)
        facts.values["database"] = "parameter"
        facts.sentence = f"{facts.where} passes `{facts.values['parameter']}` where a tuple of parameters is needed"
        return facts
    return None


@extracts("TypeError", rank=14)
def row_by_name(case: Case, site: Site) -> Facts | None:
    """Facts about a column read by its name from a row that is a plain tuple: `driver` of the connection."""
    if not case.raised.message.startswith("tuple indices must be integers or slices, not str"):
        return None
    fetched = any(called_name(call) in ("fetchone", "fetchall", "fetchmany") for call in site.tree.all(cst.Call))
    found = [(tree, call) for tree, call in constructions(case, "connect") if driver(call) is not None]
    if not fetched or len(found) != 1 or has_keyword(found[0][1], "row_factory", "cursorclass", "cursor_factory"):
        return None
    for node in site.nodes(cst.Subscript):
        facts = Facts.about(case, site, node)
        facts.values.update(database="row", driver=driver(found[0][1]))
        facts.sentence = f"{facts.where} reads a column by its name, but rows are plain tuples"
        return facts
    return None


def driver(call: cst.Call) -> str | None:
    """The module whose `connect` is called, if its rows can be read by name."""
    owner = (dotted_name(call.func) or "").rpartition(".")[0]
    return owner if owner in ("sqlite3", "psycopg", "pymysql") else None


@extracts("ArgumentError", "ObjectNotExecutableError", "AttributeError", rank=20)
def before_two(case: Case, site: Site) -> Facts | None:
    """Facts about statements as SQLAlchemy took them before 2.0: `database` is `text` or `engine-execute`."""
    message = case.raised.message
    plain = "Not an executable object:" in message or "should be explicitly declared as text(" in message
    engine = "'Engine' object has no attribute 'execute'" in message
    for node in site.nodes(cst.Call) if plain or engine else ():
        if not isinstance(node, cst.Call) or called_name(node) not in ("execute", "scalar", "scalars") or not node.args:
            continue
        facts = Facts.about(case, site, node)
        facts.say("sql", node.args[0].value)
        facts.values["database"] = "engine-execute" if engine else "text"
        facts.sentence = f"{facts.where} executes a statement in the way of SQLAlchemy before 2.0"
        return facts
    return None
