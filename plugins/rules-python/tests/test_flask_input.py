"""Flask apps that trust what the client sends: each patched app refuses what was wrong and answers the rest as before."""

from __future__ import annotations

from typing import Any, Callable, NamedTuple

import pytest

from homeostasis.models import Effect, Request

HEAD = "from flask import Flask, abort, jsonify, request, session\n\napp = Flask(__name__)\napp.secret_key = 'k'\n\n\n"


class Case(NamedTuple):
    """A view, a request that crashes it and its answer, and a healthy request with its answer; `more` are arguments."""

    view: str
    crash: str
    refused: str
    healthy: str
    answer: str
    rule: str


CASES = {
    "header": Case(
        "@app.get('/x')\ndef x():\n    return {'t': request.headers['X-Tenant']}\n",
        "'/x'", "400", "'/x', headers={'X-Tenant': 'a'}", '200 {"t":"a"}', "key-error-header",
    ),
    "wsgi-header": Case(
        "@app.get('/x')\ndef x():\n    if request.environ['HTTP_X_KEY'] != 'k':\n        return 'no', 403\n    return 'yes'\n",
        "'/x'", "400", "'/x', headers={'X-Key': 'k'}", "200 yes", "key-error-header",
    ),
    "session": Case(
        "@app.get('/in')\ndef sign_in():\n    session['user'] = 'ada'\n    return ''\n\n\n"
        "@app.get('/x')\ndef x():\n    return session['user']\n",
        "'/x'", "401", "'/in'", "200", "key-error-session",
    ),
    "elif-header": Case(
        "@app.post('/x')\ndef x():\n    data = request.get_json()\n    if not data:\n        return 'empty'\n"
        "    elif data['kind'] == 'gift':\n        return 'gift'\n    return 'other'\n",
        "'/x', method='POST', json={'a': 1}", "400", "'/x', method='POST', json={}", "200 empty", "key-error-client-field",
    ),
    "one-line-if": Case(
        "@app.post('/x')\ndef x():\n    data = request.get_json()\n    if data.get('on'): return data['name']\n    return 'off'\n",
        "'/x', method='POST', json={'on': 1}", "400", "'/x', method='POST', json={'on': 0}", "200 off",
        "key-error-client-field",
    ),
    "nested": Case(
        "@app.post('/x')\ndef x():\n    return request.json['user']['name']\n",
        "'/x', method='POST', json={'user': {}}", "400", "'/x', method='POST', json={'user': {'name': 'a'}}", "200 a",
        "key-error-client-field",
    ),
    "enum-name": Case(
        "from enum import Enum\n\n\nclass Size(Enum):\n    S = 's'\n\n\n@app.get('/x/<size>')\ndef x(size):\n    return Size[size].value\n",
        "'/x/L'", "404", "'/x/S'", "200 s", "validation-enum-name",
    ),
    "enum-value": Case(
        "from enum import Enum\n\n\nclass Size(Enum):\n    S = 's'\n\n\n@app.get('/x')\ndef x():\n"
        "    return Size(request.args['size']).name\n",
        "'/x?size=q'", "400", "'/x?size=s'", "200 S", "validation-enum-value",
    ),
    "date": Case(
        "from datetime import date\n\n\n@app.get('/x')\ndef x():\n    return str(date.fromisoformat(request.args['day']).year)\n",
        "'/x?day=today'", "400", "'/x?day=2020-01-02'", "200 2020", "validation-date",
    ),
    "uuid": Case(
        "import uuid\n\n\n@app.get('/x/<key>')\ndef x(key):\n    return uuid.UUID(key).hex[:4]\n",
        "'/x/1'", "400", "'/x/12345678123456781234567812345678'", "200 1234", "validation-uuid",
    ),
    "decimal": Case(
        "from decimal import Decimal\n\n\n@app.post('/x')\ndef x():\n    price = Decimal(request.json['price'])\n    return str(price * 2)\n",
        "'/x', method='POST', json={'price': 'a lot'}", "400", "'/x', method='POST', json={'price': '1.5'}", "200 3.0",
        "validation-decimal",
    ),
    "base64": Case(
        "import base64\n\n\n@app.post('/x')\ndef x():\n    return str(len(base64.b64decode(request.json['file'])))\n",
        "'/x', method='POST', json={'file': 'a'}", "400", "'/x', method='POST', json={'file': 'YWI='}", "200 2",
        "validation-encoded-text",
    ),
    "pattern": Case(
        "import re\n\n\n@app.get('/x')\ndef x():\n    return str([n for n in ('ab', 'cd') if re.search(request.args['q'], n)])\n",
        "'/x?q=['", "400", "'/x?q=a'", "200 ['ab']", "validation-pattern",
    ),
    "malformed-body": Case(
        "import json\n\n\n@app.post('/x')\ndef x():\n    event = json.loads(request.data)\n    return str(event['id'])\n",
        "'/x', method='POST', data=b'{no'", "400", "'/x', method='POST', data=b'{\"id\": 3}'", "200 3", "body-malformed",
    ),
    "no-body": Case(
        "@app.post('/x')\ndef x():\n    data = request.get_json(silent=True)\n    return 'yes' if 'a' in data else 'no'\n",
        "'/x', method='POST'", "400", "'/x', method='POST', json={'a': 1}", "200 yes", "body-missing",
    ),
    "list-body": Case(
        "@app.post('/x')\ndef x():\n    data = request.get_json()\n    return data['a']\n",
        "'/x', method='POST', json=[1]", "400", "'/x', method='POST', json={'a': 'b'}", "200 b", "body-shape",
    ),
    "number-missing": Case(
        "@app.get('/x')\ndef x():\n    return str(int(request.args.get('n')) + 1)\n",
        "'/x'", "400", "'/x?n=1'", "200 2", "query-number-missing",
    ),
    "page-size": Case(
        "import math\n\n\n@app.get('/x')\ndef x():\n    per_page = request.args.get('per_page', 5, type=int)\n"
        "    return str(math.ceil(9 / per_page))\n",
        "'/x?per_page=0'", "400", "'/x'", "200 2", "query-page-size",
    ),
    "negative-limit": Case(
        "from itertools import islice\n\n\n@app.get('/x')\ndef x():\n    limit = int(request.args['limit'])\n"
        "    return jsonify(list(islice('abc', limit)))\n",
        "'/x?limit=-1'", "400", "'/x?limit=2'", '200 ["a","b"]', "query-out-of-range",
    ),
    "sqlite-integer": Case(
        "import sqlite3\nfrom contextlib import closing\n\n\n@app.get('/x/<int:n>')\ndef x(n):\n"
        "    with closing(sqlite3.connect(':memory:')) as db:\n"
        "        row = db.execute('select ?', (n,)).fetchone()\n    return str(row[0])\n",
        "'/x/99999999999999999999'", "400", "'/x/9'", "200 9", "query-number-too-large",
    ),
    "sort-field": Case(
        "class User:\n    name = 'n'\n\n\n@app.get('/x')\ndef x():\n    return getattr(User, request.args['sort'])\n",
        "'/x?sort=age'", "400", "'/x?sort=name'", "200 n", "query-unknown-field",
    ),
    "next": Case(
        "ROWS = [{'id': 1}]\n\n\n@app.get('/x/<int:row_id>')\ndef x(row_id):\n"
        "    row = next(r for r in ROWS if r['id'] == row_id)\n    return row\n",
        "'/x/2'", "404", "'/x/1'", '200 {"id":1}', "client-item-not-found",
    ),
    "list-remove": Case(
        "TAGS = ['a']\n\n\n@app.delete('/x/<tag>')\ndef x(tag):\n    TAGS.remove(tag)\n    return 'gone'\n",
        "'/x/b', method='DELETE'", "404", "'/x/a', method='DELETE'", "200 gone", "client-not-in-list",
    ),
    "empty-max": Case(
        "@app.post('/x')\ndef x():\n    return str(max(request.json['values']))\n",
        "'/x', method='POST', json={'values': []}", "400", "'/x', method='POST', json={'values': [3]}", "200 3",
        "client-empty-values",
    ),
    "mean": Case(
        "import statistics\n\n\n@app.post('/x')\ndef x():\n    rows = request.json['rows']\n"
        "    return str(statistics.mean(row['n'] for row in rows))\n",
        "'/x', method='POST', json={'rows': []}", "400", "'/x', method='POST', json={'rows': [{'n': 3}]}", "200 3",
        "client-empty-values",
    ),
    "not-found-at-the-end": Case(
        "USERS = {'ada': 1}\n\n\n@app.get('/x/<name>')\ndef x(name):\n    user = USERS.get(name)\n    if user:\n        return str(user)\n",
        "'/x/bob'", "404", "'/x/ada'", "200 1", "flask-view-not-found",
    ),
    "not-found-returned": Case(
        "USERS = {'ada': {'n': 1}}\n\n\n@app.get('/x/<name>')\ndef x(name):\n    return USERS.get(name)\n",
        "'/x/bob'", "404", "'/x/ada'", '200 {"n":1}', "flask-view-not-found",
    ),
}  # fmt: skip


