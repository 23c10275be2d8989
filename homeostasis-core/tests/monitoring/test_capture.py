from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Callable

import pytest

from homeostasis.models import Event
from homeostasis.monitoring.capture import describe


@pytest.fixture
def event(project: Path, raised_by: Callable[..., BaseException], load: Any) -> Callable[..., Event]:
    """Runs `crash()` of a module in the project and describes what it raises."""

    def make(source: str, *arguments: Any) -> Event:
        error = raised_by(load("shop", source)["crash"], *arguments)
        record = describe(error, project_root=str(project), service="shop")
        return Event.model_validate_json(json.dumps(record))

    return make


def test_event_is_complete(event: Callable[..., Event]) -> None:
    """A crash becomes an event with type, message, in-app frames, locals, arguments and runtime."""
    made = event(
        """
        class Cart:
            def price(self, sku, *, prices):
                return prices[sku]

        def crash():
            return Cart().price("pear", prices={"apple": 3})
        """
    )
    raised = made.raised
    assert (raised.type, raised.module, raised.message) == ("KeyError", "builtins", "'pear'")
    assert raised.bases[:2] == ("LookupError", "Exception")
    assert raised.attributes["key"].repr == "'pear'"
    frame = made.crash_frame
    assert frame is not None
    assert frame.in_app
    assert (frame.module, frame.function, frame.qualname) == ("shop", "price", "Cart.price")
    assert frame.source_line == "return prices[sku]"
    assert frame.arguments == ("self", "sku", "prices")
    assert frame.first_line == 3
    prices = frame.locals["prices"]
    assert (prices.type, prices.repr, prices.literal, prices.length, prices.keys) == (
        "dict",
        "{'apple': 3}",
        True,
        1,
        ("'apple'",),
    )
    assert (frame.locals["self"].type, frame.locals["self"].module, frame.locals["self"].repr) == ("Cart", "shop", None)
    assert made.runtime.executable == sys.executable
    assert made.source == "monitoring"
    assert len(made.fingerprint) == 16


def test_span_counts_characters(event: Callable[..., Event]) -> None:
    """The span of the failing expression is in characters, not in the bytes of UTF-8."""
    made = event('def crash():\n    größe = {"ä": 1}; return ("äöü", größe["ß"])\n')
    frame = made.crash_frame
    assert frame is not None
    line = '    größe = {"ä": 1}; return ("äöü", größe["ß"])'
    assert (frame.span.line, frame.span.end_line) == (2, 2)
    assert line[frame.span.column : frame.span.end_column] == 'größe["ß"]'


def test_chain_names_relations(event: Callable[..., Event]) -> None:
    """Causes, contexts and suppressed contexts follow the exception that escaped and name their parent."""
    made = event(
        """
        def crash():
            try:
                try:
                    {}["a"]
                except KeyError as error:
                    raise ValueError("b") from error
            except ValueError:
                raise RuntimeError("c")
        """
    )
    assert [(one.type, one.relation, one.parent) for one in made.exceptions] == [
        ("RuntimeError", "raised", None),
        ("ValueError", "context", 0),
        ("KeyError", "cause", 1),
    ]
    hidden = event(
        "def crash():\n    try:\n        1/0\n    except ZeroDivisionError:\n        raise OSError(2, 'x') from None\n"
    )
    assert [(one.relation, one.suppressed) for one in hidden.exceptions] == [("raised", False), ("context", True)]
    assert hidden.raised.type == "FileNotFoundError"
    assert hidden.raised.attributes["errno"].repr == "2"


