"""`own-tests`: what passed goes on passing."""

from __future__ import annotations

import sys
import textwrap

import pytest

from homeostasis.builtin import own_tests, pytest_runs
from homeostasis.builtin.pytest_runs import Collected
from homeostasis.models import Outcome
from homeostasis.testing.builders import incident_of, stranger

INCIDENT = incident_of(stranger())
FILES = {
    "pricing.py": "def price(name):\n    return {'tea': 3}[name]\n",
    "tests/test_pricing.py": """
        import pytest
        from pricing import price

        @pytest.mark.parametrize("name", ["tea"])
        def test_known(name):
            assert price(name) == 3

        def test_fails_already():
            assert price("tea") == 5

        @pytest.mark.skip
        def test_skipped():
            pass
        """,
}


@pytest.fixture
def tested(case):
    """An app with three tests: one passes, one fails, one is skipped."""

    def make(command):
        return case(FILES, f"[tool.homeostasis.validate]\ntest_command = '{command}'")

    return make


def test_tests_that_pass_as_before_are_accepted(tested):
    """Tests that failed already are told apart and are no veto."""
    made = tested("pytest -q -p no:cacheprovider")
    found = made.check(own_tests, INCIDENT, made.patch("pricing.py", "[name]", ".get(name)"))
    assert found.outcome is Outcome.ACCEPTED
    assert found.detail == "1 test passes as before; 1 failed already without the patch"


def test_a_test_that_the_patch_breaks_is_a_veto(tested):
    """The detail names the test."""
    made = tested("MODE=ci python -m pytest -q -p no:cacheprovider")
    found = made.check(own_tests, INCIDENT, made.patch("pricing.py", "'tea': 3", "'tea': 5"))
    assert found.outcome is Outcome.REJECTED
    assert "tests/test_pricing.py::test_known[tea]" in found.detail


def test_a_test_that_is_no_longer_run_is_a_veto(tested):
    """A patch that keeps tests from being collected does not pass."""
    made = tested("pytest -q -p no:cacheprovider")
    found = made.check(own_tests, INCIDENT, made.patch("pricing.py", "def price", "def cost"))
    assert found.outcome is Outcome.REJECTED


def test_a_test_that_skips_itself_with_the_patch_is_a_veto(case):
    """A run without failures proves nothing where a test that passed before looks away now."""
    files = {
        "pricing.py": "READY = True\n\n\ndef price(name):\n    return {'tea': 3}[name]\n",
        "tests/test_pricing.py": """
            import pytest
            import pricing

            def test_import():
                assert pricing

            def test_price():
                if not pricing.READY:
                    pytest.skip("not ready")
                assert pricing.price("tea") == 3
            """,
    }
    made = case(files, "[tool.homeostasis.validate]\ntest_command = 'pytest -q -p no:cacheprovider'")
    found = made.check(own_tests, INCIDENT, made.patch("pricing.py", "True", "False"))
    assert found.outcome is Outcome.REJECTED
    assert "tests/test_pricing.py::test_price" in found.detail


def test_other_commands_are_compared_by_their_status(tested):
    """Without pytest's report the exit status decides."""
    made = tested('python -c "import pricing; assert pricing.price(\\"tea\\") == 3"')
    good = made.check(own_tests, INCIDENT, made.patch("pricing.py", "[name]", ".get(name)"))
    bad = made.check(own_tests, INCIDENT, made.patch("pricing.py", "'tea': 3", "'tea': 5"))
    assert (good.outcome, bad.outcome) == (Outcome.ACCEPTED, Outcome.REJECTED), (good.detail, bad.detail)


def test_no_command_is_inconclusive(case):
    """The detail says what to set."""
    made = case(FILES)
    found = made.check(own_tests, INCIDENT, made.patch("pricing.py", "3", "4"))
    assert (found.outcome, "test_command" in found.detail) == (Outcome.INCONCLUSIVE, True)


def test_tests_that_hang_are_ended(case):
    """A patch that makes the tests run for ever is rejected within the time limit."""
    settings = f'[tool.homeostasis.validate]\ntest_command = "{sys.executable} check.py"\ntest_timeout = 2.0'
    made = case({"check.py": "import pricing\n", "pricing.py": "TEA = 3\n"}, settings)
    found = made.check(own_tests, INCIDENT, made.patch("pricing.py", "TEA = 3", "while True: pass"))
    assert (found.outcome, "not done within 2 s" in found.detail) == (Outcome.REJECTED, True)


