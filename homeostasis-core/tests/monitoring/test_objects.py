from __future__ import annotations

import array
import json
import sys
import types
from pathlib import Path
from typing import Any, Callable

import pytest

from homeostasis.models import Event, Frame, Value
from homeostasis.monitoring.capture import describe
from homeostasis.monitoring.objects import chains_in, describe_attributes
from homeostasis.monitoring.redaction import Redactor
from homeostasis.monitoring.values import describe_value


def explode(*_: object, **__: object) -> Any:
    raise AssertionError("code of the app ran")


@pytest.fixture
def crash_frame(project: Path, raised_by: Callable[..., BaseException], load: Any) -> Callable[[str], Frame]:
    """Runs `crash()` of a module in the project and returns the frame that crashed."""

    def make(source: str) -> Frame:
        error = raised_by(load("shop", source)["crash"])
        frame = Event.model_validate_json(
            json.dumps(describe(error, project_root=str(project), service="shop"))
        ).crash_frame
        assert frame is not None
        return frame

    return make


ORDER = """
    class Customer:
        def __init__(self):
            self.email = None
            self.password = "hunter2"

    class Order:
        __slots__ = ("customer", "lines", "never")
        def __init__(self):
            self.customer = Customer()
            self.lines = [1, 2]
"""


def test_objects_of_the_failing_expression(crash_frame: Any) -> None:
    """What the objects of the expression hold is known, along the chain that failed, secrets aside."""
    frame = crash_frame(
        ORDER + "    def crash():\n        order, other = Order(), Order()\n        order.customer.email.lower()\n"
    )
    order = frame.locals["order"]
    assert set(order.attributes) == {"customer", "lines"}
    assert order.attributes["lines"].repr == "[1, 2]"
    customer = order.attributes["customer"].attributes
    assert customer["email"].is_none
    assert customer["password"].repr == "[redacted]"
    assert frame.locals["other"].attributes == {}


def test_only_what_the_instance_holds(crash_frame: Any) -> None:
    """Properties, `__getattr__`, descriptors and a `__dict__` of the app's own are never asked."""
    frame = crash_frame(
        """
        def explode(*_):
            raise AssertionError("code of the app ran")

        class Lazy:
            def __get__(self, instance, owner): explode()
            def __set__(self, instance, value): explode()

        class Row:
            lazy = Lazy()
            loaded = property(explode)
            __getattr__ = __getattribute__ = __repr__ = __eq__ = __hash__ = __len__ = __bool__ = explode

        class Proxy:
            __dict__ = property(explode)

        def crash():
            row, proxy = Row.__new__(Row), Proxy()
            object.__getattribute__(row, "__dict__").update(id=7, lazy="held")
            return {}[(1, row is proxy)]
        """.replace("{}[(1, row is proxy)]", "{}[1 if row is proxy else 2]")
    )
    row = frame.locals["row"]
    if sys.version_info >= (3, 11):
        assert row.attributes["id"].repr == "7"
    assert frame.locals["proxy"].attributes == {}


def test_orm_rows_are_not_loaded(crash_frame: Any) -> None:
    """Attributes that a mapper would have to load stay unloaded: no statement is sent for an event."""
    frame = crash_frame("""
        import sqlalchemy as sa
        from sqlalchemy import orm

        Base = orm.declarative_base()

        class Item(Base):
            __tablename__ = "items"
            id = sa.Column(sa.Integer, primary_key=True)
            price = sa.Column(sa.Integer)

        statements = []

        def crash():
            engine = sa.create_engine("sqlite://")
            Base.metadata.create_all(engine)
            session = orm.Session(engine, expire_on_commit=True)
            item = Item(id=1)
            session.add(item)
            session.commit()
            sa.event.listen(engine, "before_cursor_execute", lambda *_: statements.append(_))
            try:
                item.cost
            finally:
                session.close()
                engine.dispose()
        """)
    assert "price" not in frame.locals["item"].attributes


def test_chains() -> None:
    """Names are found with their attributes, also over several lines; attributes of calls belong to no name."""
    assert chains_in("order.customer\n  .name + f(x).y + größe") == {
        "order": [("customer", "name")],
        "f": [()],
        "x": [()],
        "größe": [()],
    }


@pytest.mark.parametrize(
    "thing", [None, 1, "x", [1], {"a": 1}, len, json, int, explode], ids=lambda one: type(one).__name__
)
def test_values_without_attributes(thing: Any) -> None:
    """Built-in values, modules, functions and classes have none that would tell something."""
    assert describe_attributes(thing, Redactor(), [()]) == {}


def test_many_attributes_are_bounded() -> None:
    """An object with thousands of attributes costs a few, those of the expression first."""
    thing = types.SimpleNamespace(**{f"a{number}": number for number in range(1000)}, wanted=1)
    found = describe_attributes(thing, Redactor(), [("wanted",)])
    assert len(found) == 20
    assert next(iter(found)) == "wanted"


def test_objects_that_hold_themselves() -> None:
    """A cycle is followed as far as the expression goes."""
    thing = types.SimpleNamespace()
    thing.next = thing
    found = describe_attributes(thing, Redactor(), [("next", "next")])
    assert found["next"]["attributes"]["next"]["type"] == "SimpleNamespace"


def test_arrays() -> None:
    """Arrays tell their shape and type code."""
    made = Value.model_validate(describe_value(array.array("d", [1.0, 2.0]), Redactor()))
    assert (made.shape, made.dtype) == ((2,), "d")
    view = memoryview(b"abcdef").cast("B", (2, 3))
    made = Value.model_validate(describe_value(view, Redactor()))
    assert (made.shape, made.dtype) == ((2, 3), "B")
    view.release()
    assert describe_value(view, Redactor()) == {"type": "memoryview", "module": "builtins"}


def test_what_looks_like_an_array_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A class of the app that calls itself numpy.ndarray, or takes its place, runs nothing."""
    fake = type("ndarray", (), {"__module__": "numpy", "shape": property(explode), "dtype": property(explode)})
    assert "shape" not in describe_value(fake(), Redactor())
    monkeypatch.setitem(sys.modules, "numpy", types.SimpleNamespace(ndarray=fake))
    assert "shape" not in describe_value(fake(), Redactor())
