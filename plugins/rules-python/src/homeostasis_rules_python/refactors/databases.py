"""Refactors for database connections, sessions, transactions, rows and statements."""

from __future__ import annotations

from typing import Callable, Dict, Iterator, List, Tuple

import libcst as cst

from homeostasis.models import Effect, Risk
from homeostasis_rules_python.code.construct import constructions, rest_within, the_construction, with_keywords
from homeostasis_rules_python.code.edit import Edits, expression, statements
from homeostasis_rules_python.code.imports import NewImport, conflicts
from homeostasis_rules_python.code.shared import carried, connection_name, used_names, using
from homeostasis_rules_python.code.tree import Tree, dotted_name
from homeostasis_rules_python.facts.base import Facts
from homeostasis_rules_python.facts.databases import database_uri, driver
from homeostasis_rules_python.refactors.base import Change, register


def place_of(tree: Tree, node: cst.CSTNode) -> str:
    """`path:line` of a node."""
    return f"{tree.path}:{tree.range(node).start.line}"


def edits_with(found: Tuple[Tree, cst.Call] | None, *given: Tuple[str, str]) -> Edits | None:
    """Edits that add keyword arguments to a call; None without a call."""
    if found is None:
        return None
    edits = Edits(found[0])
    edits.replace(found[1], with_keywords(found[1], given))
    return edits


