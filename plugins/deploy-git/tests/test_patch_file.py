"""The deployer `patch-file`: files that `git am` takes."""

from __future__ import annotations

import pytest

from homeostasis.errors import DeployError
from homeostasis.models import FileEdit
from homeostasis_deploy_git import patch_file
from homeostasis_deploy_git.settings import PatchFileTable


@pytest.fixture
def deploy(make):
    """Deploy a patch in a directory; returns the journal with the sentence."""

    def _deploy(root, patch=None, **settings):
        journal = make.journal()
        chosen = patch or make.patch()
        table = PatchFileTable(**settings)
        journal.said = patch_file.deploy(chosen, make.verdict(), make.incident(), make.project(root), table, journal)
        return journal

    return _deploy


def test_git_am_applies_the_file(git, make, deploy):
    """In another clone, with author, subject and trailers; the repository that it was made in has not changed."""
    before = git.state()
    journal = deploy(git.top, author="Healer Bot <healer@example.org>")
    path = git.top / ".homeostasis/patches/inc1.patch"
    assert journal.facts["patch_file"] == str(path)
    assert git.state()[:3] == before[:3]
    git("checkout", "-q", "-b", "review")
    git("am", "-q", str(path))
    assert git.show("HEAD:shop.py") == make.patch().edits[0].after
    read = git("log", "-1", "--format=%s|%an <%ae>|%(trailers:key=Homeostasis-Incident,valueonly)")
    assert read == "Use 0 for a missing price|Healer Bot <healer@example.org>|inc1"


def test_line_ends_and_bytes_survive(git, make, deploy):
    """CRLF, a byte that is no UTF-8, no line end at the end; the sentence says how to keep them."""
    before = b"# \xff\r\ndef price(cart):\r\n    return cart['price']"
    git.commit(odd=before)
    git("checkout", "-q", "--", "odd.py")
    after = before.replace(b"cart['price']", b"cart.get('price', 0)")
    journal = deploy(git.top, make.patch(edits=(FileEdit(path="odd.py", before=before, after=after),)))
    assert "git am --keep-cr`" in journal.said
    git("am", "-q", "--keep-cr", journal.facts["patch_file"])
    assert git.show("HEAD:odd.py") == after


def test_undo_deletes_only_what_was_written(git, make, deploy):
    """A file that somebody edited stays; one that is gone is no obstacle."""
    journal = deploy(git.top)
    path = git.top / ".homeostasis/patches/inc1.patch"
    text = path.read_bytes()
    path.write_bytes(text + b"edited")
    patch_file.undo(make.step(journal, "patch-file"))
    assert path.exists()
    path.write_bytes(text)
    for _ in range(2):
        patch_file.undo(make.step(journal, "patch-file"))
        assert not path.exists()


def test_taken_name_gets_a_number(git, deploy):
    """An older patch of the same incident is not overwritten; an interrupted attempt is carried on with."""
    directory = git.top / "patches"
    directory.mkdir()
    (directory / "inc1.patch").write_bytes(b"older")
    first = deploy(git.top, directory="patches")
    assert first.facts["patch_file"].endswith("/patches/inc1-2.patch")
    assert (directory / "inc1.patch").read_bytes() == b"older"


def test_nothing_is_written_for_what_is_there(git, make, deploy):
    """HEAD holds the fix already."""
    after = make.patch().edits[0].after
    journal = deploy(git.top, make.patch(before=after, after=after))
    assert (journal.facts, "holds the fix already" in journal.said) == ({}, True)
    patch_file.undo(make.step(journal, "patch-file"))


def test_no_repository_is_a_sentence(tmp_path, make, deploy):
    """Which says what to do."""
    (tmp_path / "shop.py").write_bytes(make.before)
    with pytest.raises(DeployError, match="git init"):
        deploy(tmp_path)


def test_unwritable_directory_is_a_sentence(git, deploy):
    """A file is in the way."""
    with pytest.raises(DeployError, match="cannot be written below"):
        deploy(git.top, directory="shop.py")
