"""Builders make what the real thing would have made."""

from __future__ import annotations

import sys

import pytest

from homeostasis.models import Effect, Event, Patch
from homeostasis.testing import crash, incident_of, patch_of, stranger, value_of

SHOP = "PRICES = {'tea': 3}\n\n\nclass Cart:\n    def price(self, name):\n        return PRICES[name]\n"


def test_a_crash_is_captured_from_running_code(project_factory):
    """`crash` runs code of the project and gives the event that the monitoring makes of it."""
    project = project_factory({"shop.py": SHOP}, {"service": "shop"})
    event = crash(project, "import shop; shop.Cart().price('milk')")
    assert (event.raised.type, event.service) == ("KeyError", "shop")
    assert event.crash_frame is not None
    assert event.crash_frame.path == str(project.root / "shop.py")
    assert (event.crash_frame.function, event.crash_frame.span.line) == ("price", 6)
    assert event.crash_frame.locals["name"].repr == "'milk'"


def test_a_crash_leaves_no_module_behind(project_factory):
    """Two projects with a module of the same name do not see each other's, and `sys.path` stays as it was."""
    before = list(sys.path)
    first = crash(project_factory({"shop.py": "1 / 0\n"}), "import shop")
    second = crash(project_factory({"shop.py": "[][1]\n"}), "import shop")
    assert (first.raised.type, second.raised.type) == ("ZeroDivisionError", "IndexError")
    assert "shop" not in sys.modules
    assert sys.path == before


def test_code_that_does_not_crash_is_an_error(project_factory):
    """A sample that raises nothing fails the test instead of proving nothing."""
    with pytest.raises(AssertionError, match="nothing was raised"):
        crash(project_factory({}), "pass")


def test_an_incident_represents_its_event(project_factory):
    """`incident_of` opens an incident with the event's fingerprint, service and time."""
    event = stranger("/nowhere.py")
    incident = incident_of(event, count=3)
    assert (incident.fingerprint, incident.event, incident.count) == (event.fingerprint, event, 3)
    assert Event.model_validate_json(event.model_dump_json()) == event


@pytest.mark.parametrize("value", [None, True, 3, 2.5, "text", b"raw", [1, 2], {"a": 1}, (1,)])
def test_plain_values_read_back(value):
    """`value_of` describes plain values completely."""
    import ast

    described = value_of(value)
    assert described.literal
    assert ast.literal_eval(described.repr or "") == value
    assert described.length == (len(value) if hasattr(value, "__len__") else None)


def test_a_patch_by_hand_applies(tmp_path):
    """`patch_of` makes a patch whose fields can be overridden."""
    (tmp_path / "a.py").write_bytes(b"old\n")
    patch = patch_of({"a.py": (b"old\n", b"new\n")}, effect=Effect.INVENT)
    patch.apply(tmp_path)
    assert (tmp_path / "a.py").read_bytes() == b"new\n"
    assert patch.effect is Effect.INVENT
    assert Patch.model_validate_json(patch.model_dump_json()) == patch
