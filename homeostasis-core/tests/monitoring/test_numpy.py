"""Arrays of the real numpy: shape and type code, by reading what its C code holds and running nothing else."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from homeostasis.monitoring.redaction import Redactor
from homeostasis.monitoring.values import describe_value

if sys.version_info < (3, 9):
    pytest.skip("the numpy of these tests is not to be had on Python 3.8", allow_module_level=True)
np: Any = pytest.importorskip("numpy")


def facts(value: Any) -> tuple[Any, Any]:
    described = describe_value(value, Redactor())
    assert described.get("repr") is None, "the items of an array are not written out"
    return described.get("shape"), described.get("dtype")


@pytest.mark.parametrize(
    ("array", "shape", "dtype"),
    [
        (np.zeros((2, 3)), [2, 3], "<f8"),
        (np.array(5, dtype="int16"), [], "<i2"),
        (np.array([]), [0], "<f8"),
        (np.array(["ab", "c"]), [2], "<U2"),
        (np.array([1, None], dtype=object), [2], "|O"),
        (np.zeros(3, dtype="datetime64[ns]"), [3], "<M8[ns]"),
        (np.zeros(2, dtype=[("a", "i4"), ("b", "f8")]), [2], "|V12"),
        (np.zeros((4, 4))[::2, 1:], [2, 3], "<f8"),
        (np.broadcast_to(np.zeros(1), (10**6, 10**6)), [10**6, 10**6], "<f8"),
    ],
    ids=str,
)
def test_shape_and_type_code(array: Any, shape: list[int], dtype: str) -> None:
    """Also without dimensions, without items, of objects, of records, and of a size that no memory holds."""
    assert facts(array) == (shape, dtype)


def refuse(*_: Any, **__: Any) -> Any:
    raise SystemExit("code of the app was run")


HOSTILE = dict.fromkeys(
    [
        *("__array__", "__array_finalize__", "__array_interface__", "__array_ufunc__", "__array_function__"),
        *("__repr__", "__str__", "__format__", "__len__", "__getitem__", "__iter__", "__eq__", "__bool__", "__hash__"),
        *("__reduce__", "__buffer__"),
    ],
    refuse,
)


@pytest.mark.parametrize("own", [{"__getattribute__": refuse}, {"shape": property(refuse), "dtype": property(refuse)}])
def test_hostile_subclasses(own: dict[str, Any]) -> None:
    """Subclasses of the app are described by their class alone, and none of their methods runs."""
    made = type("Array", (np.ndarray,), {})
    array = np.zeros(3).view(made)
    for name, value in {**HOSTILE, **own}.items():
        setattr(made, name, value)
    assert facts(array) == (None, None)
    assert describe_value(array, Redactor())["type"] == "Array"
    assert describe_value([array], Redactor())["repr"] == f"[<{__name__}.Array>]"


def test_hostile_items() -> None:
    """The items of an array of objects are not looked at."""
    hostile = type("Hostile", (), {})
    array = np.empty(2, dtype=object)
    array[:] = [hostile(), hostile()]
    for name in HOSTILE:
        setattr(hostile, name, refuse)
    assert facts(array) == ([2], "|O")


def test_a_class_that_pretends(monkeypatch: Any) -> None:
    """A class that only calls itself `numpy.ndarray` is not asked for anything."""
    pretender = type("ndarray", (), {"shape": property(refuse), "dtype": property(refuse), "__repr__": refuse})
    pretender.__module__ = "numpy"
    assert facts(pretender()) == (None, None)


def test_subclasses_of_numpy_itself() -> None:
    """Matrices, masked arrays and records of arrays: nothing of their Python code runs."""
    for array in (np.ma.masked_array([1, 2], mask=[0, 1]), np.rec.array([(1, 2.0)])):
        assert facts(array) == (None, None)


@pytest.mark.parametrize(
    ("scalar", "text"),
    [(np.float64(1.5), "float64(1.5)"), (np.str_("ab"), "str_('ab')"), (np.bytes_(b"x"), "bytes_(b'x')")],
    ids=str,
)
def test_scalars_that_are_plain_data(scalar: Any, text: str) -> None:
    """Scalars that inherit from a built-in class are written as such, and are no literals."""
    described = describe_value(scalar, Redactor())
    assert (described["repr"], described["literal"]) == (text, False)
    assert described["module"] == "numpy"


def test_an_event_with_arrays(remembering: Any, load: Any, raised_by: Any, event_of: Any) -> None:
    """The operands of a failed operation on arrays tell why it failed."""
    client = remembering()
    crash = load("shop", "def crash(a, b):\n    return a + b\n")["crash"]
    assert client.capture(raised_by(crash, np.zeros((2, 3)), np.zeros((3, 2))))
    event = event_of(client.records[0])
    assert "operands could not be broadcast" in event.raised.message
    local = event.crash_frame.locals
    assert (local["a"].shape, local["b"].shape) == ((2, 3), (3, 2))
    assert local["a"].dtype == "<f8"
