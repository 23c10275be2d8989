"""What holds for every plugin, whatever it does."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import distributions
from types import ModuleType
from typing import Any, Mapping

import pytest
from pydantic import ValidationError

from homeostasis.models import Event, Incident
from homeostasis.plugins import GROUP, Plugins
from homeostasis.plugins.refusal import refusal
from homeostasis.project import Project
from homeostasis.source import SourceTree
from homeostasis.testing.builders import incident_of
from homeostasis.testing.projects import ProjectFactory

SHOP = """\
PRICES = {"tea": 3, "milk": 2}


def price(name):
    return PRICES[name]


def total(names):
    return sum(price(name) for name in names)
"""


class PluginConformance:
    """Base of all suites. `name` is the plugin's entry point, `plugin` the module that it names."""

    name: str
    plugin: ModuleType
    settings: Mapping[str, Any] = {}
    """The plugin's table, as a user would write it."""
    config: Mapping[str, Any] = {}
    """Further keys of `[tool.homeostasis]`."""
    files: Mapping[str, str] = {"shop.py": SHOP}
    """The project, path to text."""
    crash: str = "import shop; shop.total(['tea', 'coffee'])"
    """Python that crashes in the project."""

    def setup_project(self, project: Project) -> None:
        """Do to the fresh project what `files` cannot say."""

    @pytest.fixture
    def project(self, project_factory: ProjectFactory) -> Project:
        """A fresh project with `files`."""
        table = {"plugins": [self.name], **self.config}
        if self.settings:
            table[self.name] = dict(self.settings)
        project = project_factory(self.files, table)
        self.setup_project(project)
        return project

    @pytest.fixture
    def plugins(self, project: Project) -> Plugins:
        """The engine's facade with this plugin alone."""
        plugins = Plugins(project)
        assert plugins.add(self.name, self.plugin) is None
        plugins.read_tables()
        return plugins

    @pytest.fixture
    def event(self, project: Project) -> Event:
        """What `crash` raises, as the monitoring captures it."""
        from homeostasis.testing.builders import crash

        return crash(project, self.crash)

    @pytest.fixture
    def incident(self, event: Event) -> Incident:
        """The incident of `event`."""
        return incident_of(event)

    @pytest.fixture
    def source(self, project: Project) -> SourceTree:
        """The project as the analyze and patch stages read it."""
        return SourceTree(project)

    def test_the_plugin_is_accepted(self) -> None:
        """It is a module whose hooks exist, are marked, take known parameters and are neither async nor wrappers."""
        assert refusal(self.plugin) is None

    def test_an_entry_point_names_the_module(self) -> None:
        """An installed distribution publishes the module under the plugin's name, so that it can be allowed."""
        published = {
            entry.value
            for each in distributions()
            for entry in each.entry_points
            if (entry.group, entry.name) == (GROUP, self.name)
        }
        assert published == {self.plugin.__name__}

    def test_importing_it_does_nothing(self) -> None:
        """Importing the module prints nothing and starts no thread: it happens in every command."""
        check = f"import {self.plugin.__name__}, threading; assert threading.active_count() == 1"
        done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    def test_its_settings_forbid_unknown_keys(self, plugins: Plugins) -> None:
        """A misspelt key in the plugin's table is an error, not a setting that silently does nothing."""
        settings = plugins.settings(self.name)
        if settings is not None:
            with pytest.raises(ValidationError):
                type(settings).model_validate({**self.settings, "no_such_key": 1})

    def test_its_settings_are_described(self, plugins: Plugins) -> None:
        """Every key has a description: the reference and the error messages are made from them."""
        settings = plugins.settings(self.name)
        fields = type(settings).model_fields if settings is not None else {}
        assert [name for name, field in fields.items() if not field.description] == []