PYTEST = "[tool.homeostasis.validate]\ntest_command = 'pytest -q -p no:cacheprovider'"


def test_a_test_that_fails_once_is_flaky_and_no_veto(case):
    """It passes when it is run again with the patch; the detail names it."""
    text = """
        import pathlib
        import pricing

        def test_first():
            mark = pathlib.Path("seen")
            first = not mark.exists()
            mark.touch()
            assert not (first and pricing.MILK)
        """
    made = case({"pricing.py": "MILK = 0\n", "test_pricing.py": text}, PYTEST)
    found = made.check(own_tests, INCIDENT, made.patch("pricing.py", "0", "2"))
    assert found.outcome is Outcome.ACCEPTED
    assert "flaky, with the patch too: test_pricing.py::test_first" in found.detail


def test_a_test_that_is_flaky_without_the_patch_is_no_veto(case):
    """What fails with the patch, and once in two runs without it, is not held against the patch."""
    text = """
        import pathlib
        import pricing

        def test_good():
            pass

        def test_every_other_time():
            mark = pathlib.Path("seen")
            second = mark.exists()
            mark.touch()
            assert not (second or pricing.MILK)
        """
    made = case({"pricing.py": "MILK = 0\n", "test_pricing.py": text}, PYTEST)
    found = made.check(own_tests, INCIDENT, made.patch("pricing.py", "0", "2"))
    assert found.outcome is Outcome.ACCEPTED, found.detail
    assert "1 failed already without the patch" in found.detail


SPLIT = {
    "shop/__init__.py": "",
    "shop/pricing.py": "TEA = 3\n",
    "shop/views.py": "from . import pricing\n",
    "shop/stock.py": "COUNT = 1\n",
    "tests/test_views.py": "from shop import views\n\n\ndef test_views():\n    assert views.pricing.TEA\n",
    "tests/test_stock.py": """
        import pathlib
        from shop import stock

        class TestStock:
            def test_first(self):
                pathlib.Path("stock-ran").touch()

            def test_second(self):
                assert stock.COUNT
        """,
}


@pytest.fixture
def worth_it(monkeypatch):
    """Tests that never ran are thought to take longer than pytest takes to start."""
    monkeypatch.setattr(own_tests, "GUESS", 600.0)


@pytest.mark.usefixtures("worth_it")
def test_tests_that_reach_the_change_run_first(case):
    """And both parts count: the module is reached through another one, by a relative import."""
    made = case(SPLIT, PYTEST)
    found = made.check(own_tests, INCIDENT, made.patch("shop/pricing.py", "3", "4"))
    assert found.outcome is Outcome.ACCEPTED
    assert found.detail == "1 test that reaches the change, then 2 others pass with the patch"


def test_what_takes_less_time_than_starting_pytest_runs_at_once(case):
    """Once the tests have run it is known how long they take; until then their number tells."""
    made = case(SPLIT, PYTEST)
    found = made.check(own_tests, INCIDENT, made.patch("shop/pricing.py", "3", "4"))
    assert (found.outcome, found.detail) == (Outcome.ACCEPTED, "3 tests pass with the patch")


@pytest.mark.usefixtures("worth_it")
@pytest.mark.parametrize("shared", [False, True], ids=["independent", "in each other's way"])
def test_the_others_are_spread_by_the_real_pytest_xdist(case, monkeypatch, shared):
    """In two processes; where tests need each other's traces, they run again one after another, and that counts."""
    monkeypatch.setattr(own_tests, "WORTH_SPREADING", 0.0)
    monkeypatch.setattr(pytest_runs.os, "cpu_count", lambda: 4)
    text = """
        import os, pathlib
        import pytest

        @pytest.mark.parametrize("number", range(8))
        def test_one(number):
            mine = pathlib.Path("worker-" + os.environ.get("PYTEST_XDIST_WORKER", "none"))
            mine.touch()
            assert not SHARED or mine.name == "worker-none"
        """
    made = case({**SPLIT, "tests/test_stock.py": f"SHARED = {shared}\n{textwrap.dedent(text)}"}, PYTEST)
    patch = made.patch("shop/pricing.py", "3", "4")
    trial = made.trial(patch)
    found = own_tests.homeostasis_validate(trial, made.base, patch, made.project)
    look = "import pathlib; print(*sorted(path.name for path in pathlib.Path().glob('worker-*')))"
    seen = trial.run(["{python}", "-c", look]).stdout.split()
    assert found.detail == "1 test that reaches the change, then 8 others pass with the patch"
    assert seen == ["worker-gw0", "worker-gw1", *(["worker-none"] if shared else [])]


