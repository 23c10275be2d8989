"""A refusal is weighed: the code base's own way comes before it, and where the app may be at fault it is asked about."""

from __future__ import annotations

import json
from typing import Any, Callable

import pytest

from homeostasis.models import Effect, Request, Risk

HEAD = "from flask import Flask, abort, jsonify, request\n\napp = Flask(__name__)\n\n\n"
POST = "@app.post('/x')\ndef x():\n    data = request.get_json()\n"
INSTEAD = {
    "default-elsewhere": (POST + "    return jsonify(name=data['name'], tags=data['tags'])\n\n\n@app.put('/x')\ndef y():\n    data = request.get_json()\n    return jsonify(data.get('tags', []))\n", '200 {"name":"a","tags":[]}'),
    "none-elsewhere": (POST + "    return jsonify(name=data['name'], tag=data['tag'])\n\n\n@app.put('/x')\ndef y():\n    data = request.get_json()\n    return jsonify(tag=data.get('tag'))\n", '200 {"name":"a","tag":null}'),
    "or": (POST + "    size = data['size'] or 10\n    return jsonify(size=size)\n", '200 {"size":10}'),
    "tested-for-none": (POST + "    note = data['note']\n    if note is not None and note.isspace():\n        note = ''\n    return jsonify(note=note)\n", '200 {"note":null}'),
    "set-where-missing": (POST + "    kind = data['kind']\n    if not kind:\n        kind = 'plain'\n    return jsonify(kind=kind)\n", '200 {"kind":"plain"}'),
    "parameter": ("class Task:\n    def __init__(self, title, rank=3):\n        self.rank = rank\n\n\n" + POST + "    return jsonify(rank=Task(data['name'], data['rank']).rank)\n", '200 {"rank":3}'),
    "read-twice": (POST + "    return jsonify(n=data['n'], total=data['n'] * 5)\n\n\n@app.put('/x')\ndef y():\n    data = request.get_json()\n    return jsonify(data.get('n', 1))\n", '200 {"n":1,"total":5}'),
    "kept": ("ITEM = {'name': 'b', 'price': 2}\n\n\n" + POST + "    ITEM['name'] = data.get('name', ITEM['name'])\n    ITEM['price'] = data['price']\n    return jsonify(ITEM)\n", '200 {"name":"a","price":2}'),
    "got": (POST + "    return jsonify(note=data.get('note').strip())\n\n\n@app.put('/x')\ndef y():\n    return request.get_json().get('note', '').strip()\n", '200 {"note":""}'),
}  # fmt: skip


@pytest.mark.parametrize("name", list(INSTEAD))
def test_what_the_code_base_has_for_a_missing_field_comes_first(
    heal: Any, flask_call: Callable[..., str], name: str
) -> None:
    """A default of another place, a test for None, a parameter or the stored value stands for the field, unasked."""
    code, answer = INSTEAD[name]
    done = heal({"app.py": HEAD + code}, flask_call("POST", "/x", {"name": "a"}))
    assert (done.best.effect, done.best.risk) == (Effect.RECOVER, Risk.LOW)
    refusals = [patch for patch in done.patches if patch.effect is Effect.REFUSE]
    assert all(patch.risk is Risk.HIGH for patch in refusals)
    assert done.after(flask_call("POST", "/x", {"name": "a"}, answer=True)) == answer


def test_a_lookup_is_spelt_as_elsewhere(heal: Any, flask_call: Callable[..., str]) -> None:
    """The file looks the container up by `code.upper()` in another place."""
    code = (
        "NAMES = {'DE': 'Germany'}\n\n\n@app.get('/x/<code>')\ndef x(code):\n    return NAMES[code]\n\n\n"
        "@app.get('/y/<code>')\ndef y(code):\n    return str(code.upper() in NAMES)\n"
    )
    done = heal({"app.py": HEAD + code}, flask_call("GET", "/x/de"))
    assert (done.best.effect, done.best.risk) == (Effect.CORRECT, Risk.LOW)
    assert done.after(flask_call("GET", "/x/de", answer=True)) == "200 Germany"


