"""Reading rule and template files; each mistake is named by file, line and column."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Mapping, Tuple, Type, TypeVar

from pydantic import BaseModel, ValidationError

from homeostasis.errors import RuleError
from homeostasis.rules.mistake import Mistake
from homeostasis.rules.positions import JSONPositions, line_column, loads
from homeostasis.rules.problems import described
from homeostasis.rules.rule import Rule
from homeostasis.rules.template import Template

MAX_FILE_BYTES = 1_000_000
"""Larger rule files are refused."""

TEMPLATE_SUFFIX = ".py.template"
SCHEMA_KEY = "$schema"
"""A key that editors look for; it may stand in every file and means nothing here."""
ModelT = TypeVar("ModelT", bound=BaseModel)


def load_rule(file: Path) -> Rule:
    """Read one rule file.

    Raises:
        RuleError: the file cannot be read or is malformed.
    """
    return parse_rule(read_text(file), str(file))


def load_template(file: Path) -> Template:
    """Read a template from its `.json` file and the `.py.template` file of the same name beside it.

    Raises:
        RuleError: one of the files cannot be read or is malformed.
    """
    return parse_template(read_text(file), template_text(file), str(file))


def parse_rule(text: str, name: str = "rule.json") -> Rule:
    """A rule from the text of its file; `name` stands in messages.

    Raises:
        RuleError: the text is malformed.
    """
    return _valid(*parsed(Rule, text, name, {}))


def parse_template(text: str, template: str, name: str = "template.json") -> Template:
    """A template from the texts of its two files; `name` stands in messages.

    Raises:
        RuleError: the text is malformed.
    """
    return _valid(*parsed(Template, text, name, {"text": template}))


def read_text(file: Path) -> str:
    """The text of a file.

    Raises:
        RuleError: it cannot be read, is too large or no UTF-8.
    """
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            raise RuleError(f"{file}: is larger than {MAX_FILE_BYTES} bytes")
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RuleError(f"{file}: cannot be read: {error}") from error


def template_text(file: Path) -> str:
    """The text of the template that a JSON file describes.

    Raises:
        RuleError: there is none, or it cannot be read.
    """
    text_file = file.with_name(file.stem + TEMPLATE_SUFFIX)
    if not text_file.is_file():
        raise RuleError(f"{file}: there is no {text_file.name} beside it")
    return read_text(text_file)


def parsed(model: Type[ModelT], text: str, name: str, extra: Mapping[str, Any]) -> Tuple[ModelT | None, List[Mistake]]:
    """A rule or template, or the mistakes of its file, in the order of the text.

    Args:
        model: `Rule` or `Template`.
        text: of the JSON file.
        name: of the file, for messages.
        extra: fields that the file itself must not give.
    """
    try:
        document = loads(text)
    except json.JSONDecodeError as error:
        return None, [Mistake(name, *line_column(text, error.pos), f"is not valid JSON: {error.msg}")]
    except RecursionError:
        return None, [Mistake(name, 1, 1, "is nested too deeply")]
    positions = JSONPositions(text)
    if not isinstance(document, dict):
        return None, [Mistake(name, 1, 1, "must be a JSON object")]
    outside = _outside_the_model(document, positions, extra)
    if outside:
        return None, [Mistake(name, *positions.line_column(path), message) for path, message in outside]
    given: Dict[str, Any] = {key: value for key, value in document.items() if key != SCHEMA_KEY}
    try:
        return model.model_validate({**given, **extra}), []
    except ValidationError as error:
        problems = described(error, model, given)
    found = {Mistake(name, *positions.line_column(path), f"{_dotted(path)}: {message}") for path, message in problems}
    return None, sorted(found, key=lambda mistake: (mistake.line, mistake.column, mistake.message))


def _outside_the_model(
    document: Dict[str, Any], positions: JSONPositions, extra: Mapping[str, Any]
) -> List[Tuple[Tuple[Any, ...], str]]:
    found: List[Tuple[Tuple[Any, ...], str]] = []
    if positions.duplicate is not None:
        found.append((positions.duplicate, f"the key {positions.duplicate[-1]!r} is given twice"))
    found += [((key,), f"the key {key!r} is not allowed here") for key in extra if key in document]
    if not isinstance(document.get(SCHEMA_KEY, ""), str):
        found.append(((SCHEMA_KEY,), f"{SCHEMA_KEY}: must be text"))
    return found


def _dotted(path: Tuple[Any, ...]) -> str:
    return ".".join(str(part) for part in path) or "the object"


def _valid(made: ModelT | None, mistakes: List[Mistake]) -> ModelT:
    if made is None:
        more = f" (and {len(mistakes) - 1} more: see homeostasis rules check)" if len(mistakes) > 1 else ""
        # What is there and wrong says more than what is missing.
        first = next((each for each in mistakes if not each.message.endswith("is missing")), mistakes[0])
        raise RuleError(f"{first}{more}")
    return made
