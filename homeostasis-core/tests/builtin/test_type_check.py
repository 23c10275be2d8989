"""`type-check`: a patch brings no new type error."""

from __future__ import annotations

import json

import pytest

from homeostasis.builtin import type_check
from homeostasis.models import Outcome
from homeostasis.testing.builders import incident_of, patch_of, stranger
from homeostasis.testing.fakes import completed, fake_trial

OLD = 'shop.py:5: error: Incompatible types in assignment (expression has type "str", variable has type "int")'
NEW = 'shop.py:2:12: error: Incompatible return value type (got "str", expected "int")  [return-value]'
ELSEWHERE = "cart.py:1: error: Name 'x' is not defined"


def checked(project, before, after):
    """What the validator says when mypy prints these lines for the two trees."""
    base, trial = (
        fake_trial(project.root, lambda call, lines=lines: completed(call, stdout="\n".join(lines), returncode=1))
        for lines in (before, after)
    )
    return type_check.homeostasis_validate(trial, base, patch_of({"shop.py": (b"x = 1\n", b"x = 2\n")}), project)


def test_a_new_error_is_a_veto_and_an_old_one_is_none(make_project):
    """Errors are compared without their lines, in the edited files only."""
    project = make_project()
    moved = OLD.replace(":5:", ":9:")
    good = checked(project, [OLD], [moved, ELSEWHERE, "shop.py:9: note: See the docs", "Found 2 errors in 2 files"])
    bad = checked(project, [OLD], [moved, NEW])
    twice = checked(project, [OLD], [OLD, moved])
    outcomes = [found.outcome for found in (good, bad, twice)]
    assert outcomes == [Outcome.ACCEPTED, Outcome.REJECTED, Outcome.REJECTED]
    assert "1 were there before" in good.detail
    assert "Incompatible return value" in bad.detail


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"stderr": "python: No module named mypy", "returncode": 1}, "not installed"),
        ({"stdout": "shop.py: error: Source file found twice", "returncode": 2}, "found twice"),
        ({"timed_out": True}, "not done within"),
    ],
)
def test_without_a_result_nothing_is_claimed(make_project, answer, said):
    """The detail says why."""
    project = make_project()
    trial = fake_trial(project.root, lambda call: completed(call, **answer))
    patch = patch_of({"shop.py": (b"x = 1\n", b"x = 2\n")})
    found = type_check.homeostasis_validate(trial, trial, patch, project)
    assert (found.outcome, said in found.detail) == (Outcome.INCONCLUSIVE, True)


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({}, "mypy"),
        ({"pyrightconfig.json": "{}"}, "pyright"),
        ({"pyproject.toml": "[tool.pyright]\n"}, "pyright"),
        ({"pyproject.toml": "[tool.basedpyright]\n"}, "basedpyright"),
        ({"pyproject.toml": "[tool.pyright]\n[tool.mypy]\n"}, "mypy"),
        ({"pyrightconfig.json": "{}", "mypy.ini": ""}, "mypy"),
        ({"pyrightconfig.json": "{}", "setup.cfg": "[mypy]\n"}, "mypy"),
        ({"pyrightconfig.json": "{}", "setup.cfg": "no section"}, "pyright"),
        ({"pyproject.toml": "tool = 3"}, "mypy"),
        ({"pyproject.toml": "not toml"}, "mypy"),
    ],
)
def test_the_project_says_which_checker_it_uses(tmp_path, files, name):
    """By its settings; settings that cannot be read say nothing."""
    for path, text in files.items():
        (tmp_path / path).write_text(text)
    assert type_check.choose(tmp_path).name == name


def report(root, *errors):
    """What `pyright --outputjson` prints, written by hand after its documentation: pyright itself is not run here."""
    place = {"range": {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 1}}}
    found = [
        {"file": f"{root}/{file}", "severity": severity, "message": message, "rule": "reportReturnType", **place}
        for file, severity, message in errors
    ]
    return json.dumps({"version": "1.1.400", "generalDiagnostics": found, "summary": {"errorCount": len(errors)}})


def checked_by_pyright(project, before, after):
    """What the validator says when pyright prints these texts for the two trees."""
    (project.root / "pyrightconfig.json").write_text("{}")
    base, trial = (
        fake_trial(project.root, lambda call, text=text: completed(call, stdout=text, returncode=1))
        for text in (before, after)
    )
    return type_check.homeostasis_validate(trial, base, patch_of({"shop.py": (b"x = 1\n", b"x = 2\n")}), project)


def test_errors_of_pyright_are_compared_like_those_of_mypy(make_project):
    """Only errors, and only those of the edited files."""
    project = make_project()
    old = ("shop.py", "error", 'Type "str" is not\n  assignable')
    beside = [("cart.py", "error", "unknown"), ("shop.py", "warning", "unused")]
    good = checked_by_pyright(project, report(project.root, old), report(project.root, old, *beside))
    bad = checked_by_pyright(project, report(project.root, old), report(project.root, old, ("shop.py", "error", "new")))
    assert (good.outcome, bad.outcome) == (Outcome.ACCEPTED, Outcome.REJECTED)
    assert "1 were there before" in good.detail
    assert bad.detail == "1 new errors: shop.py: new (reportReturnType)"


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "null", "No configuration file found.\n{}", '{"generalDiagnostics": [3]}', "[" * 100_000],
    ids=["empty", "object", "list", "null", "chatter", "number", "deep"],
)
def test_what_pyright_never_prints_claims_nothing(make_project, text):
    """The program belongs to the app, and what it prints may be anything."""
    project = make_project()
    found = checked_by_pyright(project, report(project.root), text)
    assert (found.outcome, "printed what it never does" in found.detail) == (Outcome.INCONCLUSIVE, True)


@pytest.mark.once("mypy and pyright print the same")
def test_mypy_itself(case):
    """The real program, in real trials."""
    made = case({"shop.py": "def price() -> int:\n    return 3\n"})
    good = made.check(type_check, incident_of(stranger()), made.patch("shop.py", "3", "4"))
    bad = made.check(type_check, incident_of(stranger()), made.patch("shop.py", "3", "'3'"))
    assert (good.outcome, bad.outcome) == (Outcome.ACCEPTED, Outcome.REJECTED), (good.detail, bad.detail)
    assert "return value" in bad.detail


@pytest.mark.once("mypy and pyright print the same")
def test_basedpyright_itself(case):
    """The real program, in real trials."""
    made = case({"shop.py": "def price() -> int:\n    return 3\n"}, "[tool.basedpyright]")
    good = made.check(type_check, incident_of(stranger()), made.patch("shop.py", "3", "4"))
    bad = made.check(type_check, incident_of(stranger()), made.patch("shop.py", "3", "'3'"))
    assert (good.outcome, bad.outcome) == (Outcome.ACCEPTED, Outcome.REJECTED), (good.detail, bad.detail)
    assert "reportReturnType" in bad.detail
