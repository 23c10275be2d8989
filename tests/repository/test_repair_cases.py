"""The repair benchmark: its cases are well-formed, its halves do not move, and its judge is right."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import pytest

REPAIR = Path(__file__).resolve().parents[2] / "benchmarks" / "repair"


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.syspath_prepend(str(REPAIR))


@pytest.fixture
def cases():
    from repairbench.cases import load_cases

    return load_cases()


def _case(directory, **changes):
    from repairbench.cases import Case, Code

    values = {
        "id": "tiny",
        "kind": "mutant",
        "crash_class": "key/index",
        "source": {"subject": "tiny"},
        "code": Code(directory=directory, modules=("tiny.py",)),
        "app": None,
        "setup": "import tiny",
        "trigger": "tiny.price('tea')",
        "held": ("tiny.price('tea')", "tiny.price('milk')"),
        "healthy": ("tiny.price('cup')",),
    }
    return Case(**{**values, **changes})


def test_there_are_enough_cases_and_each_has_another_id(cases):
    """At least 150 cases: 50 of packages, 15 of apps, 80 mutants."""
    kinds = Counter(case.kind for case in cases)
    assert len(cases) >= 150
    assert kinds["package"] >= 50
    assert kinds["app"] >= 15
    assert kinds["mutant"] >= 80
    assert len({case.id for case in cases}) == len(cases)


def test_each_case_says_what_is_right(cases):
    """The trigger is held; what is held is not healthy; every probe of a package or app has an expected outcome."""
    from repairbench.cases import CLASSES
    from repairbench.judging import is_crash

    for case in cases:
        assert case.crash_class in CLASSES, case.id
        assert case.trigger in case.held, case.id
        assert not set(case.held) & set(case.healthy), case.id
        assert set(case.traffic) <= set(case.healthy), case.id
        if case.kind != "mutant":
            assert set(case.expected) == set(case.probes), case.id
            assert case.source["link"].startswith("https://"), case.id
        if case.kind == "app":
            assert not is_crash(case.expected[case.trigger]), case.id


def test_each_mutation_of_our_own_subjects_is_still_there(cases):
    """A subject that was changed needs its mutants made again."""
    from repairbench.mutation import mutations

    wanted = {}
    for case in cases:
        if case.mutation is not None and case.code.directory is not None:
            wanted.setdefault(case.code.directory / case.mutation.path, set()).add(case.mutation)
    assert wanted
    for path, mine in wanted.items():
        text = path.read_text("utf-8")
        made = {mutation for mutation, mutated in mutations(text, next(iter(mine)).path) if mutated != text}
        assert mine <= made, path


def test_the_halves_do_not_move(cases):
    """The half of a case depends on nothing but its id, and neither half is small."""
    from repairbench.cases import DEV, SEALED, half_of

    assert [half_of(name) for name in ("a", "b", "c", "d")] == [SEALED, SEALED, DEV, DEV]
    halves = Counter(case.half for case in cases)
    assert min(halves[DEV], halves[SEALED]) >= 0.35 * len(cases)


@pytest.mark.parametrize(
    ("found", "plausible", "correct"),
    [
        ([{"value": "None"}, {"value": "None"}, {"value": "3"}], True, True),
        ([{"value": "0"}, {"value": "0"}, {"value": "3"}], True, False),
        ([{"value": "None"}, {"raises": "TypeError"}, {"value": "3"}], True, False),
        ([{"value": "None"}, {"value": "None"}, {"value": "0"}], False, False),
        ([{"raises": "KeyError"}, {"value": "None"}, {"value": "3"}], False, False),
        ([{"raises": "TypeError"}, {"value": "None"}, {"value": "3"}], False, False),
        ([{"timeout": True}, {"value": "None"}, {"value": "3"}], False, False),
    ],
)
def test_the_judge_of_calls(tmp_path, found, plausible, correct):
    """A made-up value is plausible and wrong; another crash, or one healthy test that fails, is not even plausible."""
    from repairbench.judging import judge

    case = _case(tmp_path)
    expected = dict(zip(case.probes, [{"value": "None"}, {"value": "None"}, {"value": "3"}]))
    verdict = judge(case, expected, dict(zip(case.probes, found)), {"raises": "KeyError"})
    assert (verdict.plausible, verdict.correct) == (plausible, correct)


@pytest.mark.parametrize(
    ("expected", "found", "agree"),
    [
        ({"status": 400, "body": "no"}, {"status": 422, "body": "not so"}, True),
        ({"status": 404, "body": "no"}, {"status": 400, "body": "no"}, False),
        ({"status": 200, "body": {"a": 1}}, {"status": 200, "body": {"a": 2}}, False),
        ({"status_in": [400, 422]}, {"status": 422, "body": ""}, True),
        ({"status_in": [400, 422]}, {"raises": "KeyError"}, False),
        ({"raises": "ValueError"}, {"raises": "KeyError"}, False),
    ],
)
def test_the_judge_of_answers(expected, found, agree):
    """The wording of an error is free, its status is not; the body of a good answer must be the same."""
    from repairbench.judging import agrees

    assert agrees(expected, found) is agree


def test_probes_do_not_see_each_other(tmp_path):
    """Each probe runs in a process of its own; an exception is an outcome."""
    from repairbench.environments import Prepared
    from repairbench.running import make_project, probe

    (tmp_path / "tiny.py").write_text("PRICES = {'cup': 3}\n\n\ndef price(name):\n    return PRICES[name]\n", "utf-8")
    probes = ("tiny.PRICES.update(tea=1); tiny.price('tea')", "tiny.price('tea')", "tiny.price('cup')")
    case = _case(tmp_path)
    root = make_project(case, Prepared(Path(sys.executable), tmp_path))
    found = probe(case, root, Path(sys.executable), probes)
    assert list(found.values()) == [{"value": "1"}, {"raises": "KeyError"}, {"value": "3"}]


def test_results_of_the_sealed_half_show_no_code():
    """What would show the code of a sealed case is left out of what is written."""
    from repairbench.cases import DEV, SEALED
    from repairbench.running import Result

    shown = Result("x", "mutant", "runtime", DEV, diff="-a", reason="r", spoilt="s").as_dict()
    sealed = json.dumps(Result("x", "mutant", "runtime", SEALED, diff="-a", reason="r", spoilt="s").as_dict())
    assert shown["diff"] == "-a"
    assert '"-a"' not in sealed
    assert '"s"' not in sealed
