"""The docs cannot lag: what the code offers has a heading."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import homeostasis.plugins
from homeostasis import hookspecs, models
from homeostasis.config import TABLES, Config, core_keys

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
sys.path.insert(0, str(DOCS / "_ext"))

from homeostasis_reference.commands import commands, commands_page  # noqa: E402
from homeostasis_reference.hooks import hooks_page  # noqa: E402
from homeostasis_reference.models import models_page  # noqa: E402
from homeostasis_reference.rules import registries, rules_page, templates_page  # noqa: E402
from homeostasis_reference.settings import settings_page  # noqa: E402

HANDWRITTEN = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md"), *DOCS.glob("[!_]*/*.md")])


def headings(page: str) -> list[str]:
    fences = re.sub(r"^(`{3,}).*?^\1$", "", page, flags=re.DOTALL | re.MULTILINE)
    return [line.lstrip("#").strip() for line in fences.splitlines() if line.startswith("#")]


def test_every_hook_has_a_heading():
    """All hooks of the specification."""
    hooks = [name for name in vars(hookspecs) if name.startswith("homeostasis_")]
    assert len(hooks) >= 11
    assert set(hooks) <= set(headings(hooks_page()))


def test_every_setting_has_a_heading():
    """All keys of core's tables, and of the tables of all installed plugins."""
    found = headings(settings_page())
    wanted = [key for key in core_keys() if key not in TABLES]
    wanted += [field.alias or name for model in TABLES.values() for name, field in model.model_fields.items()]
    for plugin in homeostasis.plugins.discover():
        settings = getattr(plugin.load(), "homeostasis_settings", None)
        if settings is not None:
            assert f"[tool.homeostasis.{plugin.name}]" in found
            wanted += list(settings().model_fields)
    assert set(wanted) <= set(found)
    assert {f"[tool.homeostasis.{name}]" for name in TABLES} <= set(found)


def test_every_setting_is_described():
    """No key stands there without a sentence."""
    for model in (Config, *TABLES.values()):
        plain = [field for name, field in model.model_fields.items() if (field.alias or name) not in TABLES]
        assert all(field.description or field.exclude for field in plain)


def test_every_command_has_a_heading():
    """All commands, those of plugins included, each with a help text."""
    names = [name for name, _ in commands()]
    promised = [
        "init",
        "doctor",
        "plugins",
        "run",
        "heal",
        "incidents",
        "show",
        "approve",
        "reject",
        "rollback",
        "demo",
    ]
    assert {f"homeostasis {name}" for name in promised} <= set(names)
    assert set(names) <= set(headings(commands_page()))
    assert [name for name, command in commands() if not (command.help or "").strip()] == []


def test_every_option_is_explained():
    """An option without a help text is a riddle."""
    unexplained = [
        f"{name} {option.name}"
        for name, command in commands()
        for option in command.params
        if not getattr(option, "hidden", False) and option.name != "help" and not getattr(option, "help", None)
    ]
    assert unexplained == []


def test_every_model_has_a_heading():
    """All models that hooks get and return."""
    names = [name for name in models.__all__ if isinstance(getattr(models, name), type)]
    shown = [name for name in names if issubclass(getattr(models, name), models.Model) and name != "Model"]
    assert set(shown) <= set(headings(models_page()))


@pytest.mark.once("the pages are made from the same rules")
def test_every_rule_and_template_has_a_heading():
    """All that the installed plugins register."""
    rules, templates = registries()
    assert len(rules) >= 12
    assert {rule.rule_id for rule in rules} <= set(headings(rules_page()))
    assert {template.template_id for template in templates} <= set(headings(templates_page()))


@pytest.mark.parametrize("page", HANDWRITTEN, ids=[path.relative_to(ROOT).as_posix() for path in HANDWRITTEN])
def test_relative_links_lead_somewhere(page):
    """A file that is linked is there; generated pages are known by their names."""
    text = re.sub(r"^(`{3,}).*?^\1$", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if not target.startswith(("http:", "https:", "mailto:")) and "generated/" not in target:
            assert (page.parent / target).exists(), target


def test_the_pages_that_the_faq_promises_exist():
    """Links from outside go to these names."""
    for name in ("usage.md", "contributing-rules.md", "contributing-templates.md", "faq.md", "../CONTRIBUTING.md"):
        assert (DOCS / name).is_file()


def test_packages_that_are_named_exist():
    """Each `pip install` of ours names a package of this repository."""
    known = {path.parent.name for path in ROOT.glob("plugins/*/pyproject.toml")} | {"homeostasis-core"}
    known = {name if name.startswith("homeostasis-") else f"homeostasis-{name}" for name in known}
    for page in HANDWRITTEN:
        for line in re.findall(r"pip install ([^`\n]+)", page.read_text("utf-8")):
            ours = [word.split("[")[0] for word in line.split() if word.startswith("homeostasis-")]
            assert {name for name in ours if "example" not in name and "@" not in name} <= known, page


def test_fragments_begin_with_their_package():
    """A reader of the changelog sees at once whether a line is about what they use."""
    names = [path.parent.name for path in ROOT.glob("plugins/*/pyproject.toml")]
    known = {"homeostasis-core", *names, *(f"homeostasis-{name}" for name in names)}
    for fragment in ROOT.glob("changelog.d/*.*.md"):
        assert re.fullmatch(r"(\+[\w-]+|\d+)\.(feature|fix|breaking)\.md", fragment.name), fragment.name
        assert fragment.read_text("utf-8").split(":")[0] in known, fragment.name
