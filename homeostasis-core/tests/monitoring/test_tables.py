"""Tables of the real pandas: rows, columns and type codes, by reading what its C code holds and running nothing else."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from homeostasis.monitoring.redaction import Redactor
from homeostasis.monitoring.values import describe_value

if sys.version_info < (3, 11):
    pytest.skip("the pandas of these tests is not to be had on Python 3.10 and below", allow_module_level=True)
pd: Any = pytest.importorskip("pandas")


def facts(value: Any) -> Any:
    ran.clear()
    described = describe_value(value, Redactor())
    assert not ran
    assert described.get("repr") is None, "the cells of a table are not written out"
    return described.get("shape"), described.get("dtype"), described.get("keys")


ran: list[str] = []
"""What of an app's code was run."""


def note(*_: Any, **__: Any) -> Any:
    ran.append("code of the app")
    return "1"


class Unwritable:
    __repr__ = __str__ = note


ORDERS = {
    "number": [1, 2, 3],
    "total": [1.5, None, 2.0],
    "kind": pd.Categorical(["a", "b", "a"]),
    "anything": pd.Series([None, "x", 1], dtype=object),
}


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (
            pd.DataFrame(ORDERS),
            ([3, 4], "<i8, <f8, Categorical, |O", ["'number'", "'total'", "'kind'", "'anything'"]),
        ),
        (pd.DataFrame(), ([0, 0], "", [])),
        (pd.DataFrame([[1, 2], [3, 4]]), ([2, 2], "<i8, <i8", ["0", "1"])),
        (pd.DataFrame(ORDERS)[["total", "number"]], ([3, 2], "<f8, <i8", ["'total'", "'number'"])),
        (pd.DataFrame({("a", 1): [1], ("a", 2): [2.0]}), ([1, 2], "<i8, <f8", [])),
        (pd.DataFrame([range(100)]), ([1, 100], ", ".join(["<i8"] * 40), [str(number) for number in range(40)])),
        (pd.DataFrame({"password": ["hunter2"]}, dtype=object), ([1, 1], "|O", ["'password'"])),
        (pd.Series([1, 2, 3], index=["a", "b", "c"]), ([3], "<i8", None)),
        (pd.Series(pd.date_range("2024", periods=2)), ([2], "DatetimeArray", None)),
        (pd.Series([Unwritable()], dtype=object), ([1], "|O", None)),
        (pd.RangeIndex(10**12), ([10**12], "<i8", None)),
        (pd.Index([1.5, 2.5]), ([2], "<f8", None)),
    ],
    ids=range(12),
)
def test_shape_columns_and_type_codes(table: Any, expected: Any) -> None:
    """Also of views, of nothing, of several levels, of more columns than are kept, and of a trillion rows."""
    assert facts(table) == expected


def test_columns_that_cannot_be_written() -> None:
    """A column named by an object of the app is named by its class."""
    columns = pd.Index([1], dtype=object)
    columns._data[0] = Unwritable()
    frame = pd.DataFrame([[1]])
    frame._mgr.axes[0] = columns
    (name,) = facts(frame)[2]
    assert name == f"<{__name__}.Unwritable>"


@pytest.mark.parametrize("name", ["__getattribute__", "__len__", "shape", "dtypes", "_mgr", "columns"])
def test_subclasses_of_the_app(name: str) -> None:
    """They are described by their class alone, and none of their methods or properties runs."""
    kind = type("Orders", (pd.DataFrame,), {})
    frame = kind({"a": [1]})
    setattr(kind, name, note if name.startswith("__") else property(note))
    assert facts(frame) == (None, None, None)


def test_a_class_that_pretends(monkeypatch: Any) -> None:
    """A class that only calls itself a table of pandas is read no further."""
    pretender = type("DataFrame", (), {"__module__": "pandas", "_mgr": property(note)})
    assert facts(pretender()) == (None, None, None)
    monkeypatch.setattr(pd, "DataFrame", pretender)
    assert facts(pretender()) == (None, None, None)


def test_a_table_that_is_half_made() -> None:
    """One whose constructor crashed has no parts yet."""
    assert facts(pd.DataFrame.__new__(pd.DataFrame)) == (None, None, None)


def test_another_inside() -> None:
    """Parts that are not those of pandas, as in a later version, are passed over."""
    frame = pd.DataFrame({"a": [1]})
    object.__setattr__(frame, "_mgr", type("Manager", (), {"axes": property(note), "blocks": property(note)})())
    assert facts(frame) == (None, None, None)
