"""`reach`: which tests import what was changed."""

from __future__ import annotations

import pytest

from homeostasis.builtin import reach


@pytest.fixture
def tree(tmp_path):
    """Writes files (path to text) and returns their root."""

    def make(files):
        for name, text in files.items():
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return tmp_path

    return make


PACKAGE = {
    "src/shop/__init__.py": "",
    "src/shop/cart/__init__.py": "from .total import add\n",
    "src/shop/cart/total.py": "",
}
TOTAL = "src/shop/cart/total.py"


@pytest.mark.parametrize(
    ("text", "reaches"),
    [
        ("import shop.cart.total", True),
        ("from shop.cart.total import add", True),
        ("from shop.cart import total", True),
        ("def test():\n    from shop import cart", True),
        ("import shop", False),
        ("import total", False),
        ("import shop.totals", False),
        ("def (", False),
        ("(" * 5000, False),
    ],
)
def test_imports_are_followed(tree, text, reaches):
    """Through packages and functions; a file that is no Python reaches nothing."""
    root = tree({**PACKAGE, "tests/test_it.py": text})
    assert (reach.reaching(root, ["tests/test_it.py"], [TOTAL]) == {"tests/test_it.py"}) is reaches


def test_imports_in_a_circle_end(tree):
    """Modules that import each other are looked at once."""
    root = tree({"a.py": "import b", "b.py": "import a", "c.py": "", "test_a.py": "import a"})
    assert reach.reaching(root, ["test_a.py"], ["c.py"]) == frozenset()


def test_a_conftest_counts_only_if_nothing_else_is_found(tree):
    """It often imports the whole app, and then says nothing about a single test."""
    root = tree(
        {"app.py": "", "tests/conftest.py": "import app", "tests/test_a.py": "", "tests/test_b.py": "", "test_c.py": ""}
    )
    tests = ["tests/test_a.py", "tests/test_b.py", "test_c.py"]
    assert reach.reaching(root, tests, ["app.py"]) == {"tests/test_a.py", "tests/test_b.py"}
    (root / "tests/test_b.py").write_text("import app  # itself")
    assert reach.reaching(root, tests, ["app.py"]) == {"tests/test_b.py"}


def test_a_tree_that_is_too_large_is_not_searched(tree, monkeypatch):
    """Then nothing is known, and all tests run in one part."""
    monkeypatch.setattr(reach, "MAX_FILES", 2)
    root = tree({"app.py": "", "other.py": "", "test_a.py": "import app"})
    assert reach.reaching(root, ["test_a.py"], ["app.py"]) == frozenset()
