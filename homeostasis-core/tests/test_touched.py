"""Which functions a patch touches."""

from __future__ import annotations

import pytest

from homeostasis.models import Effect, FileEdit, Frame, Patch, Span
from homeostasis.touched import lies_in, touched_functions

BEFORE = b"""LIMIT = 3


def price(name):
    return PRICES[name]


class Cart:
    def total(self):
        def one(item):
            return item.price
        return sum(map(one, self.items))

    async def close(self):
        pass
"""


def touched(after, before=BEFORE, path="shop.py"):
    edit = FileEdit(path=path, before=before, after=after)
    return touched_functions(Patch(id="p", rule_id="r", edits=(edit,), effect=Effect.CORRECT, summary="s"))


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        (b"PRICES[name]", b"PRICES.get(name)", {"price"}),
        (b"item.price", b"item.price or 0", {"Cart.total.<locals>.one"}),
        (b"sum(map", b"min(map", {"Cart.total"}),
        (b"        pass", b"        await self.end()", {"Cart.close"}),
        (b"LIMIT = 3", b"LIMIT = 4", {"<module>"}),
        (b"def price(name):", b"def price(name=None):", {"price"}),
        (b"        return sum(map(one, self.items))\n", b"", {"Cart.total"}),
        (b"LIMIT = 3\n", b"import math\n\nLIMIT = 3\n", {"<module>"}),
    ],
)
def test_innermost_function_of_each_change(old, new, names):
    """By qualified name; outside of functions it is the module."""
    assert touched(BEFORE.replace(old, new)) == {("shop.py", name) for name in names}


def test_what_is_no_python_touches_nothing():
    """A template, a file that does not parse."""
    assert touched(b"def (1", before=b"def (2") == frozenset()
    assert touched(b"x = 2\n", b"x = 1\n", path="page.html") == frozenset()


@pytest.mark.parametrize(
    ("path", "qualname", "inside"),
    [
        ("/srv/shop.py", "price", True),
        ("/srv/shop.py", "Cart.total", False),
        ("/srv/other/shop.py", "price", False),
        ("shop.py", "price", True),
    ],
)
def test_frames_are_told_by_file_and_name(path, qualname, inside):
    """Absolute or relative to the project."""
    frame = Frame(path=path, function=qualname.rsplit(".", 1)[-1], qualname=qualname, span=Span(line=5))
    found = touched(BEFORE.replace(b"PRICES[name]", b"PRICES.get(name)"))
    assert lies_in(frame, "/srv", found) is inside