@pytest.mark.usefixtures("worth_it")
def test_a_failure_in_the_first_part_ends_the_matter(case):
    """The other tests are not run at all."""
    made = case(SPLIT, PYTEST)
    patch = made.patch("shop/pricing.py", "3", "0")
    trial = made.trial(patch)
    found = own_tests.homeostasis_validate(trial, made.base, patch, made.project)
    seen = trial.run(["{python}", "-c", "import os; print(os.path.exists('stock-ran'))"])
    assert (found.outcome, seen.stdout.strip()) == (Outcome.REJECTED, "False")
    assert "tests/test_views.py::test_views" in found.detail


def test_a_test_that_vanishes_while_all_others_pass_is_a_veto(case):
    """It is known from what pytest collects on the base."""
    files = {
        "pricing.py": "NAMES = ['tea', 'milk']\n",
        "test_pricing.py": """
            import pytest
            import pricing

            @pytest.mark.parametrize("name", pricing.NAMES)
            def test_name(name):
                assert name
            """,
    }
    made = case(files, PYTEST)
    found = made.check(own_tests, INCIDENT, made.patch("pricing.py", ", 'milk'", ""))
    assert found.outcome is Outcome.REJECTED
    assert found.detail == "1 tests that passed no longer run: test_pricing.py::test_name[milk]"


AGAIN = {
    "pricing.py": "TEA = 3\nNAMES = ['tea', 'milk']\n",
    "test_pricing.py": """
        import pytest
        import pricing

        @pytest.mark.parametrize("name", pricing.NAMES)
        def test_name(name):
            assert pricing.TEA

        @pytest.mark.skip
        def test_later():
            pass
        """,
}


def test_a_deployed_patch_leaves_nothing_to_be_asked(case):
    """Its candidate was the next crash's base: neither are tests listed there, nor those that are skipped run again."""
    made = case(AGAIN, PYTEST)
    first = made.patch("pricing.py", "3", "4")
    assert made.check(own_tests, INCIDENT, first).detail == "2 tests pass as before"
    assert made.base_ran, "the first base was asked, and its skipped test looked at"
    made.deploy(first)
    assert made.check(own_tests, INCIDENT, made.patch("pricing.py", "4", "5")).detail == "2 tests pass with the patch"
    assert made.base_ran == []
    vanished = made.check(own_tests, INCIDENT, made.patch("pricing.py", ", 'milk'", ""))
    assert vanished.detail == "1 tests that passed no longer run: test_pricing.py::test_name[milk]"


def test_another_tree_is_asked_anew(case):
    """Somebody has added a test meanwhile, which the next patch makes vanish."""
    made = case(AGAIN, PYTEST)
    first = made.patch("pricing.py", "3", "4")
    made.check(own_tests, INCIDENT, first)
    tests = made.project.root / "test_pricing.py"
    tests.write_text(tests.read_text() + "\nfor _ in pricing.NAMES[1:]:\n    def test_new():\n        pass\n")
    made.deploy(first)
    found = made.check(own_tests, INCIDENT, made.patch("pricing.py", ", 'milk'", ""))
    assert found.outcome is Outcome.REJECTED
    assert "test_pricing.py::test_new" in found.detail


def test_what_is_remembered_wrongly_is_not_believed(case):
    """A test that the remembered list does not know makes the base run; afterwards pytest is asked again."""
    made = case(AGAIN, PYTEST)
    command = pytest_runs.parse(made.project.config.validation.test_command)
    some = frozenset({"test_pricing.py::test_name[tea]"})
    own_tests._LISTINGS.confirm(made.base, command, Collected(some, 0.1))
    found = made.check(own_tests, INCIDENT, made.patch("pricing.py", "3", "4"))
    assert found.detail == "2 tests pass as before"
    own_tests.prepare(made.base, made.project)
    assert ["--collect-only" in ran for ran in made.base_ran] == [False, True]


def test_preparation_lists_what_the_first_crash_needs(case):
    """It finds the list in memory."""
    made = case(AGAIN, PYTEST)
    own_tests.prepare(made.base, made.project)
    made.base = made.trial(None)
    made.base_ran.clear()
    made.check(own_tests, INCIDENT, made.patch("pricing.py", "3", "4"))
    assert not any("--collect-only" in ran for ran in made.base_ran)
