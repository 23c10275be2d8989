"""Errors of pydantic in the words and places of a rule's author."""

from __future__ import annotations

import difflib
from typing import Any, Iterator, List, Set, Tuple, Type

from pydantic import BaseModel, ValidationError

from homeostasis.rules.condition import All, Any_, Compare, Not

Path = Tuple[Any, ...]
_UNION_TAGS = ("all", "any", "not", "compare")
_CONDITIONS = (Compare, All, Any_, Not)


def described(error: ValidationError, model: Type[BaseModel], document: Any) -> List[Tuple[Path, str]]:
    """Path within the document and message of each problem.

    A misspelt key also shows as a missing one, and as a condition without operator: then only the misspelling is named,
    which the author has to mend.
    """
    problems = error.errors(include_url=False)
    found = [(_document_path(each["loc"], document), each) for each in problems]
    misspelt = {path[:-1]: str(path[-1]) for path, each in found if each["type"] == "extra_forbidden"}
    described_: List[Tuple[Path, str]] = []
    for path, each in found:
        owner = path[:-1] if each["type"] == "missing" else path
        if each["type"] != "extra_forbidden" and owner in misspelt:
            continue
        described_.append((path, _message(each, _models_at(model, path[:-1]))))
    return described_


def _document_path(loc: Path, document: Any) -> Path:
    """The part of pydantic's location that exists in the document: tags of unions and validators are left out."""
    path: List[Any] = []
    value = document
    # A condition is checked on behalf of `pattern`, so that pydantic leaves out the `value` between the two.
    if loc[:1] == ("pattern",) and loc[1:2] in ((tag,) for tag in _UNION_TAGS):
        loc = ("pattern", "value", *loc[1:])
    for index, part in enumerate(loc):
        inside = isinstance(value, dict) and part in value
        inside = inside or (isinstance(value, list) and isinstance(part, int) and part < len(value))
        if inside:
            is_tag = part in _UNION_TAGS and loc[index + 1 : index + 2] == (part,)
            if not is_tag:
                path.append(part)
                value = value[part]
        elif part not in _UNION_TAGS and not _is_alternative(part):
            path.append(part)
    return tuple(path)


def _is_alternative(part: Any) -> bool:
    """Whether pydantic names a member of a union, such as `list[RuleExample]`."""
    return isinstance(part, str) and ("[" in part or part in ("list", "tuple"))


def _models_at(model: Type[BaseModel], path: Path) -> List[Type[BaseModel]]:
    """The models that may describe the object at a path; those of conditions within a pattern."""
    if path[:2] == ("pattern", "value"):
        return list(_CONDITIONS)
    current: List[Type[BaseModel]] = [model]
    for part in path:
        if isinstance(part, int):
            continue
        fields = [each.model_fields[part].annotation for each in current if part in each.model_fields]
        if fields:
            current = [found for annotation in fields for found in _models_in(annotation)]
    return current or [model]


def _models_in(annotation: Any) -> Iterator[Type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _models_in(argument)


def _message(error: Any, models: List[Type[BaseModel]]) -> str:
    if error["type"] == "extra_forbidden":
        nearest = difflib.get_close_matches(str(error["loc"][-1]), sorted(_field_names(models)), 1)
        return "is not a known key" + (f"; did you mean {nearest[0]}?" if nearest else "")
    if error["type"] == "missing":
        return "is missing"
    text = str(error["msg"])
    return text[len("Value error, ") :] if text.startswith("Value error, ") else text


def _field_names(models: List[Type[BaseModel]]) -> Set[str]:
    return {field.alias or name for model in models for name, field in model.model_fields.items()}
