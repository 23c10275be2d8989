"""Checking one file of a rule or template, beyond its form: what it names exists, and templates are Python."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, Collection, Iterator, List, Tuple

from homeostasis.errors import RuleError
from homeostasis.rules import Compare, Mistake, Rule, Template
from homeostasis.rules.loading import parsed, read_text, template_text
from homeostasis.rules.positions import JSONPositions
from homeostasis_rules_python.matching.fields import unknown_part
from homeostasis_rules_python.matching.jsonpath import parse
from homeostasis_rules_python.refactors import refactor_ids
from homeostasis_rules_python.render import check_template

Path_ = Tuple[Any, ...]


def mistakes(file: Path, templates: Collection[str] | None = None) -> List[Mistake]:
    """The mistakes of a file; one beside a `.py.template` is a template.

    Args:
        file: a JSON file.
        templates: ids that rules may name; None if any will do.
    """
    try:
        text = read_text(file)
        if file.with_name(f"{file.stem}.py.template").is_file() or '"template_id"' in text:
            return _of_template(file, text)
        rule, found = parsed(Rule, text, str(file), {})
    except RuleError as error:
        return [Mistake(str(file), 1, 1, str(error).replace(f"{file}: ", "", 1))]
    if rule is None:
        return found
    positions = JSONPositions(text)
    return [Mistake(str(file), *positions.line_column(path), message) for path, message in _problems(rule, templates)]


def _of_template(file: Path, text: str) -> List[Mistake]:
    template, found = parsed(Template, text, str(file), {"text": template_text(file)})
    if template is not None:
        try:
            check_template(template)
        except RuleError as error:
            found.append(Mistake(str(file.with_name(f"{file.stem}.py.template")), 1, 1, str(error)))
    return found


def _problems(rule: Rule, templates: Collection[str] | None) -> Iterator[Tuple[Path_, str]]:
    fix = rule.fix
    if fix.refactor is not None and fix.refactor not in refactor_ids():
        yield ("fix", "refactor"), f"there is no refactor {fix.refactor!r}{_nearest(fix.refactor, refactor_ids())}"
    if fix.template is not None and templates is not None and fix.template not in templates:
        yield ("fix", "template"), f"there is no template {fix.template!r}{_nearest(fix.template, templates)}"
    value = rule.pattern.value
    if rule.pattern.type == "json_path":
        try:
            parse(value)
        except ValueError as error:
            yield ("pattern", "value"), str(error)
    elif rule.pattern.type == "condition":
        yield from _wrong_fields(value, ("pattern", "value"))
    elif isinstance(value, dict):
        for field in value:
            yield from _wrong_field(field, ("pattern", "value", field))


def _wrong_fields(condition: Any, path: Path_) -> Iterator[Tuple[Path_, str]]:
    if isinstance(condition, Compare):
        yield from _wrong_field(condition.field, (*path, "field"))
        return
    for key in ("all", "any"):
        for index, part in enumerate(getattr(condition, key, ())):
            yield from _wrong_fields(part, (*path, key, index))
    if hasattr(condition, "not_"):
        yield from _wrong_fields(condition.not_, (*path, "not"))


def _wrong_field(field: str, path: Path_) -> Iterator[Tuple[Path_, str]]:
    unknown = unknown_part(field)
    if unknown is not None:
        part, known = unknown
        yield path, f"the field {field!r} has no part {part!r}{_nearest(part, known)}"


def _nearest(name: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {close[0]}?" if close else f"; there are {', '.join(sorted(known))}"
