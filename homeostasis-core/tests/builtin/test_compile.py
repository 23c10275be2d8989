"""`compile`: what was edited compiles and imports."""

from __future__ import annotations

from homeostasis.builtin import compile as compiling
from homeostasis.models import Outcome, Request
from homeostasis.testing.builders import incident_of, stranger

MILK = Request(path="/price", query="name=milk")


def test_a_sound_module_is_accepted(flask_case):
    """It compiles and imports in the app's interpreter."""
    incident = flask_case.incident_of_request(MILK)
    found = flask_case.check(compiling, incident, flask_case.patch("shop.py", "tea", "mate"))
    assert (found.outcome, found.required) == (Outcome.ACCEPTED, True)


def test_a_syntax_error_is_a_veto(flask_case):
    """The detail names the file."""
    incident = flask_case.incident_of_request(MILK)
    found = flask_case.check(compiling, incident, flask_case.patch("shop.py", "def price():", "def price(:"))
    assert found.outcome is Outcome.REJECTED
    assert found.detail.startswith("shop.py: SyntaxError")


def test_a_module_that_no_longer_imports_is_a_veto(case):
    """Without an app to replay, the module is imported by itself."""
    made = case({"src/shop/__init__.py": "", "src/shop/prices.py": "TEA = 3\n"})
    good = made.check(compiling, incident_of(stranger()), made.patch("src/shop/prices.py", "3", "4"))
    bad = made.check(compiling, incident_of(stranger()), made.patch("src/shop/prices.py", "3", "THREE"))
    assert (good.outcome, bad.outcome) == (Outcome.ACCEPTED, Outcome.REJECTED)
    assert "NameError" in bad.detail


def test_a_module_that_never_imported_is_accepted(case):
    """What fails alike before and after is not the patch's fault."""
    made = case({"plugin.py": "import not_installed_anywhere\nTEA = 3\n"})
    found = made.check(compiling, incident_of(stranger()), made.patch("plugin.py", "3", "4"))
    assert found.outcome is Outcome.ACCEPTED
