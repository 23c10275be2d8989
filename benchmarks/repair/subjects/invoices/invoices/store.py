"""The database: one SQLite connection for the whole app."""

import sqlite3
import threading

from flask import current_app

SCHEMA = """
create table customer (id integer primary key, name text not null, email text, discount real);
create table invoice (id integer primary key, customer_id integer not null, issued text not null, note text);
create table line (invoice_id integer not null, title text not null, quantity integer not null, cents integer not null);
"""
SAMPLE = """
insert into customer values (1, 'Alder & Sons', 'office@alder.example', 0.1), (2, 'Birch', null, null),
    (3, 'Cedar Ltd', 'cedar@example.org', 0);
insert into invoice values (10, 1, '2024-02-01', 'by courier'), (11, 1, '2024-03-05', null), (12, 2, '2024-03-09', null);
insert into line values (10, 'chair', 4, 4950), (10, 'table', 1, 12900), (11, 'lamp', 2, 3500);
"""


def init_app(app):
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    connection.row_factory = sqlite3.Row
    connection.executescript(SCHEMA)
    connection.executescript(SAMPLE)
    app.extensions["invoices"] = (connection, threading.Lock())


def query(sql, *values):
    connection, lock = current_app.extensions["invoices"]
    with lock:
        return connection.execute(sql, values).fetchall()


def one(sql, *values):
    connection, lock = current_app.extensions["invoices"]
    with lock:
        return connection.execute(sql, values).fetchone()


def write(sql, *values):
    connection, lock = current_app.extensions["invoices"]
    with lock, connection:
        return connection.execute(sql, values).lastrowid


def count(table):
    row = one("select count(*) as number from %s" % table)
    return row["number"]
