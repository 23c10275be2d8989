"""The deployer `working-tree`: exact bytes, all files or none, nobody's edits destroyed."""

from __future__ import annotations

import pytest

from homeostasis.errors import DeployError
from homeostasis.models import FileEdit
from homeostasis.models.patch import content_hash
from homeostasis_deploy_git import working_tree


@pytest.fixture
def root(tmp_path, make):
    (tmp_path / "shop.py").write_bytes(make.before)
    return tmp_path


def test_the_files_are_written_and_restored_byte_for_byte(root, make):
    """Also line ends, a byte order mark, the mode, and a file that the patch creates."""
    crlf = b"\xef\xbb\xbfdef f(a):\r\n    return a['x']\r\n\x0c\r\n"
    (root / "odd.py").write_bytes(crlf)
    (root / "odd.py").chmod(0o755)
    edits = (
        FileEdit(path="shop.py", before=make.before, after=make.patch().edits[0].after),
        FileEdit(path="odd.py", before=crlf, after=crlf.replace(b"a['x']", b"a.get('x')")),
        FileEdit(path="tests/test_new.py", before=None, after=b"def test(): pass\n"),
    )
    patch, journal = make.patch(edits=edits), make.journal()
    said = working_tree.deploy(patch, make.project(root), journal)
    assert said == "wrote shop.py, odd.py, tests/test_new.py"
    assert [(root / edit.path).read_bytes() for edit in edits] == [edit.after for edit in edits]
    assert (root / "odd.py").stat().st_mode & 0o777 == 0o755
    assert journal.undo["files"][1] == {
        "path": "odd.py",
        "before": content_hash(crlf),
        "after": content_hash(edits[1].after),
    }
    for _ in range(2):
        working_tree.undo(make.step(journal), patch, make.project(root))
        assert (root / "odd.py").read_bytes() == crlf
        assert (root / "shop.py").read_bytes() == make.before
        assert not (root / "tests/test_new.py").exists()


def test_an_edited_file_stops_the_deployment_before_anything_is_recorded(root, make):
    """Nothing is written, so there is nothing to undo."""
    (root / "shop.py").write_bytes(b"edited = 1\n")
    journal = make.journal()
    with pytest.raises(DeployError, match=r"shop\.py was edited since the patch was made"):
        working_tree.deploy(make.patch(), make.project(root), journal)
    assert journal.undo is None
    working_tree.undo(make.step(journal), make.patch(), make.project(root))
    assert (root / "shop.py").read_bytes() == b"edited = 1\n"


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_later_work_survives_the_undo(root, make, line_end):
    """Only the patch's own lines go, whoever wrote what around them; a second undo has nothing to do."""
    before, after = (content.replace(b"\n", line_end) for content in (make.before, make.patch().edits[0].after))
    (root / "shop.py").write_bytes(before)
    journal, patch = make.journal(), make.patch(before=before, after=after)
    working_tree.deploy(patch, make.project(root), journal)
    added = b"# first" + line_end, b"# last" + line_end
    (root / "shop.py").write_bytes(added[0] + after + added[1])
    for _ in range(2):
        working_tree.undo(make.step(journal), patch, make.project(root))
        assert (root / "shop.py").read_bytes() == added[0] + before + added[1]


def test_work_in_the_patched_lines_is_not_destroyed_by_undo(root, make):
    """The sentence names the file, shows the conflict and says what to do; all files stay as they are."""
    (root / "two.py").write_bytes(b"x = 1\n")
    edits = (FileEdit(path="two.py", before=b"x = 1\n", after=b"x = 2\n"), make.patch().edits[0])
    journal, patch = make.journal(), make.patch(edits=edits)
    working_tree.deploy(patch, make.project(root), journal)
    edited = edits[1].after.replace(b"cart", b"basket")
    (root / "shop.py").write_bytes(edited)
    with pytest.raises(DeployError, match=r"shop\.py was edited in the patch's own lines.*by hand") as raised:
        working_tree.undo(make.step(journal), patch, make.project(root))
    assert "basket" in str(raised.value)
    assert (root / "shop.py").read_bytes() == edited
    assert (root / "two.py").read_bytes() == b"x = 2\n"


