"""Accounts in SQLite, through the plain driver."""

import contextlib
import sqlite3
import threading
import time

SCHEMA = "create table account (id integer primary key, owner text unique, cents integer not null, closed text)"


class Bank:
    def __init__(self, path, timeout=0.05, tries=3):
        self.path = str(path)
        self.timeout = timeout
        self.tries = tries
        self.shared = None

    def connect(self):
        connection = sqlite3.connect(self.path, timeout=self.timeout, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        return connection

    def session(self):
        if self.shared is None:
            self.shared = self.connect()
        return self.shared

    def setup(self):
        with contextlib.suppress(sqlite3.OperationalError):
            self.session().execute(SCHEMA)
        self.session().commit()
        return self

    def close(self):
        if self.shared is not None:
            self.shared.close()
            self.shared = None

    def open(self, owner, cents=0):
        try:
            with self.session() as connection:
                cursor = connection.execute("insert into account (owner, cents) values (?, ?)", (owner, int(cents)))
        except sqlite3.IntegrityError:
            return None
        return cursor.lastrowid

    def balance(self, owner):
        row = self.session().execute("select cents from account where owner = ?", (owner,)).fetchone()
        if row is None:
            return None
        return row["cents"]

    def richest(self):
        row = self.session().execute("select owner, max(cents) as most from account").fetchone()
        return (row["owner"] or "nobody").title()

    def total(self):
        row = self.session().execute("select sum(cents) as total from account").fetchone()
        return (row["total"] or 0) / 100

    def pay(self, source, target, cents):
        for attempt in range(self.tries):
            try:
                return self._pay(source, target, cents)
            except sqlite3.OperationalError:
                self.session().rollback()
                time.sleep(0.01 * attempt)
        return "busy"

    def _pay(self, source, target, cents):
        have = self.balance(source)
        if have is None or self.balance(target) is None:
            return "unknown"
        if have < cents:
            return "short"
        with self.session() as connection:
            connection.execute("update account set cents = cents - ? where owner = ?", (cents, source))
            connection.execute("update account set cents = cents + ? where owner = ?", (cents, target))
        return "paid"

    def in_thread(self, owner):
        found = []
        worker = threading.Thread(target=lambda: found.append(self.balance(owner)))
        worker.start()
        worker.join()
        return found[0] if found else "failed"

    def page(self, number, size=2):
        offset = (number - 1) * size if number > 0 else 0
        rows = self.session().execute("select owner from account order by id limit ? offset ?", (size, offset)).fetchall()
        return [row["owner"] for row in rows]

    def first(self, number):
        rows = self.page(number)
        return rows[0] if rows else None
