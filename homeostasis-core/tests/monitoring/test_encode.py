from __future__ import annotations

import json
from typing import Any

import pytest

from homeostasis.monitoring.capture import describe
from homeostasis.monitoring.encode import encode
from homeostasis.monitoring.frames import Boundary
from homeostasis.monitoring.redaction import Redactor

SHOP = """
class Order:
    def __init__(self):
        self.name = 'o-17'

def crash(depth):
    order, cart, token, text = Order(), {'a': [1, None]}, 'hunter2', 'é "quoted" \\\\ \\x00 \\udc80'
    numbers, when, empty = [10 ** 700, 1.5, True], object(), {}
    if depth:
        return crash(depth - 1)
    return order.price
"""


@pytest.mark.parametrize("depth", [0, 1, 20])
def test_an_event_is_encoded_as_json_does(project: Any, load: Any, raised_by: Any, depth: int) -> None:
    """What was encoded for an earlier event, and what several frames hold, reads back as if all were encoded anew."""
    crash, boundary, redactor = load("shop", SHOP)["crash"], Boundary(str(project)), Redactor()
    for _ in range(3):
        error = raised_by(crash, depth)
        event = describe(error, project_root=None, service="a", boundary=boundary, redactor=redactor)
        line = encode({"record": "event", **event}, 10**7)
        assert line.index(b"\n") == len(line) - 1
        # A lone surrogate is in no UTF-8 text.
        expected = json.dumps({"record": "event", **event}, ensure_ascii=False).encode("utf-8", "replace")
        assert json.loads(line) == json.loads(expected)
    assert len(event["exceptions"][0]["frames"]) >= min(depth, 3)


def test_attributes_are_of_the_frame_that_crashed(project: Any, load: Any, raised_by: Any) -> None:
    """A value that several frames hold shows what it holds itself only where the failing expression asks for it."""
    source = (
        SHOP
        + "\ndef outer():\n    order = Order()\n    return inner(order)\n\ndef inner(order):\n    return order.price\n"
    )
    error = raised_by(load("shop", source)["outer"])
    frames = describe(error, project_root=str(project), service="a")["exceptions"][0]["frames"]
    outer, inner = (frame["locals"]["order"] for frame in frames[-2:])
    assert inner["attributes"]["name"]["repr"] == "'o-17'"
    assert outer == {"type": "Order", "module": "shop"}
