"""Opening the database of a ledger: SQLite by default, anything that SQLAlchemy knows by URL."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import event as sa_event

from homeostasis.errors import LedgerError
from homeostasis.ledger.tables import metadata

BUSY_TIMEOUT_MS = 10_000
WRITES = "homeostasis_writes"
"""Execution option of an engine whose transactions write: others wait for their end before they begin to write."""


def open_database(url: str) -> sa.Engine:
    """The database at a URL, with all tables.

    Raises:
        LedgerError: it is none, or cannot be written.
    """
    engine = sa.create_engine(url)
    if engine.dialect.name == "sqlite":
        sa_event.listen(engine, "connect", _tune_sqlite)
        sa_event.listen(engine, "begin", _begin_sqlite)
    try:
        _create_tables(engine)
    except sa.exc.DatabaseError as error:
        raise LedgerError(f"the ledger {url} cannot be used: {error.__cause__ or error}") from error
    return engine


def _create_tables(engine: sa.Engine) -> None:
    """Make the tables that are missing; another process may be making the same ones at this moment."""
    if set(metadata.tables) <= set(sa.inspect(engine).get_table_names()):
        return
    writing = engine.execution_options(**{WRITES: True})
    for _ in metadata.sorted_tables:
        try:
            metadata.create_all(writing)
        except (sa.exc.OperationalError, sa.exc.ProgrammingError) as error:
            if "already exists" not in str(error):
                raise
        else:
            return
    metadata.create_all(writing)


def _begin_sqlite(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _tune_sqlite(connection: Any, _record: Any) -> None:
    # By itself the driver begins a transaction at the first write only, after what was read to decide about it.
    connection.isolation_level = None
    cursor = connection.cursor()
    # WAL lets the command line read while the orchestrator writes; NORMAL survives a kill, though not a power cut.
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", f"busy_timeout={BUSY_TIMEOUT_MS}", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