def call(arguments: str, *, answer: bool) -> str:
    """Code that sends a request to the app, and prints what came back if `answer`."""
    code = f"from app import app\napp.config['PROPAGATE_EXCEPTIONS'] = {not answer}\n"
    code += f"sent = app.test_client().open({arguments})\n"
    return code + ("print(sent.status_code, sent.get_data(as_text=True).strip())\n" if answer else "")


@pytest.mark.parametrize("name", list(CASES))
def test_the_request_is_refused_and_others_are_answered(heal: Any, name: str) -> None:
    """The best patch refuses with the status that fits; a healthy request gets the answer that it got before."""
    case = CASES[name]
    done = heal({"app.py": HEAD + case.view}, call(case.crash, answer=False))
    assert case.rule in done.rules
    assert done.best.rule_id == case.rule
    assert done.best.effect is Effect.REFUSE
    assert done.after(call(case.crash, answer=True)).split()[0] == case.refused
    assert done.after(call(case.healthy, answer=True)) == case.answer


def test_a_time_zone_that_does_not_exist_is_refused(heal: Any) -> None:
    """`ZoneInfo` of an unknown name becomes a 400."""
    pytest.importorskip("zoneinfo", reason="zoneinfo came with Python 3.9")
    view = "from zoneinfo import ZoneInfo\n\n\n@app.get('/x')\ndef x():\n    return str(ZoneInfo(request.args['tz']))\n"
    done = heal({"app.py": HEAD + view}, call("'/x?tz=Mars'", answer=False))
    assert done.best.rule_id == "validation-timezone"
    assert done.after(call("'/x?tz=Mars'", answer=True)).startswith("400")


