"""What is found, what is loaded, and why the rest is not."""

from __future__ import annotations

import sys

import pytest

from homeostasis.errors import ConfigError
from homeostasis.plugins import load_plugins

GOOD = """
from homeostasis import hookimpl
from homeostasis.models import Check, Outcome

@hookimpl
def homeostasis_validate(patch):
    return Check(name="good", outcome=Outcome.ACCEPTED)
"""


def state_of(plugins, name):
    return next(state for state in plugins.states if state.name == name)


def load(make_project, *names, more=""):
    listed = ", ".join(f'"{name}"' for name in names)
    return load_plugins(make_project(f"plugins = [{listed}]\n{more}"))


def test_installed_is_not_enabled(publish, make_project):
    """A plugin that the project does not allow is not even imported, and its state says how to allow it."""
    publish("good", GOOD)
    plugins = load(make_project)
    assert state_of(plugins, "good").state == "not allowed"
    assert "add 'good' to plugins" in state_of(plugins, "good").reason
    assert "published_good_plugin" not in sys.modules


def test_allowed_plugin_is_loaded(publish, make_project):
    """A state names distribution, version, module and hooks."""
    publish("good", GOOD)
    state = state_of(load(make_project, "good"), "good")
    assert (state.state, state.distribution, state.version) == ("loaded", "published-good", "1.0")
    assert (state.module, state.hooks) == ("published_good_plugin", ("validate",))


def test_missing_plugin_names_the_pip_command(make_project):
    """An allowed plugin that nobody installed is reported with the command that installs it."""
    state = state_of(load(make_project, "rules-cobol"), "rules-cobol")
    assert state.state == "missing"
    assert "pip install homeostasis-rules-cobol" in state.reason


@pytest.mark.parametrize(
    ("source", "target", "sentence"),
    [
        ("import no_such_module_at_all", None, "No module named 'no_such_module_at_all'"),
        ("raise SystemExit(3)", None, "SystemExit: 3"),
        ("assert False, 'not today'", None, "AssertionError: not today"),
        (
            "from homeostasis import hookimpl\n@hookimpl\ndef homeostasis_validate(trial, colour): ...",
            None,
            "takes 'colour', which the hook does not pass",
        ),
        (
            "from homeostasis import hookimpl\n@hookimpl\nasync def homeostasis_validate(trial): ...",
            None,
            "is async, but hooks are called without an event loop",
        ),
        (
            "from homeostasis import hookimpl\n@hookimpl\ndef homeostasis_validte(trial): ...",
            None,
            "there is no hook homeostasis_validte: did you mean homeostasis_validate?",
        ),
        (
            "from homeostasis import hookimpl\nclass Plugin:\n    @hookimpl\n    def homeostasis_validate(self): ...",
            "Plugin",
            "names a class, not a module",
        ),
        ("def homeostasis_validate(trial): ...", None, "has no @homeostasis.hookimpl"),
        ("answer = 42", None, "implements no hook"),
        (
            "from homeostasis import hookimpl\n@hookimpl(wrapper=True)\ndef homeostasis_validate(trial):\n"
            "    return (yield)",
            None,
            "is a wrapper",
        ),
    ],
)
def test_broken_plugin_is_refused_and_the_others_go_on(publish, make_project, source, target, sentence):
    """Each way to break a plugin is refused with a sentence, and a good plugin beside it still loads."""
    publish("good", GOOD)
    publish("broken", source, target=target)
    plugins = load(make_project, "broken", "good")
    assert state_of(plugins, "broken").state == "refused"
    assert sentence in state_of(plugins, "broken").reason
    assert state_of(plugins, "good").state == "loaded"
    assert plugins.implementing("validate") == ["good"]


def test_name_claimed_twice_is_refused_for_both(publish, make_project):
    """Of two distributions that claim one name neither is loaded, and both are named."""
    publish("good", GOOD)
    publish("twin", GOOD, distribution="published-one")
    publish("twin", GOOD, distribution="published-two")
    plugins = load(make_project, "twin", "good")
    reasons = [state.reason for state in plugins.states if state.name == "twin"]
    assert len(reasons) == 2
    assert all("published-one, published-two" in reason for reason in reasons)
    assert plugins.implementing("validate") == ["good"]


def test_plugins_are_called_in_the_order_of_the_project(publish, make_project):
    """The allow-list is the order, whatever the names."""
    publish("zebra", GOOD)
    publish("ant", GOOD)
    assert load(make_project, "zebra", "ant").implementing("validate") == ["zebra", "ant"]


SETTINGS = """
from homeostasis import hookimpl
from homeostasis.config import Table

class Depth(Table):
    depth: int = 3

@hookimpl
def homeostasis_settings():
    return Depth
"""


def test_plugin_reads_its_own_table(publish, make_project):
    """A plugin's table is validated by the plugin's model."""
    publish("digger", SETTINGS)
    plugins = load(make_project, "digger", more="[tool.homeostasis.digger]\ndepth = 7\n")
    assert plugins.settings("digger").depth == 7


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (
            "[tool.homeostasis.digger]\ndept = 7\n",
            "unknown key 'dept' in [tool.homeostasis.digger]: did you mean 'depth'?",
        ),
        ("[tool.homeostasis.digger]\ndepth = 'deep'\n", "tool.homeostasis.digger.depth = 'deep'"),
        ("[tool.homeostasis.diger]\ndepth = 7\n", "did you mean [tool.homeostasis.digger]?"),
        ("[tool.homeostasis.zebra]\ndepth = 7\n", "is the table of a plugin that is not allowed"),
    ],
)
def test_wrong_plugin_table_names_key_and_file(publish, make_project, table, sentence):
    """A wrong key, value or table of a plugin is an error that names the key, the file and the nearest valid one."""
    publish("digger", SETTINGS)
    publish("zebra", SETTINGS)
    with pytest.raises(ConfigError) as caught:
        load(make_project, "digger", more=table)
    assert sentence in str(caught.value)
    assert "pyproject.toml" in str(caught.value)
