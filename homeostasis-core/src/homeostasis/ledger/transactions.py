"""Transactions, one after the other or many put together to one.

One that writes is alone from its first statement on, so that what it reads first, such as whether an incident exists,
still holds when it writes.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import Iterator

import sqlalchemy as sa

from homeostasis.ledger.database import WRITES


class Transactions:
    """Gives connections out. Within `batch` a thread's reads and writes share one transaction."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self._writing = engine.execution_options(**{WRITES: True})
        self._turn = threading.Lock()  # the threads of this process need not wait in the database's own, coarse steps
        self._local = threading.local()

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """A connection to write with; what was written is kept at the end, or at the end of the batch."""
        shared = self._shared
        if shared is not None:
            yield shared
            return
        with self._turn, self._writing.begin() as connection:
            yield connection

    @contextmanager
    def connect(self) -> Iterator[sa.Connection]:
        """A connection to read with."""
        shared = self._shared
        if shared is not None:
            yield shared
            return
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def batch(self) -> Iterator[None]:
        """All that this thread writes until the end is kept, or, if an exception comes out, nothing of it."""
        if self._shared is not None:
            yield
            return
        with self._turn, self._writing.begin() as connection:
            self._local.connection = connection
            try:
                yield
            finally:
                self._local.connection = None

    @property
    def _shared(self) -> sa.Connection | None:
        found: sa.Connection | None = getattr(self._local, "connection", None)
        return found
