"""Crashes of Flask apps, from the request to the answer of the patched app."""

from __future__ import annotations

import json
from typing import Any, Callable

import pytest

from homeostasis.models import Effect, Request
from homeostasis.source import SourceTree
from homeostasis.testing import crash
from homeostasis_rules_python.matching import View

HEAD = "from flask import Flask, abort, jsonify, request\n\napp = Flask(__name__)\n\n\n"


@pytest.mark.parametrize("plain", [False, True], ids=["captured", "lines-only"])
def test_a_missing_field_is_refused_in_the_view(heal: Any, flask_call: Callable[..., str], plain: bool) -> None:
    """A field that the client left out becomes a 400 that names it; complete requests answer as before."""
    app = HEAD + (
        "@app.post('/orders')\ndef create():\n    data = request.get_json()\n"
        "    return jsonify(total=data['price'] * data['quantity'])\n"
    )
    done = heal({"app.py": app}, flask_call("POST", "/orders", {"price": 2}), plain=plain)
    assert done.best.effect is Effect.REFUSE
    assert done.after(flask_call("POST", "/orders", {"price": 2}, answer=True)).startswith("400")
    assert '"total":6' in done.after(flask_call("POST", "/orders", {"price": 2, "quantity": 3}, answer=True))


@pytest.mark.parametrize("plain", [False, True], ids=["captured", "lines-only"])
def test_a_field_read_two_calls_away_is_refused_where_it_came_in(
    heal: Any, flask_call: Callable[..., str], plain: bool
) -> None:
    """A module that knows nothing of Flask stays as it is: the view refuses."""
    files = {
        "app.py": HEAD
        + "import orders\n\n\n@app.post('/orders')\ndef create():\n    data = request.get_json()\n"
        + "    total = orders.total(data['items'])\n    return jsonify(total=total)\n",
        "orders.py": "from pricing import price\n\n\ndef total(items):\n    return sum(price(item) for item in items)\n",
        "pricing.py": "def price(item):\n    return item['unit'] * item.get('quantity', 1)\n",
    }
    done = heal(files, flask_call("POST", "/orders", {"items": [{"unit": 2}, {"name": "x"}]}), plain=plain)
    assert [edit.path for edit in done.best.edits] == ["app.py"]
    assert b"any('unit' not in item for item in data['items'])" in done.best.edits[0].after
    assert done.after(flask_call("POST", "/orders", {"items": [{"name": "x"}]}, answer=True)).startswith("400")
    assert '"total":2' in done.after(flask_call("POST", "/orders", {"items": [{"unit": 2}]}, answer=True))


def test_a_view_without_a_frame_is_known_from_the_start(project_factory: Any, flask_call: Callable[..., str]) -> None:
    """What `frame.function` is does not depend on whether another rule has asked for the facts before."""
    project = project_factory({"app.py": HEAD + "@app.get('/x')\ndef show():\n    jsonify(1)\n"})
    view = View(crash(project, flask_call("GET", "/x")), 0, SourceTree(project))
    first = view.get("frame.function")
    assert view.get("extraction.answered") == "None"
    assert (first, view.get("frame.function")) == ("show", "show")


def test_the_apps_own_exception_is_raised(heal: Any, flask_call: Callable[..., str]) -> None:
    """Where an error handler answers a class of the app with a 4xx, that class is raised, also far from the view."""
    files = {
        "app.py": HEAD
        + "from errors import BadInput\nimport pricing\n\n\n@app.errorhandler(BadInput)\ndef bad(error):\n"
        + "    return jsonify(problem=str(error)), 422\n\n\n@app.post('/p')\ndef price():\n"
        + "    return jsonify(total=pricing.total(request.get_json()))\n",
        "errors.py": "class BadInput(Exception):\n    pass\n",
        "pricing.py": "from errors import BadInput\n\n\ndef total(order):\n    if order.get('n') == 0:\n"
        "        raise BadInput('n is 0')\n    return order['price'] * 2\n",
    }
    done = heal(files, flask_call("POST", "/p", {"n": 1}))
    assert [edit.path for edit in done.best.edits] == ["pricing.py"]
    assert b"raise BadInput('price is required')" in done.best.edits[0].after
    assert done.after(flask_call("POST", "/p", {"n": 1}, answer=True)) == '422 {"problem":"price is required"}'


def test_an_unknown_key_of_the_path_is_not_found(heal: Any, flask_call: Callable[..., str]) -> None:
    """Stored data that the path asks for and that does not exist is a 404, in the style of the other views."""
    app = HEAD + (
        "ORDERS = {'1': {'total': 5}}\n\n\n@app.get('/a')\ndef a():\n    return jsonify(error='no'), 403\n\n\n"
        "@app.get('/orders/<order_id>')\ndef show(order_id):\n    return jsonify(ORDERS[order_id])\n"
    )
    done = heal({"app.py": app}, flask_call("GET", "/orders/7"))
    assert done.after(flask_call("GET", "/orders/7", answer=True)) == '404 {"error":"order not found"}'
    assert done.after(flask_call("GET", "/orders/1", answer=True)) == '200 {"total":5}'


