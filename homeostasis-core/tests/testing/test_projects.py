"""Projects of the factory are real ones."""

from __future__ import annotations

import subprocess


def test_settings_are_written_as_toml(project_factory):
    """Values, lists and tables arrive in the loaded configuration."""
    project = project_factory(
        {"shop/__init__.py": ""},
        {"service": "shöp", "source": ["shop"], "plugins": ["x"], "deploy": {"chain": ["a", "b"]}, "x": {"limit": 3}},
    )
    config = project.config
    assert (config.service, config.source, config.deploy.chain) == ("shöp", ("shop",), ("a", "b"))
    assert config.plugin_tables == {"x": {"limit": 3}}


def test_line_endings_are_kept(project_factory):
    """What a test writes is what lies on the disk."""
    project = project_factory({"a.py": "x = 1\r\ny = 2\r\n"})
    assert (project.root / "a.py").read_bytes() == b"x = 1\r\ny = 2\r\n"


def test_a_git_project_is_clean(project_factory):
    """With `git`, everything is committed, whatever identity the machine has."""
    project = project_factory({"a.py": ""}, git=True)
    status = subprocess.run(["git", "-C", str(project.root), "status", "--porcelain"], capture_output=True, check=True)
    assert status.stdout == b""


def test_projects_do_not_share_a_folder(project_factory):
    """Each call makes a fresh project."""
    assert project_factory({}).root != project_factory({}).root