ASKED = {
    "typo": (POST + "    return jsonify(name=data['nmae'])\n", "POST /x", {"name": "a"}, ""),
    "spelling": (POST + "    return jsonify(data['userId'])\n\n\ndef other(row):\n    return row['user_id']\n", "POST /x", {"user_id": 1}, ""),
    "sent-and-popped": (POST + "    name = data.pop('name')\n    return jsonify(name, data['name'])\n", "POST /x", {"name": "a"}, ""),
    "patch": ("ROW = {}\n\n\n@app.patch('/x')\ndef x():\n    data = request.get_json()\n    ROW['a'] = data['a']\n    return ROW\n", "PATCH /x", {"b": 1}, ""),
    "others-are-checked": (POST + "    if 'name' not in data:\n        abort(400)\n    return jsonify(data['name'], data['nick'])\n", "POST /x", {"name": "a"}, ""),
    "others-are-listed": ("NEEDED = ('name', 'age')\n\n\n" + POST + "    if [f for f in NEEDED if f not in data]:\n        abort(400)\n    return jsonify(data['name'], data['zip'])\n", "POST /x", {"name": "a", "age": 1}, ""),
    "others-have-defaults": (POST + "    return jsonify(data.get('a', 1), data.get('b', 2), data['c'])\n", "POST /x", {"a": 1}, ""),
    "documented": (POST + "    return jsonify(data['sku'], data['note'])\n", "POST /x", {"sku": "a"}, "`sku` (required), `note` (optional)\n"),
    "docstring": ("@app.post('/x')\ndef x():\n    '''`count` defaults to 1.'''\n    data = request.get_json()\n    return jsonify(data['count'])\n", "POST /x", {"sku": "a"}, ""),
    "got-beside-needed": (POST + "    return jsonify(data['a'], data.get('note').strip())\n", "POST /x", {"a": "a"}, ""),
    "null-for-a-default": (POST + "    return jsonify(data.get('note', '').strip())\n", "POST /x", {"note": None}, ""),
    "body-of-defaults": ("@app.post('/x')\ndef x():\n    data = request.get_json(silent=True)\n    return jsonify(data.get('deep', False))\n", "POST /x", None, ""),
    "usual-query": ("@app.get('/x')\ndef x():\n    return jsonify(request.args.get('q').lower())\n", "GET /x", None, ""),
    "usual-header": ("@app.get('/x')\ndef x():\n    return request.headers['Accept-Language'].split(',')[0]\n", "GET /x", None, ""),
    "list-with-a-default": (POST + "    tags = data.get('tags', [])\n    return jsonify(tags[0])\n", "POST /x", {"a": 1}, ""),
    "words": (POST + "    return jsonify(data['name'].split(' ')[1])\n", "POST /x", {"name": "Ada"}, ""),
    "cache": ("CACHE = {}\n\n\ndef fill(n):\n    CACHE[n] = n\n\n\n@app.get('/x/<int:n>')\ndef x(n):\n    return str(CACHE[n])\n", "GET /x/4", None, ""),
    "found-before": ("USERS = {'a': 1}\nNOTES = {}\n\n\n@app.get('/x/<name>')\ndef x(name):\n    if name not in USERS:\n        abort(404)\n    return NOTES[name]\n", "GET /x/a", None, ""),
    "found-and-empty": ("MARKS = {'a': []}\n\n\n@app.get('/x/<name>')\ndef x(name):\n    marks = MARKS.get(name)\n    if marks is None:\n        abort(404)\n    return str(max(marks))\n", "GET /x/a", None, ""),
    "default-of-the-container": ("LEVELS = {'a': 1}\n\n\ndef level(role):\n    return LEVELS.get(role, 0)\n\n\n" + POST + "    return jsonify(LEVELS[data['role']])\n", "POST /x", {"role": "q"}, ""),
    "another-spelling": ("RATES = {'eur': 1}\n\n\n@app.get('/x/<code>')\ndef x(code):\n    return str(RATES[code])\n", "GET /x/EUR", None, ""),
    "index-elsewhere": ("DAYS = ['mo', 'tu']\n\n\n@app.get('/x/<int:n>')\ndef x(n):\n    return DAYS[n]\n\n\n@app.get('/y/<int:n>')\ndef y(n):\n    return DAYS[n % 2]\n", "GET /x/4", None, ""),
    "zero-elsewhere": ("def share(n):\n    return 10 / n if n else 0\n\n\n@app.get('/x')\ndef x():\n    n = float(request.args['n'])\n    return str(5 / n)\n", "GET /x?n=0", None, ""),
    "fallback-elsewhere": ("@app.get('/x')\ndef x():\n    return str(int(request.args['n']))\n\n\n@app.get('/y')\ndef y():\n    try:\n        n = int(request.args['n'])\n    except ValueError:\n        n = 5\n    return str(n)\n", "GET /x?n=q", None, ""),
    "taken-apart": ("@app.get('/x/<slug>')\ndef x(slug):\n    return str(int(slug.split('-')[1]))\n", "GET /x/red-shoe-7", None, ""),
    "date-as-elsewhere": ("from datetime import datetime\n\n\n" + POST + "    return str(datetime.strptime(data['day'], '%d.%m.%Y'))\n\n\ndef known(text):\n    return datetime.strptime(text, '%Y-%m-%d')\n", "POST /x", {"day": "2024-05-31"}, ""),
    "wrong-field": (POST + "    count = int(data['sku'])\n    return str(count)\n", "POST /x", {"sku": "a", "count": 3}, ""),
}  # fmt: skip


