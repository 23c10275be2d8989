"""What goes live without asking: only patches for which the code base or the request speaks."""

from __future__ import annotations

from typing import Any, Callable

import pytest

from homeostasis.models import Effect, Risk

HEAD = "from flask import Flask, abort, jsonify, request\n\napp = Flask(__name__)\n\n\n"
FIND = "USERS = {'ada': {'name': 'Ada'}}\n\n\ndef find_user(name):\n    return USERS.get(name)\n\n\n"
BY_QUERY = "@app.get('/hello')\ndef hello():\n    user = find_user(request.args['name'])\n    return user['name']\n"
NEIGHBOUR = (
    "@app.get('/users/<name>')\ndef show(name):\n    user = find_user(name)\n    if user is None:\n"
    "        abort(410, description='gone')\n    return user\n\n\n"
)


def test_a_lookup_that_nothing_else_refuses_is_asked_about(heal: Any, flask_call: Callable[..., str]) -> None:
    """That a value of the query led to nothing may as well be the fault of the stored data."""
    done = heal({"app.py": HEAD + FIND + BY_QUERY}, flask_call("GET", "/hello?name=eve"))
    assert (done.best.effect, done.best.risk) == (Effect.REFUSE, Risk.HIGH)


def test_another_except_in_the_file_changes_nothing(heal: Any, flask_call: Callable[..., str]) -> None:
    """A guard is offered wherever it can be said, whatever else the file catches."""
    other = "def total(xs):\n    try:\n        return sum(xs)\n    except TypeError:\n        return 0\n\n\n"
    view = "@app.post('/x')\ndef x():\n    data = request.get_json()\n    return str(data['a'])\n"
    done = heal({"app.py": HEAD + other + view}, flask_call("POST", "/x", [1]))
    assert done.best.rule_id == "body-shape"
    assert done.after(flask_call("POST", "/x", [1], answer=True)).startswith("400")


def test_a_neighbour_says_how_a_lookup_is_refused(heal: Any, flask_call: Callable[..., str]) -> None:
    """Where another view refuses when the same lookup finds nothing, so does this one, with the same status."""
    done = heal({"app.py": HEAD + FIND + NEIGHBOUR + BY_QUERY}, flask_call("GET", "/hello?name=eve"))
    assert (done.best.effect, done.best.risk) == (Effect.REFUSE, Risk.LOW)
    assert any("answers 410 when `find_user` finds nothing" in each for each in done.best.evidence)
    assert done.after(flask_call("GET", "/hello?name=eve", answer=True)).startswith("410")


def test_a_key_of_the_path_is_refused_unless_the_container_is_a_record(
    heal: Any, flask_call: Callable[..., str]
) -> None:
    """Things by key have a 404 for an unknown one; a dict of which fixed fields are read is not such a container."""
    view = "@app.get('/x/<key>')\ndef show(key):\n    return jsonify(DATA[key])\n"
    fixed = "\n\n@app.get('/title')\ndef title():\n    return DATA['title']\n"
    data = "DATA = {'title': 'x'}\n\n\n"
    things = heal({"app.py": HEAD + data + view}, flask_call("GET", "/x/7"))
    record = heal({"app.py": HEAD + data + view + fixed}, flask_call("GET", "/x/7"))
    assert (things.best.risk, record.best.risk) == (Risk.LOW, Risk.HIGH)


ROWS = "ROWS = ['a', 'b']\n\n\n"
RISKS = {
    "index-sent": (ROWS + "@app.get('/x')\ndef x():\n    at = int(request.args['n'])\n    return ROWS[at]\n", "n=9", Risk.LOW),
    "index-computed": (ROWS + "@app.get('/x')\ndef x():\n    at = int(request.args['n']) * 2\n    return ROWS[at]\n", "n=9", Risk.HIGH),
    "index-from-one": (ROWS + "@app.get('/x')\ndef x():\n    at = int(request.args['n'])\n    return ROWS[at - 1]\n", "n=9", Risk.LOW),
    "divisor-sent": ("@app.get('/x')\ndef x():\n    n = float(request.args['n'])\n    return str(1 / n)\n", "n=0", Risk.LOW),
    "divisor-computed": ("@app.get('/x')\ndef x():\n    n = int(request.args['n']) - 1\n    return str(1 / n)\n", "n=1", Risk.HIGH),
    "rows-of-a-query": ("def rows(n):\n    return [row for row in [] if row == n]\n\n\n@app.get('/x')\ndef x():\n    return rows(request.args['n'])[0]\n", "n=9", Risk.HIGH),
}  # fmt: skip


@pytest.mark.parametrize("name", list(RISKS))
def test_the_client_is_blamed_for_what_it_sent_only(heal: Any, flask_call: Callable[..., str], name: str) -> None:
    """A number that the code computed, and a query for which nothing is stored, may as well be the app's mistake."""
    code, query, risk = RISKS[name]
    done = heal({"app.py": HEAD + code}, flask_call("GET", f"/x?{query}"))
    assert (done.best.effect, done.best.risk) == (Effect.REFUSE, risk)