@register
class PingPooledConnections:
    """A pool that hands out connections which the server has closed."""

    refactor_id = "ping-pooled-connections"
    needs = ("database",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`pool_pre_ping=True` where the engine is made, or the same for Flask-SQLAlchemy and psycopg's pool."""
        kind = facts.values["database"]
        if kind == "stale-engine":
            found = the_construction(facts.case, "create_engine", "create_async_engine")
            edits = edits_with(found, ("pool_pre_ping", "True"))
        elif kind == "stale-pool":
            found = the_construction(facts.case, "ConnectionPool", "AsyncConnectionPool")
            check = f"{found[0].code(found[1].func)}.check_connection" if found is not None else ""
            edits = edits_with(found, ("check", check))
        else:
            edits = _flask_options(facts)
        if edits is None:
            return
        evidence = f"the pool of {edits.tree.path} hands out connections without testing that they are still open"
        yield Change.because([edits], Effect.RECONNECT, "Test pooled connections before use", evidence)


def _flask_options(facts: Facts) -> Edits | None:
    found = database_uri(facts.case)
    if found is None:
        return None
    tree, assign = found
    line, target = tree.parent(assign), assign.targets[0].target
    edits = Edits(tree)
    if not isinstance(line, cst.SimpleStatementLine):
        return None
    name = '"SQLALCHEMY_ENGINE_OPTIONS"'
    left = f"{tree.code(target.value)}[{name}]" if isinstance(target, cst.Subscript) else name.strip('"')
    edits.insert_before(line, statements(f'{left} = {{"pool_pre_ping": True}}\n'))
    return edits


@register
class ConnectionPerCall:
    """One connection that all functions and threads share."""

    refactor_id = "connection-per-call"
    needs = ("shared",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """Each function that uses the connection opens one of its own and closes it."""
        tree, name = facts.site.tree, facts.values["shared"]
        wanted = NewImport("contextlib", "closing")
        line = next((each for each in tree.module.body if connection_name(each) == name), None)
        if line is None or conflicts(tree, wanted):
            return
        assign = cst.ensure_type(cst.ensure_type(line, cst.SimpleStatementLine).body[0], cst.Assign)
        opening = f"closing({tree.code(assign.value)}) as {name}"
        setting_up = carried(tree, name)
        edits = Edits(tree)
        for function in using(tree, name):
            names = used_names(tree, function)
            own = [each for each in setting_up if _concerns(each, name, names)]
            edits.wrap(function.body, _opened(function, opening, [each.with_changes(leading_lines=[]) for each in own]))
        kept = [each for each in tree.module.body if each is not line and each not in setting_up]
        plain = [each for each in kept if not isinstance(each, (cst.FunctionDef, cst.ClassDef))]
        if not any(node.value == name for each in plain for node in tree.all(cst.Name, each)):
            for each in (line, *setting_up):
                edits.replace(each, cst.RemoveFromParent())  # type: ignore[arg-type]
        edits.add_imports([wanted])
        evidence = f"`{name}` is opened once in {place_of(tree, line)} and shared by all threads"
        effect = Effect.CORRECT if facts.values["database"] == "thread" else Effect.RECONNECT
        yield Change.because(
            [edits], effect, f"Open `{name}` for each call instead of sharing it", evidence, risk=Risk.MEDIUM
        )


def _concerns(line: cst.SimpleStatementLine, name: str, used: set[str]) -> bool:
    target = dotted_name(cst.ensure_type(line.body[0], cst.Assign).targets[0].target) or ""
    return target.startswith(f"{name}.") or target in used


def _opened(
    function: cst.FunctionDef, opening: str, first: List[cst.SimpleStatementLine]
) -> Callable[[cst.IndentedBlock], cst.IndentedBlock]:
    docstring = function.get_docstring() is not None

    def make(block: cst.IndentedBlock) -> cst.IndentedBlock:
        at = 1 if docstring else 0
        body = [*block.body[:at], cst.SimpleStatementLine([cst.Pass()]), *first, *block.body[at:]]
        return rest_within(block.with_changes(body=body), at, opening)

    return make


@register
class WaitForLock:
    """A writer of sqlite that gives up after the five seconds of the default."""

    refactor_id = "wait-for-lock"
    needs = ("database",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """A timeout of 30 seconds for every connection of the app."""
        if facts.values["database"] == "locked-engine":
            found = the_construction(facts.case, "create_engine")
            edits = edits_with(found, ("connect_args", '{"timeout": 30}'))
            changed = [edits] if edits is not None else []
        else:
            changed = _for_each_file(facts)
        if changed:
            evidence = "sqlite waits five seconds for another writer unless it is told how long"
            yield Change.because(
                changed, Effect.RECONNECT, "Wait up to 30 seconds for another writer", evidence, risk=Risk.MEDIUM
            )


def _for_each_file(facts: Facts) -> List[Edits]:
    by_tree: Dict[Tree, Edits] = {}
    for tree, call in constructions(facts.case, "connect"):
        if dotted_name(call.func) in ("sqlite3.connect", "aiosqlite.connect"):
            edits = by_tree.setdefault(tree, Edits(tree))
            edits.replace(call, with_keywords(call, [("timeout", "30")]))
    return list(by_tree.values())


@register
class ParameterTuple:
    """`execute(sql, (value))`."""

    refactor_id = "parameter-tuple"
    needs = ("parameter",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`execute(sql, (value,))`."""
        node = facts.nodes["parameter"]
        bare = node.with_changes(lpar=[], rpar=[])
        edits = Edits(facts.site.tree)
        edits.replace(node, cst.Tuple([cst.Element(bare, comma=cst.Comma())]))
        evidence = "the statement has one parameter, and parentheses alone make no tuple"
        yield Change.because([edits], Effect.CORRECT, f"Pass `{facts.values['parameter']}` in a tuple", evidence)


@register
class RowsByName:
    """Rows that are read by the names of their columns."""

    refactor_id = "rows-by-name"
    needs = ("driver",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """The row factory of the driver, where the connection is opened."""
        found = [(t, c) for t, c in constructions(facts.case, "connect") if driver(c) is not None]
        tree, call = found[0]
        edits, kind = Edits(tree), facts.values["driver"]
        if kind == "sqlite3":
            assign = tree.parent(call)
            line = tree.parent(assign) if isinstance(assign, cst.Assign) else None
            if not isinstance(assign, cst.Assign) or not isinstance(line, cst.SimpleStatementLine):
                return
            name = tree.code(assign.targets[0].target)
            second = statements(f"{name}.row_factory = sqlite3.Row\n")
            edits.replace(line, cst.FlattenSentinel([line, *second]))  # type: ignore[arg-type]
        elif kind == "psycopg":
            edits.replace(call, with_keywords(call, [("row_factory", "dict_row")]))
            edits.add_imports([NewImport("psycopg.rows", "dict_row")])
        else:
            edits.replace(call, with_keywords(call, [("cursorclass", "pymysql.cursors.DictCursor")]))
            edits.add_imports([NewImport("pymysql.cursors")])
        evidence = f"the connection of {place_of(tree, call)} gives tuples, and the code reads columns by name"
        yield Change.because(
            [edits], Effect.CORRECT, "Make rows readable by the names of columns", evidence, risk=Risk.MEDIUM
        )


@register
class ExecutableText:
    """A statement as text, which SQLAlchemy 2.0 does not execute."""

    refactor_id = "executable-text"
    needs = ("sql",)

    def changes(self, facts: Facts) -> Iterator[Change]:
        """`text(sql)`; for an engine the connection that executes it as well."""
        tree, sql = facts.site.tree, facts.nodes["sql"]
        wanted = NewImport("sqlalchemy", "text")
        if conflicts(tree, wanted):
            return
        edits = Edits(tree)
        plain = isinstance(sql, (cst.SimpleString, cst.ConcatenatedString, cst.FormattedString, cst.Name))
        if plain:
            edits.replace(sql, cst.Call(expression("text"), [cst.Arg(sql)]))
            edits.add_imports([wanted])
        if facts.values["database"] == "engine-execute" and not _on_connection(facts, edits):
            return
        evidence = "SQLAlchemy 2.0 executes text() on a connection"
        yield Change.because([edits], Effect.CORRECT, "Execute the statement as SQLAlchemy 2.0 does", evidence)


def _on_connection(facts: Facts, edits: Edits) -> bool:
    """Put `with engine.begin() as connection:` around the statement and those that follow it in its block."""
    tree, call = facts.site.tree, facts.node
    statement = tree.statement(call)
    block = tree.parent(statement) if statement is not None else None
    if not isinstance(call, cst.Call) or not isinstance(call.func, cst.Attribute):
        return False
    if not isinstance(block, cst.IndentedBlock) or not isinstance(statement, cst.SimpleStatementLine):
        return False
    at = list(block.body).index(statement)
    header = f"{tree.code(call.func.value)}.begin() as connection"
    edits.replace(call.func.value, cst.Name("connection"))

    def make(now: cst.IndentedBlock) -> cst.IndentedBlock:
        first = now.body[at].with_changes(leading_lines=[])
        held = cst.SimpleStatementLine([cst.Pass()], leading_lines=statement.leading_lines)
        return rest_within(now.with_changes(body=[*now.body[:at], held, first, *now.body[at + 1 :]]), at, header)

    edits.wrap(block, make)
    return True