@pytest.mark.parametrize("name", list(ASKED))
def test_a_refusal_that_the_code_speaks_against_is_asked_about(
    heal: Any, flask_call: Callable[..., str], name: str
) -> None:
    """No refusal goes live unasked, and one says what speaks against it."""
    code, request, body, readme = ASKED[name]
    done, refusals = refused(heal, flask_call, code, request, body, readme)
    assert refusals
    assert all(patch.risk is Risk.HIGH for patch in refusals)
    assert any(line.startswith("but ") for patch in refusals for line in patch.evidence)
    assert done.best.risk is Risk.HIGH or done.best.effect is Effect.INVENT


CLEAR = {
    "needed": (POST + "    return jsonify(data['price'] * data['count'])\n", "POST /x", {"price": 1}, ""),
    "needed-beside-a-default": (POST + "    return jsonify(data['name'], data.get('note', ''))\n", "POST /x", {"note": "a"}, ""),
    "required-elsewhere": (POST + "    return jsonify(data['name'])\n\n\n@app.put('/x')\ndef y():\n    data = request.get_json()\n    name = data.get('name')\n    if not name:\n        abort(400)\n    return name\n", "POST /x", {}, ""),
    "kept-in-an-update": (POST + "    return jsonify(a=data['a'], b=data['b'])\n\n\n@app.put('/x')\ndef y():\n    data = request.get_json()\n    row = {'a': 1, 'b': 2}\n    row['a'] = data.get('a', row['a'])\n    return row\n", "POST /x", {"b": 1}, ""),
    "default-of-stored-rows": (POST + "    return jsonify(sum(row['n'] for row in data['rows']))\n\n\nROWS = [{}]\n\n\n@app.get('/y')\ndef y():\n    return jsonify(sum(row.get('n', 0) for row in ROWS))\n", "POST /x", {"rows": [{"m": 1}]}, ""),
    "documented-as-required": (POST + "    return jsonify(data['sku'])\n", "POST /x", {}, "`sku` (required), `note` (optional)\n"),
    "credentials": ("@app.get('/x')\ndef x():\n    return request.headers.get('Authorization').split()[1]\n", "GET /x", None, ""),
    "number": ("@app.get('/x')\ndef x():\n    return str(int(request.args['n']))\n", "GET /x?n=q", None, ""),
    "unknown": ("RATES = {'eur': 1}\n\n\n@app.get('/x/<code>')\ndef x(code):\n    return str(RATES[code])\n", "GET /x/usd", None, ""),
    "not-a-date": ("from datetime import datetime\n\n\n" + POST + "    return str(datetime.strptime(data['day'], '%d.%m.%Y'))\n\n\ndef known(text):\n    return datetime.strptime(text, '%Y-%m-%d')\n", "POST /x", {"day": "soon"}, ""),
}  # fmt: skip


@pytest.mark.parametrize("name", list(CLEAR))
def test_a_clear_refusal_stays_unasked(heal: Any, flask_call: Callable[..., str], name: str) -> None:
    """A field without any default, a text for a number and an unknown name are the client's affair."""
    code, request, body, readme = CLEAR[name]
    done, _refusals = refused(heal, flask_call, code, request, body, readme)
    assert (done.best.effect, done.best.risk) == (Effect.REFUSE, Risk.LOW)
    method, path = request.split(" ")
    assert done.after(flask_call(method, path, body, answer=True))[:3] in ("400", "401", "404")


def refused(heal: Any, flask_call: Callable[..., str], code: str, request: str, body: Any, readme: str) -> Any:
    """What became of the crash of a recorded request, and the refusals among the candidates."""
    method, path = request.split(" ")
    plain, _mark, query = path.partition("?")
    content = json.dumps(body).encode() if body is not None else b""
    recorded = Request(method=method, path=plain, query=query, framework="flask", body=content)
    files = {"app.py": HEAD + code, **({"README.md": readme} if readme else {})}
    done = heal(files, flask_call(method, path, body), recorded)
    return done, [patch for patch in done.patches if patch.effect is Effect.REFUSE]
