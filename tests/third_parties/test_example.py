"""`examples/third-party-plugin`: built apart, installed beside the founding packages, and trusted only when it is allowed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "third-party-plugin"
FOUNDING = ("rules-python", "sandbox-venv", "deploy-git")

pytestmark = pytest.mark.slow  # builds a wheel and installs it into an environment of its own

STATES = """
import json, sys
from pathlib import Path
from homeostasis.plugins import load_plugins
from homeostasis.project import Project

plugins = load_plugins(Project.load(Path()))
state = next(each for each in plugins.states if each.name == "example-thousands")
loaded = [name for name in sys.modules if name.startswith("homeostasis_example_thousands")]
rules = [rule.rule_id for rule in plugins.rules]
print(json.dumps([state.state, state.reason, state.distribution, state.hooks, loaded, "example.thousands-separator" in rules]))
"""


@pytest.fixture
def environment(build, wheels, make_environment):
    """An environment with the founding packages and the example."""
    return make_environment(*(wheels[name] for name in FOUNDING), build(EXAMPLE), "pytest")


def test_it_is_found_and_used_only_when_allowed(environment, tmp_path):
    """Installed is not enabled: without its name in `plugins` the module is not even imported."""
    project = tmp_path / "app"
    project.mkdir()
    settings = project / "pyproject.toml"

    settings.write_text('[tool.homeostasis]\nplugins = ["rules-python"]\n')
    state, reason, distribution, _, loaded, _ = json.loads(environment.run("python", "-c", STATES, cwd=project).stdout)
    assert (state, loaded) == ("not allowed", [])
    assert "example-thousands" in reason
    assert distribution == "homeostasis-example-thousands"

    settings.write_text('[tool.homeostasis]\nplugins = ["rules-python", "example-thousands"]\n')
    state, _, _, hooks, loaded, has_rule = json.loads(environment.run("python", "-c", STATES, cwd=project).stdout)
    assert (state, has_rule) == ("loaded", True)
    assert {"validate", "register_rules", "register_templates", "settings"} == set(hooks)
    assert loaded


def test_its_settings_are_checked(environment, tmp_path):
    """A misspelt key in its table is an error that names the nearest one."""
    project = tmp_path / "app"
    project.mkdir()
    (project / "pyproject.toml").write_text(
        '[tool.homeostasis]\nplugins = ["example-thousands"]\n[tool.homeostasis.example-thousands]\nmax_line = 3\n'
    )
    done = environment.run("homeostasis", "plugins", cwd=project, check=False)
    assert done.returncode == 2
    assert "max_lines" in done.stderr


def test_it_passes_the_conformance_suites(environment, tmp_path):
    """Its own tests, in about ten lines, pass against what was installed from wheels."""
    own = tmp_path / "own"
    shutil.copytree(EXAMPLE / "tests", own / "tests")
    shutil.copy(EXAMPLE / "pyproject.toml", own)
    done = environment.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=own)
    assert " passed" in done.stdout
    assert len((EXAMPLE / "tests" / "test_conformance.py").read_text().splitlines()) <= 12


def test_it_heals_what_nobody_else_knows(environment, tmp_path):
    """A crash that only its rule understands gets its patch, and its validator agrees."""
    project = tmp_path / "app"
    project.mkdir()
    (project / "pyproject.toml").write_text(
        '[tool.homeostasis]\nplugins = ["rules-python", "sandbox-venv", "compile", "reproduction", "example-thousands"]\n'
    )
    (project / "report.py").write_text(
        'def amount(row):\n    text = row[1]\n    return int(text)\n\n\nprint(amount(["tea", "1,234"]))\n'
    )
    done = environment.run(
        "homeostasis", "heal", "--json", "--", environment.python, "report.py", cwd=project, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    incident = json.loads(done.stdout)
    assert incident["rule_id"] == "example.thousands-separator"
    assert '+    return int(text.replace(",", ""))' in incident["patch"]["files"][0]["diff"]
    checks = {check["name"]: check["outcome"] for check in incident["verdict"]["checks"]}
    assert checks["small-change"] == checks["reproduction"] == "accepted"
