"""Pairs of crashes, labelled as a person would group them: one incident, or two."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import Any, Callable, NamedTuple

import pytest

from homeostasis.monitoring.capture import describe
from homeostasis.monitoring.fingerprint import fingerprint


class Crash(NamedTuple):
    """A module of an app, and the call that crashes in it."""

    source: str
    call: str = "crash()"
    module: str = "shop"
    root: str = "one"
    service: str = "shop"


SHOP = """
def price(prices, sku):
    found = prices[sku]
    return found

def total(cart):
    return sum(price({"apple": 1}, sku) for sku in cart)

def crash(sku="pear"):
    return price({}, sku)

def refund(sku="pear"):
    return price({}, sku)

def deep(n):
    return deep(n - 1) if n else price({}, "x")

def even(n):
    return odd(n - 1) if n else price({}, "x")

def odd(n):
    return even(n - 1) if n else price({}, "x")

def one(n): return two(n)
def two(n): return three(n)
def three(n): return four(n)
def four(n): return five(n)
def five(n): return price({}, n)
def first(n): return one(n)
def second(n): return one(n)
"""
CLASSES = """
class Base:
    def run(self, value):
        return self.step(value)

    def step(self, value):
        return 1 / value

class Child(Base):
    def step(self, value):
        return 1 / value

    @property
    def share(self):
        return 1 / 0

    @staticmethod
    def fixed(value):
        return 1 / value

    @classmethod
    def made(cls, value):
        return 1 / value
"""
NESTED = """
def outer(kind):
    def inner(value):
        return value["key"]
    def other(value):
        return value["key"]
    return inner if kind == "inner" else other

def elsewhere():
    def inner(value):
        return value["key"]
    return inner

double = lambda value: value["key"]
def call_lambda(value): return (lambda v: v["key"])(value)
def call_other(value): return (lambda v: v["key"])(value)
def chosen(items): return [item["key"] for item in items]
def chosen_set(items): return {item["key"] for item in items}
def made(items):
    for item in items:
        yield item["key"]
def lazily(items): return list(item["key"] for item in items)
"""
CHAINED = """
class Wrapped(Exception):
    pass

class Narrow(Wrapped):
    pass

def crash(kind, cause=True, message="x", error=Wrapped):
    try:
        if kind == "key":
            {}["a"]
        elif kind == "zero":
            1 / 0
        int(kind)
    except Exception as caught:
        if cause is None:
            raise error(message) from None
        raise error(message) from caught

def implicit(kind):
    try:
        crash(kind)
    except Wrapped:
        raise RuntimeError("while handling")

def noted(note):
    error = Wrapped("x")
    error.__notes__ = [note]
    raise error
"""
ASYNC = """
import asyncio

async def fetch(value):
    await asyncio.sleep(0)
    return value["key"]

async def first(value):
    return await fetch(value)

async def second(value):
    return await fetch(value)

async def together(value):
    return await asyncio.gather(fetch(value))

def run(task, value):
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(globals()[task](value))
    finally:
        loop.close()
"""
LIBRARY = """
import json
from functools import lru_cache, partial, reduce

