"""The rules and templates in force: the project's own, and those of plugins that are neither disabled nor replaced."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Sequence, Tuple
from weakref import WeakKeyDictionary

from homeostasis.errors import ConfigError
from homeostasis.rules import RuleRegistry, TemplateRegistry
from homeostasis_rules_python.matching import RuleIndex
from homeostasis_rules_python.settings import RulesPythonSettings

RULES = Path(__file__).with_name("rules")
"""Directory of the rules of this package."""
TEMPLATES = Path(__file__).with_name("templates")
"""Directory of the templates of this package."""

_TEMPLATES: WeakKeyDictionary[TemplateRegistry, Tuple[Any, TemplateRegistry]] = WeakKeyDictionary()
_INDEXES: WeakKeyDictionary[RuleRegistry, Tuple[Any, RuleIndex]] = WeakKeyDictionary()


def shipped_rules() -> RuleRegistry:
    """The rules of this package."""
    registry = RuleRegistry()
    registry.add_directory(RULES)
    return registry


def shipped_templates() -> TemplateRegistry:
    """The templates of this package."""
    registry = TemplateRegistry()
    registry.add_directory(TEMPLATES)
    return registry


def rules_in_force(registered: RuleRegistry, settings: RulesPythonSettings, root: Path) -> RuleRegistry:
    """Registered rules and those of the project's directories, which replace those of the same id; no disabled ones.

    Raises:
        ConfigError: a directory does not exist or lies outside the project.
        RuleError: a rule is malformed, or the project has two of one id.
    """
    everything = rules_at_hand(registered, settings, root)
    registry = RuleRegistry()
    for rule in everything:
        if rule.rule_id not in settings.disable:
            registry.add(rule, everything.origin(rule.rule_id) or "code")
    return registry


def rules_at_hand(registered: RuleRegistry, settings: RulesPythonSettings, root: Path) -> RuleRegistry:
    """The same with the disabled ones; it knows which rules were overridden.

    Raises:
        ConfigError: a directory does not exist or lies outside the project.
        RuleError: a rule is malformed, or the project has two of one id.
    """
    registry = RuleRegistry()
    for rule in registered:
        registry.add(rule, registered.origin(rule.rule_id) or "code")
    for directory in settings.rules:
        registry.add_directory(_inside(root, directory, "rules"), override=True)
    return registry


def templates_in_force(registered: TemplateRegistry, settings: RulesPythonSettings, root: Path) -> TemplateRegistry:
    """Registered templates and those of the project's directories, which replace those of the same id.

    Raises:
        ConfigError: a directory does not exist or lies outside the project.
        RuleError: a template is malformed, or the project has two of one id.
    """
    if not settings.templates:
        return registered
    registry = TemplateRegistry()
    for template in registered:
        registry.add(template, registered.origin(template.template_id) or "code")
    for directory in settings.templates:
        registry.add_directory(_inside(root, directory, "templates"), override=True)
    return registry


def templates_of(registered: TemplateRegistry, settings: RulesPythonSettings, root: Path) -> TemplateRegistry:
    """The templates in force, read anew only when those that are registered or the files of the project's own changed.

    Raises:
        ConfigError: a directory does not exist or lies outside the project.
        RuleError: a template is malformed, or the project has two of one id.
    """
    if not settings.templates:
        return registered
    key = (len(registered), settings, root, _stamps(settings.templates, root))
    cached = _TEMPLATES.get(registered)
    if cached is None or cached[0] != key:
        cached = (key, templates_in_force(registered, settings, root))
        _TEMPLATES[registered] = cached
    return cached[1]


def index_of(registered: RuleRegistry, settings: RulesPythonSettings, root: Path) -> RuleIndex:
    """The index of the rules in force, made anew only when the rules or the files of the project's own changed."""
    key = (len(registered), settings, root, _stamps(settings.rules, root))
    cached = _INDEXES.get(registered)
    if cached is None or cached[0] != key:
        cached = (key, RuleIndex(rules_in_force(registered, settings, root)))
        _INDEXES[registered] = cached
    return cached[1]


def _stamps(directories: Sequence[str], root: Path) -> Dict[str, int]:
    return {
        str(file): file.stat().st_mtime_ns
        for directory in directories
        for kind in ("*.json", "*.py.template")
        for file in (root / directory).rglob(kind)
    }


def _inside(root: Path, directory: str, key: str) -> Path:
    path = (root / directory).resolve()
    if root.resolve() not in (path, *path.parents):
        raise ConfigError(f"tool.homeostasis.rules-python.{key}: {directory} lies outside the project {root}")
    if not path.is_dir():
        raise ConfigError(f"tool.homeostasis.rules-python.{key}: there is no directory {path}")
    return path
