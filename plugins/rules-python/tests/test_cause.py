"""Diagnoses say why a value was bad: followed back through the files of the app."""

from __future__ import annotations

from typing import Any, Dict

import pytest

API = "from shop.store import find_customer\n\n\ndef greet(number):\n    customer = find_customer(number)\n    return customer.name\n"
CASES: Dict[str, Any] = {
    "a function of another file returns None under a condition": (
        {
            "shop/api.py": API,
            "shop/store.py": "ROWS = {}\n\n\ndef find_customer(number):\n    row = ROWS.get(number)\n    if row is None:\n        return None\n    return row\n",
        },
        "from shop.api import greet; greet(1)",
        "`customer` is None because `find_customer` (shop/store.py:7) returns None when `row is None`",
    ),
    "a function of another file hands on what a query gave": (
        {
            "shop/api.py": API.replace("from shop.store import find_customer", "from . import store").replace(
                "find_c", "store.find_c"
            ),
            "shop/store.py": "class Query:\n    def filter(self, x):\n        return self\n\n    def first(self):\n        pass\n\n\ndef find_customer(number):\n    return Query().filter(number).first()\n",
        },
        "from shop.api import greet; greet(1)",
        "`customer` is None because `find_customer` (shop/store.py:10) returns `Query().filter(number).first()`, "
        "and `Query().filter(number).first()` (shop/store.py:10) is None when no row matches",
    ),
    "a loop that finds nothing": (
        {
            "shop/api.py": API,
            "shop/store.py": "ROWS = []\n\n\ndef find_customer(number):\n    for row in ROWS:\n        if row.number == number:\n            return row\n    return None\n",
        },
        "from shop.api import greet; greet(1)",
        "returns None when nothing in `ROWS` is found",
    ),
    "a function that can reach its end": (
        {
            "shop/api.py": API,
            "shop/store.py": "def find_customer(number):\n    if number > 3:\n        return number\n",
        },
        "from shop.api import greet; greet(1)",
        "`find_customer` (shop/store.py:1) can reach its end without a return",
    ),
    "an argument of the caller": (
        {
            "shop/api.py": "def show(order):\n    return order.total\n\n\ndef run():\n    return show(None)\n",
        },
        "from shop.api import run; run()",
        "`order` is None because `run` (shop/api.py:6) passes `None`",
    ),
    "an attribute of the object": (
        {
            "shop/api.py": "class Cart:\n    def __init__(self):\n        self.owner = None\n\n    def show(self):\n        return self.owner.name\n",
        },
        "from shop.api import Cart; Cart().show()",
        "`self.owner` is None because `__init__` (shop/api.py:3) sets it to `None` and nothing else assigns it",
    ),
    "a zero from another file": (
        {
            "shop/api.py": "import shop.store\n\n\ndef mean(total):\n    count = shop.store.count()\n    return total / count\n",
            "shop/store.py": "def count():\n    try:\n        return int('x')\n    except ValueError:\n        return 0\n",
        },
        "from shop.api import mean; mean(1)",
        "`count` is zero because `count` (shop/store.py:5) returns zero on `ValueError`",
    ),
    "a dict that is built without the key": (
        {
            "shop/api.py": "from shop.store import load\n\n\ndef show():\n    order = load()\n    return order['price']\n",
            "shop/store.py": "def load():\n    return {'id': 1}\n",
        },
        "from shop.api import show; show()",
        "`order` lacks 'price' because `load` (shop/store.py:2) returns a dict without 'price'",
    ),
}


@pytest.mark.parametrize("name", list(CASES))
def test_the_diagnosis_says_why(heal: Any, name: str) -> None:
    """A real crash; the sentence names the place that made the value what it is."""
    files, code, expected = CASES[name]
    done = heal({"shop/__init__.py": "", **files}, code)
    summaries = {diagnosis.summary for diagnosis in done.diagnoses}
    if not summaries:
        pytest.fail("no diagnosis")
    assert any(expected in summary for summary in summaries), summaries


def test_what_the_code_does_not_say_is_not_claimed(heal: Any) -> None:
    """A function that may return many things gives no reason."""
    files = {
        "shop.py": "def find(number):\n    return globals()['ROW']\n\n\nROW = None\n\n\ndef show():\n    return find(1).name\n"
    }
    done = heal(files, "import shop; shop.show()")
    assert all("because" not in diagnosis.summary for diagnosis in done.diagnoses)


def test_functions_that_call_each_other_end(heal: Any) -> None:
    """Following a value stops after some steps."""
    files = {
        "shop.py": "def a(n):\n    if n:\n        return b(n - 1)\n    return b(n)\n\n\ndef b(n):\n    if n:\n        return a(n)\n"
        "    return a(n) if n else c()\n\n\ndef c():\n    pass\n\n\ndef show():\n    return a(0).name\n"
    }
    done = heal(files, "import shop; shop.show()")
    assert done.diagnoses