def parse(text): return json.loads(text)
def parse_all(texts): return [json.loads(text) for text in texts]
@lru_cache(maxsize=None)
def cached(key): return {}[key]
def reduced(items): return reduce(lambda a, b: a / b, items)
def mapped(items): return list(map(int, items))
def ordered(items): return sorted(items, key=lambda item: item["k"])
"""

SAME: dict[str, tuple[Crash, Crash]] = {
    "comment above": (Crash(SHOP), Crash("# a comment\n\n\n" + SHOP)),
    "function added above": (Crash(SHOP), Crash("def added():\n    return 1\n" + SHOP)),
    "import added": (Crash(SHOP), Crash("import os\nimport sys\n" + SHOP)),
    "docstring added to the function": (
        Crash(SHOP),
        Crash(SHOP.replace("def price(prices, sku):\n", 'def price(prices, sku):\n    """The price."""\n')),
    ),
    "line after the failing one changed": (Crash(SHOP), Crash(SHOP.replace("return found", "return found + 1"))),
    "parameter added": (Crash(SHOP), Crash(SHOP.replace("def price(prices, sku)", "def price(prices, sku, tax=0)"))),
    "annotations added": (Crash(SHOP), Crash(SHOP.replace("(prices, sku):", "(prices: dict, sku: str) -> int:"))),
    "indented deeper": (
        Crash(SHOP),
        Crash(SHOP.replace("    found = prices[sku]", "    if True:\n        found = prices[sku]")),
    ),
    "line of the caller changed": (Crash(SHOP), Crash(SHOP.replace("return price({}, sku)", "return price({}, sku) + 0"))),
    "other key": (Crash(SHOP), Crash(SHOP, "crash('plum')")),
    "key of another type": (Crash(SHOP), Crash(SHOP, "crash(5)")),
    "key with an id": (Crash(SHOP, "crash('order-1')"), Crash(SHOP, "crash('order-8531')")),
    "other machine": (Crash(SHOP), Crash(SHOP, root="two")),
    "other service": (Crash(SHOP), Crash(SHOP, service="shop-eu")),
    "other value of the argument": (Crash(CLASSES, "Base().run(0)"), Crash(CLASSES, "Base().run(0.0)")),
    "recursion of 1 and 2": (Crash(SHOP, "deep(1)"), Crash(SHOP, "deep(2)")),
    "recursion of 3 and 200": (Crash(SHOP, "deep(3)"), Crash(SHOP, "deep(200)")),
    "mutual recursion": (Crash(SHOP, "even(2)"), Crash(SHOP, "even(40)")),
    "far outer caller": (Crash(SHOP, "first(1)"), Crash(SHOP, "second(1)")),
    "method, other instance": (Crash(CLASSES, "Child().run(0)"), Crash(CLASSES, "Child().run(0)", root="two")),
    "class moved down": (Crash(CLASSES, "Child().share"), Crash("x = 1\n" + CLASSES, "Child().share")),
    "nested function moved": (Crash(NESTED, "outer('inner')({})"), Crash("\n\n" + NESTED, "outer('inner')({})")),
    "lambda moved": (Crash(NESTED, "double({})"), Crash("\n" + NESTED, "double({})")),
    "lambda in a function, other value": (Crash(NESTED, "call_lambda({})"), Crash(NESTED, "call_lambda({1: 2})")),
    "comprehension, later item": (Crash(NESTED, "chosen([{}])"), Crash(NESTED, "chosen([{'key': 1}, {}])")),
    "generator, later item": (Crash(NESTED, "list(made([{}]))"), Crash(NESTED, "list(made([{'key': 1}, {}]))")),
    "consumed in another way": (Crash(NESTED, "list(made([{}]))"), Crash(NESTED, "next(made([{}]))")),
    "message of a wrapper": (Crash(CHAINED, "crash('key')"), Crash(CHAINED, "crash('key', message='y 17')")),
    "note": (Crash(CHAINED, "noted('a')"), Crash(CHAINED, "noted('b')")),
    "suppressed cause": (Crash(CHAINED, "crash('key', None)"), Crash(CHAINED, "crash('key', None, 'again')")),
    "message of the cause": (Crash(CHAINED, "crash('one')"), Crash(CHAINED, "crash('two')")),
    "implicit chain": (Crash(CHAINED, "implicit('one')"), Crash("\n" + CHAINED, "implicit('two')")),
    "coroutine": (Crash(ASYNC, "run('first', {})"), Crash("\n" + ASYNC, "run('first', {1: 2})")),
    "library, other text": (Crash(LIBRARY, "parse('{')"), Crash(LIBRARY, "parse('[1,')")),
    "library moved": (Crash(LIBRARY, "mapped('a')"), Crash(LIBRARY, "mapped('b')", root="two")),
    "called through a library": (Crash(LIBRARY, "cached('a')"), Crash(LIBRARY, "partial(cached, 'b')()")),
    "lambda called by a library": (Crash(LIBRARY, "ordered([{}])"), Crash(LIBRARY, "ordered([{'k': 1}, {}])")),
    "spaces within the same line": (Crash(SHOP), Crash(SHOP.replace("    found =", "\tfound =").replace("    return found", "\treturn found"))),
    "line ends of another system": (Crash(SHOP), Crash(SHOP.replace("\n", "\r\n"))),
}  # fmt: skip
DIFFERENT: dict[str, tuple[Crash, Crash]] = {
    "other caller": (Crash(SHOP), Crash(SHOP, "refund()")),
    "generator as caller": (Crash(SHOP), Crash(SHOP, "total(['pear'])")),
    "recursion and plain call": (Crash(SHOP), Crash(SHOP, "deep(3)")),
    "other type": (Crash(SHOP), Crash(SHOP.replace("price({}, sku)", "price([], sku)"))),
    "other line": (Crash(SHOP), Crash(SHOP.replace("prices[sku]", "prices[sku.upper()]"))),
    "failing line rewritten": (Crash(SHOP), Crash(SHOP.replace("found = prices[sku]", "found = prices[sku, 0]"))),
    "function renamed": (Crash(SHOP), Crash(SHOP.replace("price(", "cost("))),
    "other module": (Crash(SHOP), Crash(SHOP, module="billing")),
    "method of the parent and of the child": (Crash(CLASSES, "Base().run(0)"), Crash(CLASSES, "Child().run(0)")),
    "method called directly": (Crash(CLASSES, "Base().run(0)"), Crash(CLASSES, "Base().step(0)")),
    "static and class method": (Crash(CLASSES, "Child.fixed(0)"), Crash(CLASSES, "Child.made(0)")),
    "property and method": (Crash(CLASSES, "Child().share"), Crash(CLASSES, "Child().step(0)")),
    "division by zero and by text": (Crash(CLASSES, "Base().step(0)"), Crash(CLASSES, "Base().step('a')")),
    "two nested functions": (Crash(NESTED, "outer('inner')({})"), Crash(NESTED, "outer('other')({})")),
    "nested functions of one name": (Crash(NESTED, "outer('inner')({})"), Crash(NESTED, "elsewhere()({})")),
    "lambdas of two functions": (Crash(NESTED, "call_lambda({})"), Crash(NESTED, "call_other({})")),
    "lambda of the module and of a function": (Crash(NESTED, "double({})"), Crash(NESTED, "call_lambda({})")),
    "two comprehensions": (Crash(NESTED, "chosen([{}])"), Crash(NESTED, "chosen_set([{}])")),
    "generator function and expression": (Crash(NESTED, "list(made([{}]))"), Crash(NESTED, "lazily([{}])")),
    "other cause": (Crash(CHAINED, "crash('key')"), Crash(CHAINED, "crash('zero')")),
    "cause of a value": (Crash(CHAINED, "crash('key')"), Crash(CHAINED, "crash('text')")),
    "subclass": (Crash(CHAINED, "crash('key')"), Crash(CHAINED, "crash('key', error=Narrow)")),
    "handled further": (Crash(CHAINED, "crash('key')"), Crash(CHAINED, "implicit('key')")),
    "root cause below a handler": (Crash(CHAINED, "implicit('key')"), Crash(CHAINED, "implicit('zero')")),
    "two coroutines": (Crash(ASYNC, "run('first', {})"), Crash(ASYNC, "run('second', {})")),
    "awaited and gathered": (Crash(ASYNC, "run('first', {})"), Crash(ASYNC, "run('together', {})")),
    "one text and many": (Crash(LIBRARY, "parse('{')"), Crash(LIBRARY, "parse_all(['{'])")),
    "two uses of libraries": (Crash(LIBRARY, "parse('{')"), Crash(LIBRARY, "mapped('a')")),
    "same name, other class of error": (
        Crash("class Error(Exception): pass\ndef crash():\n    raise Error\n"),
        Crash("class Error(ValueError): pass\nclass Other:\n    class Error(Exception): pass\ndef crash():\n    raise Other.Error\n"),
    ),
}  # fmt: skip

GOLDEN = {
    "plain": (Crash(SHOP), "8df4ea5bbf9ef795"),
    "recursion": (Crash(SHOP, "deep(5)"), "93ff4cda1cf1fdea"),
    "method": (Crash(CLASSES, "Child().run(0)"), "374c1543d93e6929"),
    "property": (Crash(CLASSES, "Child().share"), "843df1c5dcb75c5a"),
    "nested": (Crash(NESTED, "outer('inner')({})"), "f868bd78004c70bb"),
    "lambda": (Crash(NESTED, "call_lambda({})"), "8f83989a017437af"),
    "comprehension": (Crash(NESTED, "chosen([{}])"), "45fc872e1f7b829a"),
    "generator": (Crash(NESTED, "list(made([{}]))"), "401f7f2de8bda40d"),
    "chain": (Crash(CHAINED, "crash('zero')"), "5d75fbdbbe35e55b"),
    "coroutine": (Crash(ASYNC, "run('first', {})"), "a33056f1ac85643d"),
    "library": (Crash(LIBRARY, "mapped('a')"), "d9ec9f4f97ad65e4"),
}


@pytest.fixture
def print_of(tmp_path: Path, raised_by: Callable[..., BaseException]) -> Callable[[Crash], str]:
    """Has a crash happen in a project of its own, and takes the fingerprint."""

    def take(crash: Crash) -> str:
        root = tmp_path / crash.root / ("x" if crash.root == "one" else "deeper/down")
        root.mkdir(parents=True, exist_ok=True)
        file = root / f"{crash.module}.py"
        file.write_bytes(crash.source.encode())
        names: dict[str, Any] = {"__name__": crash.module, "__file__": str(file)}
        exec(compile(file.read_bytes(), str(file), "exec"), names)
        error = raised_by(lambda: eval(crash.call, names))
        file.unlink()
        file.write_bytes(crash.source.encode())
        return str(describe(error, project_root=str(root), service=crash.service)["fingerprint"])

    return take


@pytest.mark.parametrize("name", list(SAME))
def test_one_incident(name: str, print_of: Callable[[Crash], str]) -> None:
    """What a person would call the same crash has one fingerprint."""
    first, second = SAME[name]
    assert print_of(first) == print_of(second)


@pytest.mark.parametrize("name", list(DIFFERENT))
def test_two_incidents(name: str, print_of: Callable[[Crash], str]) -> None:
    """What a person would tell apart has two fingerprints."""
    first, second = DIFFERENT[name]
    assert print_of(first) != print_of(second)


def test_there_are_enough_pairs() -> None:
    """At least sixty pairs are labelled."""
    assert len(SAME) + len(DIFFERENT) >= 60


@pytest.mark.parametrize("name", list(GOLDEN))
def test_on_every_python(name: str, print_of: Callable[[Crash], str]) -> None:
    """Two machines with two versions of Python report one incident: the fingerprint is the same on all."""
    crash, expected = GOLDEN[name]
    assert print_of(crash) == expected


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exception groups came with 3.11")
def test_groups(print_of: Callable[[Crash], str]) -> None:
    """A group is told apart by its first member's type, not by how many there are."""
    source = textwrap.dedent("""
        def crash(kind, count):
            raise ExceptionGroup("some", [kind(str(number)) for number in range(count)])
    """)
    one, many, other = (
        print_of(Crash(source, f"crash({call})")) for call in ("KeyError, 1", "KeyError, 3", "OSError, 1")
    )
    assert one == many != other


def test_paths_of_another_system() -> None:
    """A script, which has no module name, is the same on Windows."""
    prints = {
        fingerprint({"exceptions": [{"type": "E", "frames": [{"path": path, "function": "f", "in_app": True}]}]})
        for path in ("/srv/app/job.py", "C:\\app\\job.py", "job.py")
    }
    assert len(prints) == 1
