"""Registries: adding, finding and refusing doubles."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from homeostasis.errors import RuleError
from homeostasis.rules import RuleRegistry, TemplateRegistry


def write_rule(file: Path, rule_id: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    pattern = {"type": "regex", "value": "^KeyError"}
    rule = {"rule_id": rule_id, "description": "d", "pattern": pattern, "fix": {"refactor": "x"}}
    file.write_text(json.dumps(rule), encoding="utf-8")


def write_template(file: Path, template_id: str) -> None:
    file.write_text(json.dumps({"template_id": template_id, "description": "d", "effect": "correct"}), encoding="utf-8")
    file.with_name(f"{file.stem}.py.template").write_text("pass\n", encoding="utf-8")


def test_a_directory_is_read_in_sorted_order_with_its_folders(tmp_path: Path) -> None:
    """Rules come in the order of their paths, and each knows its file."""
    write_rule(tmp_path / "b.json", "second")
    write_rule(tmp_path / "a" / "z.json", "first")
    registry = RuleRegistry()
    registry.add_directory(tmp_path)
    assert [rule.rule_id for rule in registry] == ["first", "second"]
    assert registry.origin("first") == str(tmp_path / "a" / "z.json")
    assert len(registry) == 2
    assert "second" in registry
    assert registry.get("third") is None


def test_an_id_that_is_taken_is_refused_with_both_files(tmp_path: Path) -> None:
    """Two rules of one id cannot both be meant."""
    write_rule(tmp_path / "a.json", "same")
    write_rule(tmp_path / "b.json", "same")
    with pytest.raises(RuleError) as caught:
        RuleRegistry().add_directory(tmp_path)
    assert str(tmp_path / "a.json") in str(caught.value)
    assert str(tmp_path / "b.json") in str(caught.value)


def test_templates_are_kept_by_id_and_doubles_refused(tmp_path: Path) -> None:
    """The same holds for templates."""
    write_template(tmp_path / "a.json", "same")
    registry = TemplateRegistry()
    registry.add_directory(tmp_path)
    template = registry.get("same")
    assert template is not None
    with pytest.raises(RuleError, match=r"defined twice, in .*a\.json and in code"):
        registry.add(template)


def test_a_template_text_without_description_is_refused(tmp_path: Path) -> None:
    """A forgotten JSON file is named."""
    (tmp_path / "lonely.py.template").write_text("pass\n", encoding="utf-8")
    with pytest.raises(RuleError, match=r"there is no lonely\.json beside it"):
        TemplateRegistry().add_directory(tmp_path)


def test_a_directory_that_is_none_is_refused(tmp_path: Path) -> None:
    """A wrong path is an error and not an empty registry."""
    with pytest.raises(RuleError, match="is not a directory"):
        RuleRegistry().add_directory(tmp_path / "nowhere")


@pytest.mark.parametrize("first", ["plain", "override"])
def test_one_that_overrides_wins_in_either_order(tmp_path: Path, first: str) -> None:
    """The other is remembered as overridden."""
    write_rule(tmp_path / "plain" / "a.json", "same")
    write_rule(tmp_path / "override" / "a.json", "same")
    registry = RuleRegistry()
    for name in sorted(("plain", "override"), key=lambda name: name != first):
        registry.add_directory(tmp_path / name, override=name == "override")
    assert registry.origin("same") == str(tmp_path / "override" / "a.json")
    assert registry.overridden("same") == (str(tmp_path / "plain" / "a.json"),)
    assert len(registry) == 1


def test_two_that_override_are_refused(tmp_path: Path) -> None:
    """Nobody could say which of them is meant."""
    write_rule(tmp_path / "a.json", "same")
    registry = RuleRegistry()
    registry.add_directory(tmp_path, override=True)
    with pytest.raises(RuleError, match="defined twice"):
        registry.add_directory(tmp_path, override=True)
