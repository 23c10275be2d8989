"""Statements that are made with text of the client."""

from __future__ import annotations

from typing import Any, Callable

import pytest

from homeostasis.models import Effect, Request, Risk

pytestmark = pytest.mark.usefixtures("sqlite_closed")

HEAD = """import sqlite3

from flask import Flask, abort, jsonify, request

app = Flask(__name__)
db = sqlite3.connect(":memory:", check_same_thread=False)
db.execute("CREATE TABLE orders (id INTEGER, total REAL)")
db.execute("INSERT INTO orders VALUES (1, 2.5)")


"""
SORTED = """@app.get("/orders")
def orders():
    sort = request.args.get("sort", "id")
    rows = db.execute(f"SELECT id FROM orders ORDER BY {sort}").fetchall()
    return jsonify(rows)
"""
DEEP = """def find(order):
    return db.execute("SELECT id FROM orders ORDER BY " + order)


@app.get("/orders")
def orders():
    return jsonify(find(request.args["sort"]).fetchall())
"""
MIGRATED = """@app.get("/orders")
def orders():
    sort = request.args.get("sort", "id")
    return jsonify(db.execute("SELECT id, paid FROM orders ORDER BY " + sort).fetchall())
"""


def request(query: str) -> Request:
    return Request(method="GET", path="/orders", query=query)


@pytest.mark.parametrize("code", [SORTED, DEEP], ids=["here", "deeper"])
@pytest.mark.parametrize("sent", ["zz", "id%20desk", "zz%20desc"])
def test_text_that_is_no_column_is_refused_if_a_person_agrees(
    heal: Any, flask_call: Callable[..., str], code: str, sent: str
) -> None:
    """The crash is gone, what worked works; and the person reads that other SQL would be run."""
    done = heal({"app.py": HEAD + code}, flask_call("GET", f"/orders?sort={sent}"), request(f"sort={sent}"))
    assert done.best.rule_id == "db-client-text"
    assert (done.best.effect, done.best.risk) == (Effect.REFUSE, Risk.HIGH)
    assert any("other SQL of a client is still run" in each for each in done.best.evidence)
    assert done.after(flask_call("GET", f"/orders?sort={sent}", answer=True)).startswith("400")
    assert done.after(flask_call("GET", "/orders?sort=total", answer=True)).startswith("200")


@pytest.mark.parametrize("query", ["sort=id", "sort=paid", ""])
def test_a_column_that_the_code_names_is_missing_in_the_database(
    heal: Any, flask_call: Callable[..., str], query: str
) -> None:
    """Also where the client happens to send the same word."""
    done = heal({"app.py": HEAD + MIGRATED}, flask_call("GET", f"/orders?{query}"), request(query))
    assert done.rules == {"db-missing-schema"}
    assert done.patches == []