@pytest.mark.parametrize(
    ("body", "risk"),
    [
        ("    return find(name)[0]\n", Risk.LOW),
        ("    return find(name)[1]\n", Risk.HIGH),
        ("    found = find(name)\n    return found[0]\n", Risk.LOW),
    ],
    ids=["none", "too-few", "named"],
)
def test_only_that_nothing_is_stored_is_not_found(
    heal: Any, flask_call: Callable[..., str], body: str, risk: Risk
) -> None:
    """That something is stored with too few items is no fault of who asks for it."""
    code = "def find(name):\n    return [row for row in [] if row == name]\n\n\n@app.get('/x/<name>')\ndef x(name):\n"
    done = heal({"app.py": HEAD + code + body}, flask_call("GET", "/x/eve"))
    assert (done.best.effect, done.best.risk) == (Effect.REFUSE, risk)


def test_what_a_found_thing_lacks_is_asked_about(heal: Any, flask_call: Callable[..., str]) -> None:
    """The user is there, and its address is None: nothing says that the client asked for what does not exist."""
    code = (
        "class User:\n    address = None\n\n\ndef find(name):\n    return User()\n\n\n"
        "@app.get('/x/<name>')\ndef x(name):\n    user = find(name)\n    address = user.address\n    return address.city\n"
    )
    done = heal({"app.py": HEAD + code}, flask_call("GET", "/x/eve"))
    assert (done.best.effect, done.best.risk) == (Effect.REFUSE, Risk.HIGH)


def test_what_may_be_left_out_is_not_required_unasked(heal: Any, fastapi_call: Callable[..., str]) -> None:
    """The signature, and with it the published schema, says that the client need not send it."""
    app = (
        "from typing import Optional\n\nfrom fastapi import FastAPI\n\napp = FastAPI()\nROWS = ['a']\n\n\n"
        "@app.get('/x')\nasync def x(number: Optional[int] = None):\n    return ROWS[number]\n"
    )
    done = heal({"app.py": app}, fastapi_call("GET", "/x"))
    assert (done.best.effect, done.best.risk) == (Effect.REFUSE, Risk.HIGH)


def test_setting_up_at_import_is_asked_about(heal: Any) -> None:
    """What the function needs may be defined further down, or not be reachable yet."""
    code = HEAD + "@app.before_first_request\ndef prepare():\n    pass\n"
    done = heal({"app.py": code}, "import app\n")
    assert (done.best.rule_id, done.best.risk) == ("flask-first-request", Risk.HIGH)


@pytest.mark.parametrize(
    ("code", "risk"),
    [
        ("def mean(xs):\n    return sum(xs) / len(xs)\n\n\nmean([])\n", Risk.LOW),
        ("def share(xs, hits):\n    total = sum(xs)\n    return len(hits) / total\n\n\nshare([], [])\n", Risk.HIGH),
        ("def later(moment):\n    return moment + 1\n\n\nlater(None)\n", Risk.HIGH),
    ],
    ids=["mean", "share", "none"],
)
def test_a_neutral_value_without_declaration_is_asked_about(heal: Any, code: str, risk: Risk) -> None:
    """Nothing says what a share of nothing or a missing number is; the mean of nothing is shown as 0."""
    done = heal({"numbers_of.py": code}, "import numbers_of\n")
    assert (done.best.effect, done.best.risk) == (Effect.RECOVER, risk)


def test_a_parameter_named_default_is_the_default(heal: Any) -> None:
    """A function that takes a key and a default uses it where the key is missing."""
    code = "def number(values, name, default=7):\n    return int(values[name])\n\n\nprint(number({}, 'x'))\n"
    done = heal({"values_of.py": code}, "import values_of\n")
    assert b"values.get(name, default)" in done.best.edits[0].after
    assert done.best.risk is Risk.LOW
    assert done.after("import values_of\n") == "7"


def test_a_dependency_is_not_what_the_client_sent(heal: Any, fastapi_call: Callable[..., str]) -> None:
    """A parameter that `Depends` fills is made by the app, also if the path has its name: a lost `return` is found."""
    app = (
        "from fastapi import Depends, FastAPI\n\napp = FastAPI()\n\n\ndef person(number: int):\n"
        "    found = {'id': number}\n    found\n\n\n"
        "@app.get('/people/{number}')\nasync def show(number=Depends(person)):\n    return number['id']\n"
    )
    done = heal({"app.py": app}, fastapi_call("GET", "/people/3"))
    assert done.best.rule_id == "forgotten-return"
    assert done.after(fastapi_call("GET", "/people/3", answer=True)) == "200 3"


def test_an_import_that_takes_the_place_of_another_is_declared(heal: Any) -> None:
    """The validator compares what a patch imports with what it says: replaced imports are said too."""
    code = "from werkzeug.security import safe_str_cmp\n\n\ndef same(a, b):\n    return safe_str_cmp(a, b)\n"
    done = heal({"old.py": code}, "import old\n")
    assert b"from hmac import compare_digest" in done.best.edits[0].after
    assert done.best.imports == ("hmac",)
