from __future__ import annotations

import ast
import collections
import datetime
import decimal
import enum
import uuid
from typing import Any

import pytest

from homeostasis.models import Value
from homeostasis.monitoring.redaction import Redactor
from homeostasis.monitoring.values import MAX_REPR, describe_value


def value(thing: object, name: str | None = None) -> Value:
    return Value.model_validate(describe_value(thing, Redactor(), name))


LITERALS: list[Any] = [
    None,
    True,
    0,
    -5,
    1.5,
    1 + 2j,
    "text",
    b"bytes",
    "",
    [],
    (),
    {},
    (1,),
    [1, [2, (3,)]],
    {"a": {1: b"x"}},
    {1, 2},
    "é\n\"'",
    10**300,
]


@pytest.mark.parametrize("thing", LITERALS, ids=repr)
def test_literals_read_back(thing: Any) -> None:
    """What is called a literal is read back as the same value."""
    made = value(thing)
    assert made.literal
    assert made.repr is not None
    assert ast.literal_eval(made.repr) == thing


class Color(enum.IntEnum):
    RED = 1


class Row(dict):  # type: ignore[type-arg]
    def __getitem__(self, key: object) -> object:
        raise AssertionError("user code ran")

    items = keys = __iter__ = __len__ = __getitem__  # type: ignore[assignment]


NOT_LITERALS: list[Any] = [
    float("nan"),
    float("inf"),
    [float("inf")],
    object(),
    [object()],
    "x" * 5000,
    list(range(1000)),
    set(),
    frozenset([1]),
    Color.RED,
    collections.OrderedDict(a=1),
    range(3),
    int,
    len,
    10**5000,
    datetime.datetime(2024, 1, 1),
    decimal.Decimal("1.5"),
]


@pytest.mark.parametrize("thing", NOT_LITERALS, ids=lambda thing: type(thing).__name__)
def test_anything_else_is_no_literal(thing: Any) -> None:
    """Values that are cut, are of other classes or hold such values are not called literals, and stay bounded."""
    made = value(thing)
    assert not made.literal
    assert len(made.repr or "") <= MAX_REPR + 10


def test_subclasses_of_containers_are_read_through_their_base() -> None:
    """Length and keys of a dict subclass are known though none of its methods runs."""
    made = value(Row(a=1))
    assert (made.type, made.length, made.keys, made.repr) == ("Row", 1, ("'a'",), "Row({'a': 1})")
    assert value(collections.deque([1, 2])).length == 2
    assert value(collections.defaultdict(list, a=[1])).repr == "defaultdict({'a': [1]})"


class _Explosive(type):
    def __getattribute__(cls, name: str) -> Any:
        raise AssertionError("user code ran")

    def __eq__(cls, other: object) -> bool:
        raise AssertionError("user code ran")

    __hash__ = type.__hash__


def _explode(*_: object, **__: object) -> Any:
    raise AssertionError("user code ran")


METHODS = [
    "__repr__",
    "__str__",
    "__len__",
    "__iter__",
    "__getitem__",
    "__eq__",
    "__hash__",
    "__bool__",
    "__getattr__",
    "__getattribute__",
    "__format__",
    "__instancecheck__",
    "__contains__",
    "__index__",
    "__int__",
    "__sizeof__",
    "__dir__",
    "__reduce__",
]


@pytest.mark.parametrize("base", [object, dict, list, str, int, tuple, set, bytes, float])
def test_hostile_objects_run_nothing(base: type) -> None:
    """No method, property or metaclass hook of the app runs, alone or within containers."""
    body = dict.fromkeys(METHODS, _explode)
    body["__class__"] = property(_explode)
    evil = _Explosive("Evil", (base,), body)
    thing = base.__new__(evil)
    made = value(thing)
    assert made.type == "Evil"
    inside = value([thing, {"k": thing}, (thing,)])
    assert inside.length == 3
    assert "Evil" in (inside.repr or "")


def test_self_containing_values_end() -> None:
    """A list that contains itself and very deep nesting are cut."""
    loop: list[Any] = []
    loop.append(loop)
    assert value(loop).repr is not None
    deep: Any = []
    for _ in range(10_000):
        deep = [deep]
    assert value(deep).literal is False


def test_a_half_made_value_is_described_by_its_class() -> None:
    """The constructor of a UUID that fails leaves one without its number in the captured frame."""
    described = value(uuid.UUID.__new__(uuid.UUID))
    assert described.type == "UUID"
    assert described.repr is None


def test_secrets_by_name_and_key() -> None:
    """A secret name hides the value, a secret key hides its item; None is shown, as it is the cause so often."""
    assert value("hunter2", "password").repr == "[redacted]"
    assert value("hunter2", "password").length is None
    assert value(None, "password").is_none
    made = value({"user": "ann", "api_key": "k-123", "token": None})
    assert made.redacted
    assert not made.literal
    assert made.repr == "{'user': 'ann', 'api_key': '[redacted]', 'token': None}"
    assert made.keys == ("'user'", "'api_key'", "'token'")
