"""The hooks, the settings and the project's own rules and templates."""

from __future__ import annotations

import json
from typing import Any

import pytest

from homeostasis.errors import ConfigError
from homeostasis.plugins import load_plugins
from homeostasis.source import SourceTree
from homeostasis.testing import crash, incident_of

SHOP = {"shop.py": "def f(row):\n    return int(row)\n"}
RULE = {
    "rule_id": "own-number",
    "description": "A number is written with a comma",
    "pattern": {"type": "regex", "value": "^ValueError: invalid literal for int"},
    "confidence": 0.9,
    "fix": {"template": "number_comma", "parameters": {"text": "{{extraction.text}}"}},
}
TEMPLATE = {
    "template_id": "number_comma",
    "description": "Read numbers with commas",
    "parameters": {"text": {"type": "expression"}},
    "effect": "correct",
}
OWN = {
    **SHOP,
    "heal/rules/own.json": json.dumps(RULE),
    "heal/templates/number_comma.json": json.dumps(TEMPLATE),
    "heal/templates/number_comma.py.template": 'int({{text}}.replace(",", ""))',
}
TABLE = {
    "plugins": ["rules-python"],
    "rules-python": {"rules": ["heal/rules"], "templates": ["heal/templates"]},
}


def test_the_projects_own_rules_and_templates_are_used(project_factory: Any) -> None:
    """Directories of the configuration add to what plugins register."""
    project = project_factory(OWN, TABLE)
    plugins, source = load_plugins(project), SourceTree(project)
    incident = incident_of(crash(project, "import shop; shop.f('1,000')"))
    (diagnosis,) = plugins.analyze(incident, source)
    (patch,) = plugins.patch(diagnosis, incident, source)
    assert not plugins.failures
    assert b'return int(row.replace(",", ""))' in patch.edits[0].after


def test_a_disabled_rule_is_not_used(project_factory: Any) -> None:
    """`disable` takes a rule out by its id."""
    files = {"shop.py": "def f(v):\n    return sum(v) / len(v)\n"}
    for disabled, expected in (([], 1), (["zero-division-neutral"], 0)):
        project = project_factory(files, {"plugins": ["rules-python"], "rules-python": {"disable": disabled}})
        incident = incident_of(crash(project, "import shop; shop.f([])"))
        assert len(load_plugins(project).analyze(incident, SourceTree(project))) == expected


def test_a_rule_may_be_replaced(project_factory: Any) -> None:
    """A rule of the project is used instead of the plugin's of the same id; one that is disabled is not."""
    rule = json.dumps({**RULE, "rule_id": "zero-division-neutral", "description": "replaced"})
    for disabled, expected in (([], ["zero-division-neutral"]), (["zero-division-neutral"], [])):
        table = {"plugins": ["rules-python"], "rules-python": {"rules": ["heal"], "disable": disabled}}
        project = project_factory({**SHOP, "heal/own.json": rule}, table)
        incident = incident_of(crash(project, "import shop; shop.f('1,000')"))
        found = load_plugins(project).analyze(incident, SourceTree(project))
        assert [each.rule_id for each in found if each.confidence == 0.9] == expected


def test_a_pack_of_another_package_may_replace_a_rule(project_factory: Any) -> None:
    """A plugin's registry call says so; who was replaced is remembered."""
    from homeostasis.rules import RuleRegistry, parse_rule
    from homeostasis_rules_python.catalog import RULES

    pack = parse_rule(json.dumps({**RULE, "rule_id": "zero-division-neutral"}))
    registry = RuleRegistry()
    registry.add(pack, "pack", override=True)
    registry.add_directory(RULES)
    assert registry.origin("zero-division-neutral") == "pack"
    assert registry.overridden("zero-division-neutral") == (str(RULES / "zero-division-neutral.json"),)


@pytest.mark.parametrize("directory", ["nowhere", "../outside"])
def test_a_wrong_directory_is_a_failure_that_names_it(project_factory: Any, directory: str) -> None:
    """A directory that does not exist or lies outside the project is named with its key."""
    table = {"plugins": ["rules-python"], "rules-python": {"rules": [directory]}}
    project = project_factory(SHOP, table)
    plugins = load_plugins(project)
    plugins.analyze(incident_of(crash(project, "import shop; shop.f('x')")), SourceTree(project))
    assert [directory in failure.message and "rules" in failure.message for failure in plugins.failures] == [True]


def test_an_unknown_setting_is_refused(project_factory: Any) -> None:
    """A misspelt key names the nearest valid one."""
    project = project_factory(SHOP, {"plugins": ["rules-python"], "rules-python": {"disabel": []}})
    with pytest.raises(ConfigError, match="disable"):
        load_plugins(project)


def test_patches_are_stable(heal: Any) -> None:
    """The same crash gives the same patch with the same id."""
    files = {"shop.py": "def f(v):\n    return sum(v) / len(v)\n"}
    first, second = (heal(files, "import shop; shop.f([])").best for _ in range(2))
    assert first.id == second.id
    assert len(first.id) == 12


def test_a_rule_chooses_status_and_message(project_factory: Any) -> None:
    """Parameters of the rule go before what the refactor would answer by itself; a message is data."""
    app = (
        "from flask import Flask, abort, request\n\napp = Flask(__name__)\napp.config['PROPAGATE_EXCEPTIONS'] = True\n"
        "\n\n@app.post('/')\ndef f():\n    return {'a': request.get_json()['a']}\n"
    )
    parameters = {"status": 409, "message": "it's '{gone}'"}
    rule = {
        "rule_id": "own",
        "description": "d",
        "pattern": {"type": "regex", "value": "^KeyError"},
        "fix": {"refactor": "refuse-missing-key", "parameters": parameters},
    }
    table = {
        "plugins": ["rules-python"],
        "rules-python": {"rules": ["heal"], "disable": ["key-error-client-field"]},
    }
    project = project_factory({"app.py": app, "heal/own.json": json.dumps(rule)}, table)
    plugins, source = load_plugins(project), SourceTree(project)
    incident = incident_of(crash(project, "from app import app; app.test_client().post('/', json={})"))
    (diagnosis,) = plugins.analyze(incident, source)
    patch = plugins.patch(diagnosis, incident, source)[0]
    assert b"abort(409, description=\"it's '{gone}'\")" in patch.edits[0].after
