"""Where a generated test goes, and which fixtures it may use."""

from __future__ import annotations

import pytest

from homeostasis.models import FileEdit
from homeostasis.models.patch import Patch
from homeostasis.regression.layout import Layout
from homeostasis.testing.builders import patch_of


@pytest.mark.parametrize(
    ("files", "folder"),
    [
        ({"shop.py": b""}, "tests"),
        ({"tests/test_a.py": b""}, "tests"),
        ({"test/test_a.py": b""}, "test"),
        ({"test_a.py": b""}, "."),
        ({"spec/shop_test.py": b""}, "spec"),
        ({"shop/checks/test_a.py": b"", "shop/checks/test_b.py": b"", "test_c.py": b""}, "shop/checks"),
        ({".venv/lib/test_a.py": b"", "node_modules/x/test_b.py": b""}, "tests"),
    ],
)
def test_a_test_goes_where_the_others_are(make_project, files, folder):
    """The usual folder, else the one with most tests."""
    layout = Layout.of(make_project(files=files))
    assert (layout.folder, layout.path("A-1")) == (folder, f"{folder}/test_homeostasis_a_1.py".replace("./", ""))


def test_the_configured_folder_comes_first(make_project):
    """`testpaths` of pytest, if it lies in the project."""
    settings = '[tool.pytest.ini_options]\ntestpaths = ["{}"]'
    files = {"checks/test_a.py": b"", "tests/test_b.py": b""}
    assert Layout.of(make_project(settings.format("checks"), files)).folder == "checks"
    assert Layout.of(make_project(settings.format(".."), files)).folder == "tests"


def test_an_existing_file_is_left_alone(make_project):
    """The next free name is taken, for the same incident always in the same way."""
    project = make_project(files={"tests/test_homeostasis_a.py": b""})
    assert Layout.of(project).path("a") == "tests/test_homeostasis_a_2.py"


def test_fixtures_are_found_by_what_they_make(make_project):
    """A fixture called `client` that makes something else is none; the nearest conftest wins."""
    inner = (
        b"import pytest\n@pytest.fixture()\ndef test_client(app):\n    with app.test_client() as c:\n        yield c\n"
    )
    outer = (
        b"from pytest import fixture\n@fixture\ndef client():\n    return TestClient(app)\n@fixture\ndef app(): ...\n"
    )
    files = {"tests/conftest.py": inner, "conftest.py": outer}
    assert Layout.of(make_project(files=files)).fixtures == {"client": "test_client", "app": "app"}
    other = b"import pytest\n@pytest.fixture\ndef client():\n    return Redis()\n"
    files = {"tests/conftest.py": other, "conftest.py": b"def broken(:"}
    assert Layout.of(make_project(files=files)).fixtures == {}


CASE = b"import unittest\nclass TestShop(unittest.TestCase):\n    def test_tea(self): ...\n"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"tests/test_a.py": CASE, "tests/test_b.py": CASE, "tests/test_c.py": b"def test_c(): ...\n"}, True),
        ({"tests/test_a.py": CASE, "tests/test_c.py": b"def test_c(): ...\n"}, False),
        ({"tests/unit/shop_test.py": b"class A(DjangoTestCase): ...\n"}, True),
        ({"tests/test_a.py": b"class TestShop:\n    def test_tea(self): ...\n"}, False),
        ({"tests/test_a.py": b"def broken(:"}, False),
        ({"tests/test_a.py": b"(" * 5000}, False),
        ({}, False),
    ],
    ids=["most", "half", "a framework's", "plain classes", "broken", "too deep", "no tests"],
)
def test_the_style_of_most_tests_is_taken(make_project, files, expected):
    """Methods of a `TestCase` get no fixtures, so that none is used."""
    conftest = b"import pytest\n@pytest.fixture\ndef app(): ...\n"
    layout = Layout.of(make_project(files={**files, "tests/conftest.py": conftest}))
    assert (layout.unittest, layout.fixtures) == (expected, {} if expected else {"app": "app"})


def test_only_a_new_file_with_the_right_name_is_a_regression_test():
    """Nothing else gets past the folders of `source`."""
    patch = patch_of({"shop.py": (b"a\n", b"b\n")})
    good = FileEdit(path="tests/test_homeostasis_1.py", before=None, after=b"")
    assert patch.with_regression_test(good).regression_test == good.path
    assert patch.with_regression_test(good).digest == patch.digest
    for bad in (good.model_copy(update={"before": b""}), good.model_copy(update={"path": "tests/conftest.py"})):
        with pytest.raises(ValueError, match="no new file"):
            patch.with_regression_test(bad)
    with pytest.raises(ValueError, match="no new file"):
        Patch(**{**dict(patch), "regression_test": "shop.py"})
