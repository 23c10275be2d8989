"""`forbidden-code`: what a repair never needs is a veto."""

from __future__ import annotations

import pytest

from homeostasis.builtin.forbidden_code import homeostasis_validate
from homeostasis.models import Outcome
from homeostasis.testing.builders import patch_of

BEFORE = "import os\nimport subprocess\n\n\ndef price(x):\n    subprocess.run(['ls'])\n    return os.path.join(x)\n"


def check(make_project, after, before=BEFORE, settings="", path="shop.py", **fields):
    project = make_project(settings, {"shop.py": before.encode()})
    known = before.encode() if path == "shop.py" else None
    return homeostasis_validate(patch=patch_of({path: (known, after.encode())}, **fields), project=project)


def test_an_ordinary_patch_is_accepted(make_project):
    """What the file did before it may go on doing."""
    found = check(make_project, BEFORE.replace("join(x)", "join(x or '')"))
    assert (found.outcome, found.required) == (Outcome.ACCEPTED, True)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("eval(x)", "eval"),
        ("exec(x)", "exec"),
        ("compile(x, '', 'exec')", "compile"),
        ("__import__(x)", "__import__"),
        ("os.system(x)", "os.system"),
        ("os.popen(x)", "os.popen"),
        ("subprocess.run(x)", "subprocess.run"),
        ("__builtins__; import builtins; builtins.eval(x)", "eval"),
        ("import os as o; o.system(x)", "os.system"),
        ("from os import system as s; s(x)", "os.system"),
        ("run = os.system; run(x)", "os.system"),
        ("import pickle; pickle.loads(x)", "pickle.loads"),
    ],
)
def test_a_new_call_of_a_dangerous_function_is_a_veto(make_project, code, said):
    """Under its own name, an alias, or as a value."""
    found = check(make_project, BEFORE + f"    {code}\n")
    assert found.outcome is Outcome.REJECTED
    assert f"gains a call of {said}" in found.detail


def test_reading_what_is_installed_is_allowed(make_project):
    """The successors of pkg_resources import nothing; the rest of importlib stays a veto."""
    read = "    from importlib.resources import files\n    files('shop').joinpath(x)\n"
    assert check(make_project, BEFORE + read, imports=("importlib",)).outcome is Outcome.ACCEPTED
    load = "    from importlib import import_module\n    import_module(x)\n"
    assert check(make_project, BEFORE + load, imports=("importlib",)).outcome is Outcome.REJECTED


def test_an_undeclared_import_is_a_veto(make_project):
    """A template declares what it imports."""
    after = "import socket\n" + BEFORE
    assert check(make_project, after).outcome is Outcome.REJECTED
    assert check(make_project, after, imports=("socket",)).outcome is Outcome.ACCEPTED


@pytest.mark.parametrize(
    "handler", ["except:\n        raise", "except Exception:\n        pass", "except KeyError: ..."]
)
def test_swallowing_is_a_veto(make_project, handler):
    """Neither a bare except nor one that does nothing."""
    found = check(make_project, BEFORE + f"\ndef f():\n    try:\n        return 1\n    {handler}\n")
    assert found.outcome is Outcome.REJECTED


def test_a_file_outside_source_is_a_veto(make_project):
    """Whether it exists or is new."""
    assert check(make_project, BEFORE + "X = 1\n", settings='source = ["lib"]').outcome is Outcome.REJECTED
    assert check(make_project, "X = 1\n", settings='source = ["lib"]', path="new.py").outcome is Outcome.REJECTED


def test_a_new_file_is_held_to_the_same_rules(make_project):
    """All of its code is new."""
    assert check(make_project, "X = 1\n", path="new.py").outcome is Outcome.ACCEPTED
    assert check(make_project, "X = eval('1')\n", path="new.py").outcome is Outcome.REJECTED


def test_code_that_cannot_be_parsed_is_a_veto(make_project):
    """What cannot be read cannot be judged."""
    assert check(make_project, "def (\n").outcome is Outcome.REJECTED