def test_what_later_lines_need_is_not_taken_out(root, make):
    """A merge that git is content with can still be no Python."""
    before = b"a = 1\n\n\n\nb = 2\n"
    after = b"a = 1\nif a:\n    a = 2\n\n\n\nb = 2\n"
    (root / "shop.py").write_bytes(before)
    journal, patch = make.journal(), make.patch(before=before, after=after)
    working_tree.deploy(patch, make.project(root), journal)
    edited = after.replace(b"b = 2\n", b"else:\n    b = 2\n")
    (root / "shop.py").write_bytes(edited)
    with pytest.raises(DeployError, match=r"shop\.py would be no Python without the patch"):
        working_tree.undo(make.step(journal), patch, make.project(root))
    assert (root / "shop.py").read_bytes() == edited


def test_a_file_that_was_edited_or_deleted_after_it_came(root, make):
    """A new file that somebody worked on stays; one that is gone is no obstacle."""
    edits = (FileEdit(path="new.py", before=None, after=b"x = 1\n"),)
    journal, patch = make.journal(), make.patch(edits=edits)
    working_tree.deploy(patch, make.project(root), journal)
    (root / "new.py").write_bytes(b"x = 2\n")
    with pytest.raises(DeployError, match=r"new\.py came with the patch and was edited since"):
        working_tree.undo(make.step(journal), patch, make.project(root))
    (root / "new.py").unlink()
    working_tree.undo(make.step(journal), patch, make.project(root))
    assert not (root / "new.py").exists()


def test_undo_of_a_half_written_patch_restores_everything(root, make):
    """After a crash between two files."""
    (root / "two.py").write_bytes(b"x = 1\n")
    edits = (make.patch().edits[0], FileEdit(path="two.py", before=b"x = 1\n", after=b"x = 2\n"))
    patch, journal = make.patch(edits=edits), make.journal()
    working_tree.deploy(patch, make.project(root), journal)
    (root / "two.py").write_bytes(b"x = 1\n")
    working_tree.undo(make.step(journal), patch, make.project(root))
    assert (root / "shop.py").read_bytes() == make.before


def test_nothing_outside_source_is_written(root, make):
    """Settings bind at the last moment, too; links are not followed."""
    (root / "pyproject.toml").write_text('[tool.homeostasis]\nsource = ["app"]\n')
    with pytest.raises(DeployError, match="lies outside source"):
        working_tree.deploy(make.patch(), make.project(root), make.journal())
    (root / "app").mkdir()
    (root / "app/shop.py").symlink_to(root / "shop.py")
    with pytest.raises(DeployError, match="symbolic link"):
        working_tree.deploy(make.patch(path="app/shop.py"), make.project(root), make.journal())
    assert (root / "shop.py").read_bytes() == make.before


def test_another_patch_does_not_undo_the_step(root, make):
    """The bytes that come back are those that the step recorded, or none."""
    journal = make.journal()
    working_tree.deploy(make.patch(), make.project(root), journal)
    other = make.patch(before=b"other = 1\n", after=b"other = 2\n")
    with pytest.raises(DeployError, match="another patch"):
        working_tree.undo(make.step(journal), other, make.project(root))


def test_a_generated_test_may_lie_outside_source(root, make):
    """It is written and taken away with the patch; any other new file outside is refused."""
    (root / "pyproject.toml").write_text('[tool.homeostasis]\nsource = ["shop.py"]\n')
    test = FileEdit(path="tests/test_homeostasis_1.py", before=None, after=b"def test(): pass\n")
    patch, journal = make.patch().with_regression_test(test), make.journal()
    working_tree.deploy(patch, make.project(root), journal)
    assert (root / test.path).read_bytes() == test.after
    working_tree.undo(make.step(journal), patch, make.project(root))
    assert not (root / test.path).exists()
    other = make.patch(edits=(*make.patch().edits, test))
    with pytest.raises(DeployError, match="lies outside source"):
        working_tree.deploy(other, make.project(root), make.journal())
