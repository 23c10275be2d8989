"""Rows of sqlite3 that were taken for dicts, and values of JSON that were taken for text: crash, heal, ask again."""

from __future__ import annotations

from typing import Any

import pytest

from homeostasis.models import Effect, Risk

pytestmark = pytest.mark.usefixtures("sqlite_closed")

STORE = (
    "import json\nimport sqlite3\n\nconn = sqlite3.connect(':memory:')\nconn.row_factory = sqlite3.Row\n"
    "conn.executescript('create table t (id, tags); insert into t values (1, null), (2, 3)')\n\n\n"
)
FETCHED = "    row = conn.execute('select * from t where id = ?', (key,)).fetchone()\n"
ROWS = "    rows = conn.execute('select * from t order by id').fetchall()\n"
CASES = {
    "read": ("def f(key):\n" + FETCHED + "    return row.get('mail', '-')\n", "f(1)", "-"),
    "items": ("def f(key):\n" + FETCHED + "    return [value for _, value in row.items()]\n", "f(2)", "[2, 3]"),
    "changed": ("def f(key):\n" + FETCHED + "    row['tags'] = 7\n    return row['tags']\n", "f(1)", "7"),
    "changed-in-a-list": (
        "def f():\n" + ROWS + "    for row in rows:\n        row['tags'] = row['tags'] or 0\n"
        "    return [row['tags'] for row in rows]\n",
        "f()",
        "[0, 3]",
    ),
    "changed-in-a-cursor": (
        "def f():\n    found = []\n    for row in conn.execute('select * from t order by id'):\n"
        "        row['tags'] = 5\n        found.append(row['tags'])\n    return found\n",
        "f()",
        "[5, 5]",
    ),
    "rows-as-json": ("def f():\n" + ROWS + "    return json.dumps({'rows': rows[1:] and rows})\n", "f()", None),
    "all-as-json": (
        "def f():\n" + ROWS + "    return json.dumps({'rows': rows})\n",
        "f()",
        '{"rows": [{"id": 1, "tags": null}, {"id": 2, "tags": 3}]}',
    ),
    "found-as-json": (
        "def find(key):\n" + FETCHED + "    if row is None:\n        raise LookupError(key)\n    return row\n\n\n"
        "def f(key):\n    return json.dumps(find(key))\n",
        "f(2)",
        '{"id": 2, "tags": 3}',
    ),
}


@pytest.mark.parametrize("name", list(CASES))
def test_a_row_becomes_a_dict(heal: Any, name: str) -> None:
    """The call gives what was meant; what cannot be told apart is left alone."""
    code, call, expected = CASES[name]
    done = heal({"shop.py": STORE + code}, f"import shop; shop.{call}")
    if expected is None:
        assert not any(patch.rule_id.startswith("sqlite-row") for patch in done.patches)
        return
    assert done.best.rule_id.startswith("sqlite-row")
    assert (done.best.effect, done.best.risk) == (Effect.CORRECT, Risk.LOW)
    assert done.after(f"import shop; print(shop.{call})") == expected


@pytest.mark.parametrize(
    "code",
    [
        "def label(row):\n    row['tags'] = 1\n\n\ndef f(key):\n"
        + FETCHED
        + "    label(row)\n    return row['tags']\n",
        "def find(key):\n" + FETCHED + "    return row\n\n\ndef f(key):\n    return json.dumps(find(key))\n",
    ],
    ids=["the caller holds the row", "there may be no row"],
)
def test_where_a_dict_may_not_do_somebody_is_asked(heal: Any, code: str) -> None:
    """A copy that the caller does not see, and a row that may be None, are for a person to look at."""
    done = heal({"shop.py": STORE + code}, "import shop; shop.f(1)")
    assert done.best.rule_id.startswith("sqlite-row")
    assert done.best.risk is Risk.HIGH


SHARED = (
    "from flask import Flask, abort, request\n\napp = Flask(__name__)\n\n\n"
    "def whole(text):\n    number = int(text)\n    return number + 1\n\n\n"
    "@app.get('/x')\ndef x():\n    return str(whole(request.args['n']))\n\n\n"
    "@app.post('/y')\ndef y():\n    sent = request.get_json()\n    for name in ('n', 'm'):\n"
    "        if sent.get(name) is None:\n            abort(400)\n    return str(whole(sent['n']))\n"
)


def test_a_shared_check_refuses_lists_too(heal: Any, flask_call: Any) -> None:
    """A text of the query crashed; JSON can hand the same function a list, which is refused by the same patch."""
    done = heal({"app.py": SHARED}, flask_call("GET", "/x?n=q"))
    assert done.after(flask_call("GET", "/x?n=q", answer=True)).startswith("400")
    assert done.after(flask_call("POST", "/y", {"n": [1], "m": 1}, answer=True)).startswith("400")
    assert done.after(flask_call("GET", "/x?n=4", answer=True)) == "200 5"


def test_a_body_of_another_shape_is_refused_once(heal: Any, flask_call: Any) -> None:
    """The check stands before the loop over the names of the fields, not in it."""
    done = heal({"app.py": SHARED}, flask_call("POST", "/y", [1]))
    assert "\n+    if not isinstance(sent, dict):\n" in done.best.diff
    assert done.after(flask_call("POST", "/y", [1], answer=True)).startswith("400")
    assert done.after(flask_call("POST", "/y", {"n": 1, "m": 1}, answer=True)) == "200 2"


def test_a_text_of_the_query_is_caught_as_before(heal: Any, flask_call: Any) -> None:
    """What can only be text raises nothing but ValueError: more is not caught."""
    code = SHARED.split("def whole")[0] + "@app.get('/x')\ndef x():\n    return str(int(request.args['n']))\n"
    done = heal({"app.py": code}, flask_call("GET", "/x?n=q"))
    assert "except ValueError:" in done.best.diff


def test_a_check_after_a_way_out_of_the_loop_stays_there(heal: Any, flask_call: Any) -> None:
    """The loop may end before the body is read: a check before it would refuse what was answered."""
    code = SHARED.replace(
        "        if sent.get", "        if request.args.get('skip'):\n            break\n        if sent.get"
    )
    done = heal({"app.py": code}, flask_call("POST", "/y", [1]))
    assert "\n+        if not isinstance(sent, dict):\n" in done.best.diff


FOUND = (
    "from flask import Flask, abort\n\nimport shop\n\napp = Flask(__name__)\n\n\n"
    "@app.get('/x/<int:key>')\ndef x(key):\n    row = shop.find(key)\n    last = shop.last(key)\n"
    "    return {'id': row['id'], 'lent': last['lent']}\n"
)
SEEKING = (
    "    if row is None:\n        raise LookupError(key)\n    return row\n\n\ndef last(key):\n"
    "    return conn.execute('select 1 as lent from t where id = ? and id > 5', (key,)).fetchone()\n"
)


@pytest.mark.parametrize(("found", "risk"), [(True, Risk.HIGH), (False, Risk.LOW)], ids=["found", "sought first"])
def test_what_is_missing_under_a_found_key_is_asked_about(heal: Any, flask_call: Any, found: bool, risk: Risk) -> None:
    """The key names a row that was found: that another table has none is no 404. Without that, it is."""
    code = FOUND if found else FOUND.replace("    row = shop.find(key)\n", "").replace("row['id']", "key")
    done = heal({"app.py": code, "shop.py": STORE + "def find(key):\n" + FETCHED + SEEKING}, flask_call("GET", "/x/1"))
    refusing = [patch for patch in done.patches if patch.effect is Effect.REFUSE]
    assert refusing
    assert {patch.risk for patch in refusing} == {risk}
