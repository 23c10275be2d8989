"""`[tool.homeostasis]`: what is valid is read, and what is not names key, file and the nearest valid key."""

from __future__ import annotations

import pytest

from homeostasis.config import load_config
from homeostasis.errors import ConfigError


def read(tmp_path, text):
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    return load_config(tmp_path)


def test_defaults_without_a_table(tmp_path):
    """A project without settings has the documented defaults, and proposes rather than deploys."""
    config = read(tmp_path, "[project]\nname = 'x'\n")
    assert (config.mode, config.source, config.deploy.chain) == ("propose", (".",), ("git-branch",))
    assert load_config(tmp_path / "..").mode == "propose"


def test_values_are_read(tmp_path):
    """Core tables and plugin tables are told apart."""
    config = read(
        tmp_path,
        "[tool.homeostasis]\nservice = 'shop'\nmode = 'auto'\n[tool.homeostasis.validate]\ntest_command = 'pytest -q'\n"
        "[tool.homeostasis.some-plugin]\ndepth = 1\n",
    )
    assert (config.service, config.validation.test_command) == ("shop", "pytest -q")
    assert config.plugin_tables == {"some-plugin": {"depth": 1}}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("sorce = ['a']", "unknown key 'sorce' in [tool.homeostasis]: did you mean 'source'?"),
        ("xyzzy = 1", "valid keys are app, deploy"),
        ("mode = 'yolo'", "tool.homeostasis.mode = 'yolo'"),
        ("source = 3", "tool.homeostasis.source = 3"),
        (
            "[tool.homeostasis.deploy]\nchian = ['x']",
            "unknown key 'chian' in [tool.homeostasis.deploy]: did you mean 'chain'?",
        ),
        ("[tool.homeostasis.observe]\nwindow = 'long'", "tool.homeostasis.observe.window = 'long'"),
        ("[tool.homeostasis.monitoring]\nsample_rate = 2", "tool.homeostasis.monitoring.sample_rate = 2"),
        ("monitoring = 3", "tool.homeostasis.monitoring = 3"),
    ],
)
def test_mistakes_name_key_file_and_way_out(tmp_path, text, sentence):
    """Unknown keys and wrong types are errors with a way out."""
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, f"[tool.homeostasis]\n{text}\n")
    assert sentence in str(caught.value)
    assert str(tmp_path / "pyproject.toml") in str(caught.value)


@pytest.mark.parametrize("text", ["[tool.homeostasis", "[tool]\nhomeostasis = 3"])
def test_broken_files_are_named(tmp_path, text):
    """Bad TOML, or a value where the table should be, is an error that names the file."""
    with pytest.raises(ConfigError, match=r"pyproject\.toml"):
        read(tmp_path, text)


def test_missing_directory_is_named(tmp_path):
    """A project directory that does not exist is an error."""
    with pytest.raises(ConfigError, match="is not a directory"):
        load_config(tmp_path / "nowhere")