def test_a_body_that_is_not_called_json_is_refused_with_415(heal: Any) -> None:
    """The recorded content type tells why Flask read no JSON."""
    view = "@app.post('/x')\ndef x():\n    data = request.get_json(silent=True)\n    return data['a']\n"
    sent = Request(
        method="POST", path="/x", headers=(("Content-Type", "text/plain"),), body=b'{"a": "b"}', framework="flask"
    )
    wrong = "'/x', method='POST', data='{\"a\": \"b\"}', content_type='text/plain'"
    done = heal({"app.py": HEAD + view}, call(wrong, answer=False), sent)
    assert done.best.rule_id == "request-content-type"
    assert done.after(call(wrong, answer=True)).startswith("415")
    assert done.after(call("'/x', method='POST', json={'a': 'b'}", answer=True)) == "200 b"


def test_the_session_is_checked_as_in_other_views(heal: Any) -> None:
    """The redirect that another view answers with is used here as well."""
    view = (
        "from flask import redirect\n\n\n@app.get('/a')\ndef a():\n    if 'user' not in session:\n"
        "        return redirect('/in')\n    return session['user']\n\n\n@app.get('/x')\ndef x():\n    return session['user']\n"
    )
    done = heal({"app.py": HEAD + view}, call("'/x'", answer=False))
    assert done.best.rule_id == "key-error-session"
    assert done.after(call("'/x'", answer=True)).startswith("302")


def test_only_the_conversion_stands_in_the_try(heal: Any) -> None:
    """A ValueError of the function that the number is given to is no fault of the client, and stays one."""
    view = (
        "def work(n):\n    if n > 1:\n        raise ValueError('a bug')\n    return str(n)\n\n\n"
        "@app.get('/x')\ndef x():\n    return work(int(request.args['n']))\n"
    )
    done = heal({"app.py": HEAD + view}, call("'/x?n=z'", answer=False))
    assert done.after(call("'/x?n=z'", answer=True)).startswith("400")
    assert done.after(call("'/x?n=1'", answer=True)) == "200 1"
    assert done.after(call("'/x?n=2'", answer=True)).startswith("500")


def test_a_function_that_makes_error_answers_is_used(heal: Any) -> None:
    """Where the views return `bad_request(...)`, so does the patch."""
    view = (
        "def bad_request(message):\n    answer = jsonify({'problem': message})\n    answer.status_code = 400\n"
        "    return answer\n\n\n@app.get('/a')\ndef a():\n    return bad_request('never')\n\n\n"
        "@app.post('/x')\ndef x():\n    return request.get_json()['name']\n"
    )
    done = heal({"app.py": HEAD + view}, call("'/x', method='POST', json={}", answer=False))
    body = done.after(call("'/x', method='POST', json={}", answer=True))
    assert body == '400 {"problem":"name is required"}'


