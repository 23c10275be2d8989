"""Crashes of classes and functions without a framework, each as a program that is run, healed and run again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from homeostasis.models import Effect

CORRECT, RECOVER, INVENT = Effect.CORRECT, Effect.RECOVER, Effect.INVENT
CASES = {
    "text-of-a-number": ("class Room:\n    def __init__(self, number):\n        self.number = number\n\n    def __str__(self):\n        return self.number\n\n\ndef f():\n    return str(Room(7))\n", "f()", "7", CORRECT),
    "iterator-of-a-list": ("class Shelf:\n    def __init__(self, books):\n        self.books = books\n\n    def __iter__(self):\n        return self.books\n\n\ndef f():\n    return [book for book in Shelf([1, 2])]\n", "f()", "[1, 2]", CORRECT),
    "truth-of-a-number": ("class Queue:\n    jobs = [1]\n\n    def __bool__(self):\n        return len(self.jobs)\n\n\ndef f():\n    return bool(Queue())\n", "f()", "True", CORRECT),
    "equal-to-another-kind": ("class Money:\n    def __init__(self, amount):\n        self.amount = amount\n\n    def __eq__(self, other):\n        return self.amount == other.amount\n\n\ndef f():\n    return Money(1) == 1, Money(1) == Money(1), Money(1) != None\n", "f()", "(False, True, True)", CORRECT),
    "equal-to-no-mapping": ("class Table:\n    def __init__(self, rows):\n        self.rows = rows\n\n    def __eq__(self, other):\n        return sorted(self.rows.items()) == sorted(other.items())\n\n\ndef f():\n    return Table({1: 2}) == 3, Table({1: 2}) == {1: 2}\n", "f()", "(False, True)", CORRECT),
    "default-of-get": ("class Settings:\n    values = {'a': 1}\n\n    def __getitem__(self, key):\n        return self.values[key]\n\n    def get(self, key, default=None):\n        return self[key]\n\n\ndef f():\n    return Settings().get('a'), Settings().get('b', 5)\n", "f()", "(1, 5)", RECOVER),
    "default-of-an-item": ("def nth(rows, n, default=0):\n    return rows[n]\n\n\ndef f():\n    return nth([1], 0), nth([1], 4)\n", "f()", "(1, 0)", RECOVER),
    "optional-library": ("import json\n\ntry:\n    import no_such_library_of_anybody as fast\nexcept ImportError:\n    pass\n\n\ndef f():\n    return (json if fast is None else fast).dumps([1])\n", "f()", "[1]", CORRECT),
    "tested-digits": ("def f(rows, key):\n    if key.isdigit():\n        return rows[key]\n    return key\n", "f([5, 6], '1')", "6", CORRECT),
    "tested-digits-copied": ("def f(rows, key):\n    if key.isdigit():\n        n = key\n        if n < len(rows):\n            return rows[n]\n    return None\n", "f([5, 6], '1')", "6", CORRECT),
    "sibling-conversion": ("def f(major, minor, patch):\n    parts = {'major': int(major), 'minor': minor, 'patch': int(patch)}\n    for name, value in parts.items():\n        if value < 0:\n            raise ValueError(name)\n    return parts\n", "f('1', '2', '3')", "{'major': 1, 'minor': 2, 'patch': 3}", CORRECT),
    "number-before-text": ("import re\n\n\ndef f(text):\n    return str(re.search('[0-9]+', text).group() + 1)\n", "f('a9')", "10", CORRECT),
    "slot": ("class Point:\n    __slots__ = ('_x', '_y')\n\n    def __init__(self, x, y):\n        self._xs = x\n        self._y = y\n\n    def sum(self):\n        return self._x + self._y\n\n\ndef f():\n    return Point(1, 2).sum()\n", "f()", "3", CORRECT),
    "self-taken-for-an-argument": ("class Size:\n    def __init__(width, height=1):\n        self.width = int(width)\n        self.height = height\n\n\ndef f():\n    return Size(3).width\n", "f()", "3", CORRECT),
    "factory": ("class Box:\n    size = 3\n\n\ndef box():\n    Box()\n\n\ndef f():\n    return box().size\n", "f()", "3", CORRECT),
    "documented-result": ("import json\n\n\ndef text(row):\n    \"\"\"Write a row.\n\n    :return: its JSON\n    \"\"\"\n    json.dumps(row)\n\n\ndef f():\n    return json.loads(text([1]))\n", "f()", "[1]", CORRECT),
    "nested-key-function": ("def f(words):\n    def key(word):\n        if word.isdigit():\n            return (0, int(word))\n        (1, word)\n\n    keys = [key(word) for word in words]\n    pairs = list(zip(keys, keys[1:]))\n    return [a < b for a, b in pairs]\n", "f(['1', 'b'])", "[True]", CORRECT),
    "property-with-setter": ("class Point:\n    def __init__(self, x):\n        self._x = x\n\n    @property\n    def x(self):\n        self._x\n\n    @x.setter\n    def x(self, value):\n        self._x = value\n\n    def text(self):\n        return '%d' % self.x\n\n\ndef f():\n    return Point(3).text()\n", "f()", "3", CORRECT),
    "items-of-its-own": ("class Bag(dict):\n    def plain(self):\n        return [key + value for key, value in self]\n\n\ndef f():\n    return Bag(one='x').plain()\n", "f()", "['onex']", CORRECT),
    "updated-and-read": ("def f(rows):\n    for row in rows:\n        merged.update(row)\n    return sorted(merged.items())\n", "f([{'a': 1}])", "[('a', 1)]", CORRECT),
    "default-of-neighbours": ("class Store:\n    def pop(self, key, default=None):\n        return default\n\n    def peek(self, key, default):\n        return default\n\n\ndef f():\n    return Store().peek('a')\n", "f()", "None", RECOVER),
    "documented-default": ("def page(rows, size):\n    \"\"\"Cut rows.\n\n    Args:\n        rows: what is cut.\n        size: how many are kept (default: 2).\n    \"\"\"\n    return rows[:size]\n\n\ndef f():\n    return page([1, 2, 3])\n", "f()", "[1, 2]", RECOVER),
    "asked-for-in-vain": ("def count(words, counts=None):\n    if counts is None:\n        pass\n    for word in words:\n        counts[word] = counts.get(word, 0) + 1\n    return counts\n\n\ndef f():\n    return count('aba')\n", "f()", "{'a': 2, 'b': 1}", CORRECT),
    "kind-asked-for-beside": ("class Node:\n    def plain(self):\n        return {}\n\n\ndef one(value):\n    return value.plain() if isinstance(value, Node) else value\n\n\ndef f():\n    return [value.plain() for value in (Node(), 2)], one(3)\n", "f()", "([{}, 2], 3)", CORRECT),
    "inherited-initialiser": ("class Shape:\n    def __init__(self, colour):\n        self.colour = colour\n\n\nclass Circle(Shape):\n    pass\n\n\ndef f():\n    return Circle(colours='red').colour\n", "f()", "red", CORRECT),
    "keyword-of-python": ("from datetime import timedelta\n\n\ndef f():\n    return timedelta(day=2).days, max([], defaults=3)\n", "f()", None, CORRECT),
    "default-that-is-passed-on": ("class Jobs:\n    def every(self, interval=2):\n        return interval\n\n\njobs = Jobs()\n\n\ndef every(interval):\n    return jobs.every(interval)\n\n\ndef f():\n    return every()\n", "f()", "2", RECOVER),
    "field-of-a-percent-format": ("def f(n):\n    fmt = '%(interval)s!'\n    return fmt % dict(intervals=n)\n", "f(3)", "3!", CORRECT),
    "key-that-is-passed-on": ("class Version:\n    def __init__(self, major, minor=0):\n        self.parts = major, minor\n\n\ndef parts(text):\n    major, minor = text.split('.')\n    return {'majors': int(major), 'minor': int(minor)}\n\n\ndef f():\n    return Version(**parts('1.2')).parts\n", "f()", "(1, 2)", CORRECT),
    "part-of-a-text": ("def f(text):\n    hour, minute = text.split(':')\n    minute = int(minute)\n    if not 0 <= hour <= 23:\n        return None\n    return minute\n", "f('10:30')", "30", CORRECT),
    "overloaded": ("from typing import overload\n\n\nclass Store:\n    @overload\n    def get(self, key): ...\n\n    @overload\n    def get(self, key, convert): ...\n\n    def get(self, key, convert=None):\n        return convert(key)\n\n\ndef f():\n    return Store().get('3', converts=int)\n", "f()", "3", CORRECT),
    "results-of-a-result": ("def f(rows):\n    for row in rows:\n        result = row + 1\n        results.append(result)\n    return results\n", "f([1])", "[2]", CORRECT),
    "d-of-a-mapping": ("class Bag(dict):\n    def get(self, k, d=None):\n        return self[k]\n\n\ndef f():\n    return Bag().get('a', 3)\n", "f()", "3", RECOVER),
    "self-in-an-inner-function": ("class Bus:\n    name = 'b'\n\n    def via(sender, weak=False):\n        def decorate(function):\n            return self.name, sender, function\n\n        return decorate\n\n\ndef f():\n    return Bus().via('x')(3)\n", "f()", "('b', 'x', 3)", CORRECT),
    "attribute-among-keys": ("class Row(dict):\n    def __getattr__(self, name):\n        return self[name]\n\n\ndef f():\n    return hasattr(Row(a=1), 'b'), Row(a=1).a\n", "f()", "(False, 1)", CORRECT),
    "name-of-the-module-as-default": ("ANY = object()\n\n\nclass Bus:\n    def connect(self, sender=ANY):\n        return sender\n\n    def disconnect(self, sender=ANY):\n        return sender\n\n    def mute(self, sender):\n        return sender is ANY\n\n\ndef f():\n    return Bus().mute()\n", "f()", "True", RECOVER),
    "dicts-of-its-own": ("class Index:\n    def __init__(self):\n        self.table = dict(a=1)\n\n    def pairs(self):\n        return [(value, key) for key, value in self.table]\n\n\ndef f():\n    return Index().pairs()\n", "f()", "[(1, 'a')]", CORRECT),
    "initialiser-of-two-classes": ("class Item:\n    def __init__(self):\n        self.label = 'x'\n\n\nclass Items:\n    def __init__(self):\n        self.label = []\n\n    def size(self):\n        return len(self.labels)\n\n    def first(self):\n        return self.labels[:1]\n\n\ndef f():\n    return Items().size(), Items().first(), Item().label\n", "f()", "(0, [], 'x')", CORRECT),
}  # fmt: skip


@pytest.mark.parametrize("name", list(CASES))
def test_a_crash_is_healed(heal: Any, name: str) -> None:
    """The best candidate has the effect of the case, and the same call gives the answer that was meant."""
    source, call, expected, effect = CASES[name]
    done = heal({"shop.py": source}, f"import shop; shop.{call}")
    assert done.best.effect is effect
    if expected is None:  # several mistakes of a kind, of which one crash tells one
        assert done.rules == {"misspelt-keyword"}
    else:
        assert done.after(f"import shop; print(shop.{call})") == expected


OUTSIDE = {
    "chained": ("class Version:\n    def __init__(self, n):\n        self.n = n\n\n    def bump(self) -> 'Version':\n        kind = type(self)\n        kind(self.n + 1)\n", "print(shop.Version(1).bump().n)", "2"),
    "missing-key": ("class Tree(dict):\n    def __missing__(self, key):\n        type(self)()\n", "print(shop.Tree()['a'].get('b', 4))", "4"),
    "length": ("class Shelf:\n    books = [1]\n\n    def __len__(self):\n        len(self.books)\n", "print(len(shop.Shelf()))", "1"),
    "copied": ("class Point(tuple):\n    def __getnewargs__(self):\n        return [[1, 2]]\n", "import copy; print(copy.copy(shop.Point((1, 2))))", "(1, 2)"),
}  # fmt: skip


@pytest.mark.parametrize("name", list(OUTSIDE))
def test_what_a_script_trips_over_is_healed_where_it_was_made(heal: Any, tmp_path: Path, name: str) -> None:
    """A function that forgot to return is found, though only the line of somebody else's script is left of the crash."""
    source, script, expected = OUTSIDE[name]
    outside = tmp_path / "script.py"
    outside.write_text(f"import shop\n{script}\n", "utf-8")
    run = f"import runpy; runpy.run_path({str(outside)!r})"
    done = heal({"shop.py": source}, run)
    assert done.best.effect is CORRECT
    assert done.after(run) == expected


