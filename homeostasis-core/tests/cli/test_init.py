"""`init`: what is found in an app, and how the settings get into its pyproject.toml."""

from __future__ import annotations

import json
import subprocess

import pytest

from homeostasis.cli import detect
from homeostasis.config import load_config

FLASK_FACTORY = "from flask import Flask\n\n\ndef create_app(config=None):\n    app = Flask(__name__)\n    return app\n"
FASTAPI = "from fastapi import FastAPI\n\napp = FastAPI()\n"


@pytest.mark.parametrize(
    ("files", "sources", "target"),
    [
        ({"shop/__init__.py": FLASK_FACTORY, "tests/test_x.py": ""}, ["shop"], "shop:create_app()"),
        ({"main.py": FASTAPI}, ["main.py"], "main:app"),
        ({"src/orders/__init__.py": "", "src/orders/main.py": FASTAPI}, ["src"], "orders.main:app"),
        (
            {"shop/__init__.py": FLASK_FACTORY, "wsgi.py": "from shop import create_app\napp = create_app()\n"},
            ["shop", "wsgi.py"],
            "wsgi:app",
        ),
        ({"app.py": "import flask\nserver = flask.Flask('x')\n"}, ["app.py"], "app:server"),
        ({"job.py": "print('no web')\n"}, ["job.py"], None),
        ({"shop/__init__.py": "def make(needed):\n    return Flask(needed)\n"}, ["shop"], None),
        ({"broken.py": "def (\n", "main.py": FASTAPI}, ["broken.py", "main.py"], "main:app"),
    ],
)
def test_it_finds_sources_and_app(tmp_path, files, sources, target):
    """Sources and the import path of the app object are read from the files of the usual layouts."""
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    assert detect.source_folders(tmp_path) == sources
    found = detect.find_app(tmp_path, sources)
    assert (found.target if found else None) == target


def test_it_appends_and_keeps_the_rest_byte_for_byte(run_cli, tmp_path):
    """The table is appended; what was in the file stays as it was, line ends included."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").write_text(FLASK_FACTORY)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_shop.py").write_text("")
    before = b'[project]\r\nname = "my-shop"  # ours\r\n\r\n[tool.other]\r\nx = 1'
    (tmp_path / "pyproject.toml").write_bytes(before)
    done = run_cli("init", "--yes", "--mode", "auto", "--project", tmp_path)
    assert done.status == 0, done.err
    after = (tmp_path / "pyproject.toml").read_bytes()
    assert after.startswith(before)
    assert b"\n" not in after.replace(b"\r\n", b"")
    config = load_config(tmp_path)
    assert (config.service, config.source, config.app, config.mode) == (
        "my-shop",
        ("shop",),
        "shop:create_app()",
        "auto",
    )
    assert config.validation.test_command == "pytest -q"
    assert "git-branch" not in config.deploy.chain
    assert "spool" in config.plugins
    assert "setup_monitoring(app, config={})" in done.out
    shared = json.loads((tmp_path / ".homeostasis" / "monitoring.json").read_text())
    assert shared["service"] == "my-shop"
    assert (tmp_path / ".homeostasis").stat().st_mode & 0o777 == 0o700
    assert not (tmp_path / ".gitignore").exists()


def test_in_a_repository_the_state_is_ignored_once(run_cli, tmp_path):
    """`.homeostasis/` gets into .gitignore of a repository, and only once."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / ".gitignore").write_bytes(b"*.pyc")
    (tmp_path / "main.py").write_text(FASTAPI)
    assert run_cli("init", "--yes", "--project", tmp_path).status == 0
    done = run_cli("init", "--yes", "--force", "--project", tmp_path)
    assert done.status == 0, done.err
    assert (tmp_path / ".gitignore").read_bytes() == b"*.pyc\n.homeostasis/\n"
    assert "app.add_middleware(HomeostasisMiddleware, config={})" in done.out


def test_existing_settings_are_replaced_only_by_force(run_cli, tmp_path):
    """Without --force nothing is written; with it our tables are replaced and all others stay."""
    text = '[tool.homeostasis]\nservice = "old"\n[tool.homeostasis.observe]\nwindow = 9\n\n# about x\n[tool.x]\ny = 1\n'
    (tmp_path / "pyproject.toml").write_text(text)
    (tmp_path / "main.py").write_text(FASTAPI)
    done = run_cli("init", "--yes", "--project", tmp_path)
    assert done.status == 2
    assert "--force" in done.err
    assert (tmp_path / "pyproject.toml").read_text() == text
    assert run_cli("init", "--yes", "--force", "--project", tmp_path).status == 0
    after = (tmp_path / "pyproject.toml").read_text()
    assert after.startswith("[tool.x]\ny = 1\n")
    assert load_config(tmp_path).observe.window == 60.0


def test_a_form_that_cannot_be_extended_is_refused(run_cli, tmp_path):
    """An inline table cannot be appended to: nothing is written, and the sentence says so."""
    text = "tool = {other = {x = 1}}\n"
    (tmp_path / "pyproject.toml").write_text(text)
    done = run_cli("init", "--yes", "--project", tmp_path)
    assert done.status == 2
    assert "edit it by hand" in done.err
    assert (tmp_path / "pyproject.toml").read_text() == text
