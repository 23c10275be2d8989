"""`template/new.py`: what it makes can be built, and passes the suite of its stage as it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

NEW = Path(__file__).resolve().parents[2] / "template" / "new.py"
STAGES = ("collect", "analyze", "patch", "sandbox", "validate", "deploy", "rules")


def new(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(NEW), *map(str, words)], capture_output=True, text=True, check=False)


@pytest.mark.once("what is tried is a skeleton of files")
@pytest.mark.slow  # builds seven packages and installs them into an environment of its own
def test_every_stage_is_a_package_that_passes(tmp_path, build, wheels, make_environment):
    """One package for each stage, built, installed from its wheel, and tested with its own tests."""
    made = [tmp_path / f"made-{stage}" for stage in STAGES]
    for stage, folder in zip(STAGES, made):
        done = new(f"my-{stage}", "--stage", stage, folder)
        assert done.returncode == 0, done.stderr
    environment = make_environment(wheels["rules-python"], "pytest", *(build(folder) for folder in made))
    for folder in made:
        done = environment.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=folder, check=False)
        assert done.returncode == 0, f"{folder.name}:\n{done.stdout[-4000:]}"
        assert " passed" in done.stdout
        assert "skipped" not in done.stdout


def test_nothing_is_left_to_fill_in(tmp_path):
    """No placeholder of the skeleton survives, in names or in texts."""
    for stage in STAGES:
        new("two-words", "--stage", stage, tmp_path / stage)
        paths = [path for path in (tmp_path / stage).rglob("*") if path.is_file()]
        assert len(paths) >= 6
        assert [path for path in paths if "@" in path.as_posix() or path.suffix == ".in"] == []
        assert [path for path in paths if "@" in path.read_text("utf-8").replace("@hookimpl", "")] == []
        assert any("homeostasis_two_words" in path.parts for path in paths)


@pytest.mark.parametrize("name", ["Two", "a_b", "-a", "a--b", "../x", ""])
def test_names_that_cannot_be_packages_are_refused(name, tmp_path):
    """A bad name ends with a sentence before anything is written."""
    done = new("--stage=validate", "--", name, tmp_path / "made")
    assert done.returncode == 2
    assert "lower case" in done.stderr
    assert not (tmp_path / "made").exists()


def test_a_folder_with_files_is_left_alone(tmp_path):
    """What is there already is not written into."""
    (tmp_path / "precious.txt").write_text("mine")
    done = new("name", tmp_path)
    assert done.returncode == 2
    assert "not empty" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]