def test_a_class_of_the_app_is_imported(heal: Any) -> None:
    """A name that one other module of the app defines is imported from there, as the file imports its neighbours."""
    files = {
        "shop/__init__.py": "",
        "shop/prices.py": "def total(rows):\n    return sum(rows)\n",
        "shop/items.py": "class Item:\n    price = 3\n",
        "shop/cart.py": "from .prices import total\n\n\ndef f():\n    return total([Item.price])\n",
    }
    done = heal(files, "import shop.cart; shop.cart.f()")
    assert done.best.effect is CORRECT
    assert done.after("import shop.cart; print(shop.cart.f())") == "3"


LEFT_ALONE = {
    "sum-of-another-kind": ("class Money:\n    def __init__(self, amount):\n        self.amount = amount\n\n    def __add__(self, other):\n        return Money(self.amount + other.amount)\n\n\ndef f():\n    return Money(1) + 'a'\n", "f()"),
    "default-that-is-read": ("def nth(rows, n, default=0):\n    if n is None:\n        return default\n    return rows[n]\n\n\ndef f():\n    return nth([1], 4)\n", "f()"),
    "default-that-is-a-mark": ("MISSING = object()\n\n\ndef nth(rows, key, default=MISSING):\n    return rows[key]\n\n\ndef f():\n    return nth({}, 4)\n", "f()"),
    "library-that-is-needed": ("try:\n    import no_such_library_of_anybody as fast\nexcept ImportError:\n    pass\n\n\ndef f():\n    return fast.dumps([1])\n", "f()"),
    "branches-with-values-of-their-own": ("def f(kind):\n    if kind == 'a':\n        rate = 3\n    elif kind == 'b':\n        pass\n    else:\n        rate = 5\n    rate += 1\n    return rate\n", "f('b')"),
    "procedure": ("class Log:\n    def write(self, text):\n        print(text)\n\n\ndef f():\n    return Log().write('a').strip()\n", "f()"),
    "kind-that-nobody-asks-for": ("class Node:\n    def plain(self):\n        return {}\n\n\ndef f():\n    return [value.plain() for value in (Node(), 2)]\n", "f()"),
    "kind-that-becomes-something-else": ("class Node:\n    def plain(self):\n        return {}\n\n\ndef one(value):\n    return value.plain() if isinstance(value, Node) else None\n\n\ndef f():\n    return [value.plain() for value in (Node(), 2)], one(2)\n", "f()"),
    "mapping-without-such-a-key": ("def f(n):\n    return '%(interval)s!' % dict(seconds=n)\n", "f(3)"),
    "key-that-the-code-asks-for": ("class Row(dict):\n    def __getattr__(self, name):\n        return self['rows'][name]\n\n\ndef f():\n    return Row(a=1).b\n", "f()"),
    "flag-without-default": ("def parse(text, strict: bool):\n    return text if strict else ''\n\n\ndef f():\n    return parse('a')\n", "f()"),
    "parameter-that-must-be-given": ("class Room:\n    def __init__(self, number):\n        self.number = number\n\n\ndef f():\n    return Room()\n", "f()"),
}  # fmt: skip


@pytest.mark.parametrize("name", list(LEFT_ALONE))
def test_what_only_looks_alike_is_not_changed_without_asking(heal: Any, name: str) -> None:
    """No candidate would be deployed: there is none, or it is for a person to judge."""
    source, call = LEFT_ALONE[name]
    done = heal({"shop.py": source}, f"import shop; shop.{call}")
    assert [patch.summary for patch in done.patches if patch.effect is not INVENT and patch.risk.value != "high"] == []
