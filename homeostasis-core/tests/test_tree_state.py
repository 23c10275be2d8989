"""`tree_state`: the same tree is known again, and another one is not taken for it."""

from __future__ import annotations

import pytest

from homeostasis import tree_state as module
from homeostasis.testing.builders import patch_of
from homeostasis.tree_state import tree_state


@pytest.fixture
def root(tmp_path):
    """A small project."""
    root = tmp_path / "project"
    (root / "shop" / "data").mkdir(parents=True)
    (root / "shop" / "pricing.py").write_bytes(b"TEA = 3\n")
    (root / "shop" / "data" / "prices.json").write_text("{}")
    return root


def digest(root, patch=None):
    return tree_state(root).digest(patch)


def test_what_a_patch_makes_is_known_again_once_it_is_deployed(root):
    """By content: the deployed file has another inode and other times than any that was looked at."""
    patch = patch_of({"shop/pricing.py": (b"TEA = 3\n", b"TEA = 4\n"), "shop/new.py": (None, b"")})
    before, ahead = digest(root), digest(root, patch)
    patch.apply(root)
    assert digest(root) == ahead != before
    (root / "shop" / "new.py").unlink()
    (root / "shop" / "pricing.py").write_bytes(b"TEA = 3\n")
    assert digest(root) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "shop" / "pricing.py").write_bytes(b"TEA = 9\n"),
        lambda root: (root / "shop" / "data" / "prices.json").write_text("[]"),
        lambda root: (root / "shop" / "pricing.py").replace(root / "shop" / "prices.py"),
        lambda root: (root / "conftest.py").touch(),
        lambda root: (root / "empty").mkdir(),
        lambda root: (root / "link").symlink_to("shop"),
    ],
    ids=["Python", "data", "name", "new file", "new directory", "new link"],
)
def test_a_changed_tree_is_another_one(root, change):
    """Also where size and, as far as the clock tells, time stay the same."""
    before = tree_state(root)
    change(root)
    assert tree_state(root) != before
    assert digest(root) != before.digest()


def test_what_is_no_part_of_the_program_does_not_count(root):
    """Repositories, caches, byte code, our own state, environments."""
    before = digest(root)
    for name in (".git", "shop/__pycache__", ".homeostasis", "venv"):
        (root / name).mkdir()
        (root / name / "file.py").touch()
    (root / "venv" / "pyvenv.cfg").touch()
    assert digest(root) != before, "the directory of the environment is seen"
    (root / "venv" / "file.py").write_text("changed")
    after = digest(root)
    (root / "venv" / "file.py").write_text("changed again")
    (root / ".git" / "file.py").write_text("changed again")
    assert digest(root) == after


def test_links_count_by_what_they_lead_to(root, tmp_path):
    """What lies outside in a directory is not looked at, so that nothing is said of such a tree."""
    outside = tmp_path / "outside.json"
    outside.write_text("1")
    (root / "settings.json").symlink_to(outside)
    (root / "lock").symlink_to("somebody@nowhere")
    before = digest(root)
    outside.write_text("22")
    assert digest(root) != before
    (root / "libraries").symlink_to(tmp_path)
    assert tree_state(root) is None


def test_a_tree_that_is_too_large_or_unreadable_is_unknown(root, monkeypatch):
    """Looking at it would take longer than it saves."""
    assert tree_state(root / "missing") is None
    monkeypatch.setattr(module, "MAX_FILES", 2)
    assert tree_state(root) is None