def test_a_lookup_that_finds_nothing_is_not_found(heal: Any, flask_call: Callable[..., str]) -> None:
    """None from a lookup by what the client sent is a 404 before it is used."""
    app = HEAD + (
        "class User:\n    name = 'Ada'\n\n\ndef find_user(user_id):\n    return User() if user_id == 1 else None\n\n\n"
        "@app.get('/users/<int:user_id>')\ndef show(user_id):\n    user = find_user(user_id)\n"
        "    return jsonify(name=user.name)\n"
    )
    done = heal({"app.py": app}, flask_call("GET", "/users/2"))
    assert done.after(flask_call("GET", "/users/2", answer=True)).startswith("404")
    assert done.after(flask_call("GET", "/users/1", answer=True)) == '200 {"name":"Ada"}'


def test_a_number_that_arrives_as_text_is_converted(heal: Any, flask_call: Callable[..., str]) -> None:
    """The service module multiplies what the client sent as text."""
    files = {
        "app.py": HEAD
        + "from pricing import total\n\n\n@app.post('/t')\ndef t():\n    return jsonify(t=total(request.json))\n",
        "pricing.py": "def total(line):\n    quantity = line['quantity']\n    return quantity * 2.5\n",
    }
    done = heal(files, flask_call("POST", "/t", {"quantity": "3"}))
    assert done.best.effect is Effect.CORRECT
    assert done.after(flask_call("POST", "/t", {"quantity": "3"}, answer=True)) == '200 {"t":7.5}'


def test_text_that_is_no_number_is_refused(heal: Any, flask_call: Callable[..., str]) -> None:
    """`int()` of a query parameter becomes a 400 where it fails."""
    app = HEAD + "@app.get('/p')\ndef p():\n    page = int(request.args['page'])\n    return str(page)\n"
    done = heal({"app.py": app}, flask_call("GET", "/p?page=x"))
    assert done.after(flask_call("GET", "/p?page=x", answer=True)).startswith("400")
    assert done.after(flask_call("GET", "/p?page=3", answer=True)) == "200 3"


def test_a_divisor_of_zero_is_refused(heal: Any, flask_call: Callable[..., str]) -> None:
    """The client is told that the divisor must not be zero, and no result is made up."""
    app = HEAD + "@app.post('/s')\ndef s():\n    data = request.get_json()\n    return str(10 / data['people'])\n"
    done = heal({"app.py": app}, flask_call("POST", "/s", {"people": 0}))
    assert done.best.effect is Effect.REFUSE
    assert done.after(flask_call("POST", "/s", {"people": 0}, answer=True)).startswith("400")


def test_stored_data_is_not_the_clients_fault(heal: Any, flask_call: Callable[..., str]) -> None:
    """A key that stored data lacks gets the default that the code base uses, and no 4xx."""
    app = HEAD + (
        "ROWS = [{'n': 1}]\n\n\ndef other(row):\n    return row.get('stock', 0)\n\n\n"
        "@app.get('/r')\ndef r():\n    return jsonify([row['stock'] for row in ROWS])\n"
    )
    done = heal({"app.py": app}, flask_call("GET", "/r"))
    assert done.best.effect is Effect.RECOVER
    assert done.after(flask_call("GET", "/r", answer=True)) == "200 [0]"


def test_the_recorded_request_tells_what_the_code_does_not(heal: Any, flask_call: Callable[..., str]) -> None:
    """Behind `**data` the code does not show where a value comes from, but the request holds the same object."""
    files = {
        "app.py": HEAD
        + "import orders\n\n\n@app.post('/o')\ndef create():\n    data = request.get_json()\n"
        + "    return jsonify(total=orders.total(**data))\n",
        "orders.py": "def total(order, note=''):\n    return order['price'] * 2\n",
    }
    body = {"order": {"colour": "red", "count": 2}}
    request = Request(method="POST", path="/o", body=json.dumps(body).encode(), framework="flask")
    done = heal(files, flask_call("POST", "/o", body), request)
    assert done.best.effect is Effect.REFUSE
    assert any("the request holds the same value in its body" in sentence for sentence in done.best.evidence)
    assert done.after(flask_call("POST", "/o", body, answer=True)).startswith("400")


def test_a_value_that_is_used_sometimes_is_refused_only_then(heal: Any, flask_call: Callable[..., str]) -> None:
    """After `and`, in a branch or in a one-line `if` no guard is put before: requests that never needed it still work."""
    app = HEAD + (
        "@app.post('/o')\ndef create():\n    data = request.get_json()\n"
        "    gift = data.get('gift') and data['message']\n    return jsonify(gift=gift)\n"
    )
    done = heal({"app.py": app}, flask_call("POST", "/o", {"gift": True}))
    assert done.after(flask_call("POST", "/o", {"gift": True}, answer=True)).startswith("400")
    assert done.after(flask_call("POST", "/o", {"gift": False}, answer=True)) == '200 {"gift":false}'