def test_cyclic_chain_ends(project: Path) -> None:
    """Exceptions that are each other's context are each described once."""
    first, second = ValueError("a"), TypeError("b")
    first.__context__, second.__context__ = second, first
    record = describe(first, project_root=str(project), service="shop")
    assert [one["type"] for one in record["exceptions"]] == ["ValueError", "TypeError"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exception groups came with 3.11")
def test_groups_and_notes(event: Callable[..., Event]) -> None:
    """Members of an exception group follow it, and notes are kept."""
    made = event(
        """
        def member():
            try:
                {}["a"]
            except KeyError as error:
                error.add_note("while pricing")
                return error

        def crash():
            raise ExceptionGroup("many", [member(), ValueError("x")])
        """
    )
    assert [(one.type, one.relation, one.parent) for one in made.exceptions] == [
        ("ExceptionGroup", "raised", None),
        ("KeyError", "member", 0),
        ("ValueError", "member", 0),
    ]
    assert made.exceptions[1].notes == ("while pricing",)


def test_recursion_is_collapsed(event: Callable[..., Event]) -> None:
    """A thousand frames of mutual recursion become a few, and the event says how many are left out."""
    made = event("def a(n):\n    return b(n + 1)\ndef b(n):\n    return a(n)\ndef crash():\n    a(0)\n")
    assert made.raised.type == "RecursionError"
    assert len(made.raised.frames) < 20
    assert made.raised.frames[0].function == "crash" or made.raised.frames[1].function == "crash"
    assert any("repeated frames of a recursion" in loss for loss in made.losses)


def test_deep_stacks_are_bounded(event: Callable[..., Event]) -> None:
    """A long stack without recursion keeps its outer and inner ends."""
    source = (
        "".join(f"def f{n}():\n    f{n + 1}()\n" for n in range(200)) + "def f200():\n    1/0\ndef crash():\n    f0()\n"
    )
    made = event(source)
    assert len(made.raised.frames) == 64
    assert made.raised.frames[-1].function == "f200"
    assert any("frames in the middle" in loss for loss in made.losses)


@pytest.mark.parametrize(
    ("source", "qualname"),
    [
        ("class A:\n    class B:\n        def m(self):\n            1/0\ndef crash():\n    A.B().m()\n", "A.B.m"),
        ("def crash():\n    def inner():\n        1/0\n    inner()\n", "crash.<locals>.inner"),
        ("def crash():\n    return next(1/0 for _ in 'a')\n", "crash.<locals>.<genexpr>"),
        ("crash = lambda: 1/0\n", "<lambda>"),
        ("class A:\n    def m(self):\n        yield 1\n        1/0\ndef crash():\n    list(A().m())\n", "A.m"),
        ("import asyncio\nasync def inner():\n    1/0\ndef crash():\n    asyncio.run(inner())\n", "inner"),
        (
            "import asyncio\nclass A:\n    async def m(self):\n        yield 1\n        1/0\n"
            "async def read():\n    async for _ in A().m(): pass\ndef crash():\n    asyncio.run(read())\n",
            "A.m",
        ),
        (
            "import functools\ndef d(f):\n    @functools.wraps(f)\n    def w(*a):\n        return f(*a)\n    return w\n"
            "class A:\n    @d\n    def m(self):\n        1/0\ncrash = A().m\n",
            "A.m",
        ),
    ],
)
def test_qualified_names(event: Callable[..., Event], source: str, qualname: str) -> None:
    """All kinds of functions, nested, decorated or without a name, have their qualified name on every version."""
    frame = event(source).crash_frame
    assert frame is not None
    assert frame.qualname == qualname


def test_libraries_are_not_the_app(event: Callable[..., Event], project: Path) -> None:
    """Frames of the standard library and of environments below the project are not the app's."""
    made = event("import json\ndef crash():\n    json.loads('{')\n")
    frame = made.crash_frame
    assert frame is not None
    assert frame.function == "crash"
    assert [one.in_app for one in made.raised.frames][-1] is False
    from homeostasis.monitoring.frames import Boundary

    environment = project / "env"
    (environment / "lib").mkdir(parents=True)
    (environment / "pyvenv.cfg").touch()
    boundary = Boundary(str(project))
    assert boundary.look(str(environment / "lib" / "x.py"))[0] is False
    assert boundary.look(str(project / "site-packages" / "x.py"))[0] is False
    assert boundary.look(str(project / "pkg" / "x.py"))[0] is True
    assert boundary.look("<string>")[0] is False


def test_attribute_error_names_its_object(event: Callable[..., Event]) -> None:
    """AttributeError and custom exceptions carry their attributes as described values."""
    made = event("def crash():\n    thing = None\n    thing.price\n")
    if sys.version_info >= (3, 10):
        assert made.raised.attributes["name"].repr == "'price'"
        assert made.raised.attributes["obj"].is_none
    own = event(
        "class E(Exception):\n    def __init__(self):\n        self.code = 7\n        self.token = 'abc'\ndef crash():\n    raise E\n"
    )
    assert own.raised.attributes["code"].repr == "7"
    assert own.raised.attributes["token"].redacted


def test_hostile_exception(event: Callable[..., Event]) -> None:
    """An exception whose own methods raise is described all the same."""
    made = event(
        """
        class Evil(Exception):
            def __str__(self): raise RuntimeError("no")
            def __repr__(self): raise RuntimeError("no")
            def __getattribute__(self, name): raise RuntimeError("no")
            def __eq__(self, other): raise RuntimeError("no")
            __hash__ = None

        def crash():
            raise Evil("text", Evil("inner"))
        """
    )
    assert made.raised.type == "Evil"
    assert made.raised.message == "(text, <shop.Evil>)"


def test_lone_surrogates_and_zero_bytes_survive(remembering: Any, event_of: Any, raised_by: Any) -> None:
    """Text that is no valid UTF-8 still makes a valid event."""
    client = remembering()

    def crash() -> None:
        key = "\udc80\x00ü"
        raise ValueError(key)

    error = raised_by(crash)
    assert event_of(describe(error, project_root=None, service="shop")).raised.message == "?\x00ü"
    assert client.capture(error)
    assert event_of(client.records[0]).raised.type == "ValueError"


def test_value_passed_on_under_other_names(event: Callable[..., Event]) -> None:
    """An object that several frames hold is told in each, hidden where its name says that it is a secret."""
    made = event(
        """
        def crash():
            words = ["plain", "pear"]
            return outer(words)

        def outer(password):
            return inner(password)

        def inner(given):
            attempts = given
            return attempts.missing
        """
    )
    outermost, middle, innermost = made.raised.frames[-3:]
    assert outermost.locals["words"].repr == "['plain', 'pear']"
    assert middle.locals["password"].redacted
    assert "pear" not in str(middle.locals)
    assert innermost.locals["given"].repr == innermost.locals["attempts"].repr == "['plain', 'pear']"


def test_places_of_changed_files(project: Path, load: Any, raised_by: Any) -> None:
    """A place that is captured again keeps the text it was made from; one whose text was missing gets it later."""

    def line_of(function: Any) -> Any:
        made = describe(raised_by(function), project_root=str(project), service="shop")
        return made["exceptions"][0]["frames"][-1]["source_line"]

    before = "def crash():\n    return {}['before']\n"
    old = load("shop", before)["crash"]
    assert line_of(old) == "return {}['before']"
    new = load("shop", "def crash():\n    return {}['after']\n")["crash"]
    assert (line_of(old), line_of(new)) == ("return {}['before']", "return {}['after']")
    late = load("late", before)["crash"]
    (project / "late.py").unlink()
    assert line_of(late) is None
    (project / "late.py").write_text(before, encoding="utf-8")
    assert line_of(late) == "return {}['before']"