@pytest.mark.parametrize(
    ("view", "rule", "expected"),
    [
        ("    rows = [1]\n    jsonify(rows)\n", "flask-view-return", "200 [1]"),
        ("    return len('abc')\n", "flask-return-type", "200 3"),
        ("    return {n for n in (4,)}\n", "flask-return-type", "200 [4]"),
        ("    return 404, 'not here'\n", "flask-status-first", "404 not here"),
        ("    return jsonify(tags={1})\n", "response-set", '200 {"tags":[1]}'),
    ],
)
def test_an_answer_that_flask_cannot_send(
    heal: Any, flask_call: Callable[..., str], view: str, rule: str, expected: str
) -> None:
    """The view is found by the message or the route, although no frame of the app is left, and answers as was meant."""
    app = HEAD + f"@app.get('/x')\ndef x():\n{view}"
    sent = Request(method="GET", path="/x", route="/x", framework="flask")
    done = heal({"app.py": app}, flask_call("GET", "/x"), sent)
    assert done.best.rule_id == rule
    assert done.best.effect is Effect.CORRECT
    assert done.after(flask_call("GET", "/x", answer=True)) == expected


def test_objects_are_written_with_their_own_method(heal: Any, flask_call: Callable[..., str]) -> None:
    """`jsonify` of objects of the app uses the method that the class has for it."""
    app = HEAD + (
        "class User:\n    name = 'Ada'\n\n    def to_dict(self):\n        return {'name': self.name}\n\n\n"
        "@app.get('/x')\ndef x():\n    users = [User()]\n    return jsonify(users=users)\n"
    )
    done = heal({"app.py": app}, flask_call("GET", "/x"))
    assert done.best.rule_id == "response-object"
    assert done.after(flask_call("GET", "/x", answer=True)) == '200 {"users":[{"name":"Ada"}]}'


def test_another_key_error_of_the_callee_stays_an_error(heal: Any, flask_call: Callable[..., str]) -> None:
    """The caller refuses only for the key that was missing: a KeyError of a bug still shows as one."""
    files = {
        "app.py": HEAD + "import shop\n\n\n@app.get('/x/<sku>')\ndef x(sku):\n    return str(shop.price(sku))\n",
        "shop.py": "ROWS = {'tea': {'eur': 2}, 'salt': {}}\n\n\ndef price(sku):\n    row = ROWS[sku]\n    return row['eur']\n",
    }
    done = heal(files, flask_call("GET", "/x/rice"))
    assert done.after(flask_call("GET", "/x/rice", answer=True)).startswith("404")
    assert done.after(flask_call("GET", "/x/tea", answer=True)) == "200 2"
    assert done.after(flask_call("GET", "/x/salt", answer=True)).startswith("500")


def test_an_iterator_is_not_used_up_by_the_check(heal: Any) -> None:
    """A CSV reader can be read once: the patch does not look through it before the code does."""
    view = (
        "import csv\nimport io\n\n\n@app.post('/x')\ndef x():\n"
        "    rows = csv.DictReader(io.StringIO(request.get_data(as_text=True)))\n"
        "    return jsonify([row['n'] for row in rows])\n"
    )
    done = heal({"app.py": HEAD + view}, call("'/x', method='POST', data='a\\n1'", answer=False))
    assert done.after(call("'/x', method='POST', data='a\\n1'", answer=True)).startswith("400")
    assert done.after(call("'/x', method='POST', data='n\\n1'", answer=True)) == '200 ["1"]'


@pytest.mark.parametrize(
    ("condition", "healthy", "answer"),
    [
        ("data.get('on') and data['n'] > 1", "{}", "200 small"),
        ("data.get('on') and int(data['n']) > 1", "{'on': 0}", "200 small"),
        ("data['n'] > 1 if data.get('on') else False", "{}", "200 small"),
    ],
)
def test_a_condition_that_is_only_sometimes_evaluated(heal: Any, condition: str, healthy: str, answer: str) -> None:
    """The request is refused where the field is needed; others never needed it and go on."""
    view = f"@app.post('/x')\ndef x():\n    data = request.get_json()\n    if {condition}:\n        return 'big'\n    return 'small'\n"
    crash = (
        "'/x', method='POST', json={'on': 1, 'n': 'x'}"
        if "int(" in condition
        else "'/x', method='POST', json={'on': 1}"
    )
    done = heal({"app.py": HEAD + view}, call(crash, answer=False))
    assert done.after(call(crash, answer=True)).startswith("400")
    assert done.after(call(f"'/x', method='POST', json={healthy}", answer=True)) == answer
    assert done.after(call("'/x', method='POST', json={'on': 1, 'n': 2}", answer=True)) == "200 big"
