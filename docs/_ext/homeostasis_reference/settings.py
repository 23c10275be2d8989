"""`[tool.homeostasis]` and all its tables, from the pydantic models."""

from __future__ import annotations

from typing import Any, Iterator

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from homeostasis.config import TABLES, Config
from homeostasis.plugins import discover
from homeostasis_reference.markdown import label, table

INTERNAL = ("plugin_tables", "file")
INTRODUCTION = """\
# Settings

Everything is read from the project's `pyproject.toml`. An unknown key or a value of the wrong type is an error that
names the key, the file and the nearest valid key. Tables of plugins may be given for loaded plugins only.
"""


def plugin_models() -> dict[str, type[BaseModel]]:
    """The settings models of the installed plugins, by plugin."""
    models = {}
    for found in discover():
        hook = getattr(found.load(), "homeostasis_settings", None)
        if hook is not None:
            models[found.name] = hook()
    return models


def all_tables() -> dict[str, type[BaseModel]]:
    """Every table, by its dotted name."""
    tables: dict[str, type[BaseModel]] = {"tool.homeostasis": Config}
    tables.update({f"tool.homeostasis.{name}": model for name, model in TABLES.items()})
    tables.update({f"tool.homeostasis.{name}": model for name, model in plugin_models().items()})
    return tables


def keys(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    """The keys of a table that are values, not tables themselves."""
    for name, field in model.model_fields.items():
        key = field.alias or name
        if model is not Config or key not in (*INTERNAL, *TABLES):
            yield key, field


def settings_page() -> str:
    """The page: a heading for every table and every key."""
    parts = [INTRODUCTION]
    plugins = plugin_models()
    for name, model in all_tables().items():
        owner = name.rsplit(".", 1)[-1]
        parts += [label("table", name), f"## [{name}]\n"]
        if owner in plugins:
            parts.append(f"The table of the plugin `{owner}`.\n")
        parts.append(table(("key", "default"), ((f"`{key}`", _default(field)) for key, field in keys(model))))
        for key, field in keys(model):
            parts += [label("setting", name, key), f"### {key}\n", f"{field.description}\n"]
            parts.append(f"Type: `{_type(field)}`. Default: {_default(field)}.\n")
    return "\n".join(parts)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "none, it must be given"
    value = field.get_default(call_default_factory=True)
    return "not set" if value is None else f"`{_toml(value)}`"


def _toml(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def _type(field: FieldInfo) -> str:
    annotation = field.annotation
    text = (
        annotation.__name__
        if isinstance(annotation, type) and not getattr(annotation, "__args__", None)
        else str(annotation)
    )
    return text.replace("typing.", "").replace("pathlib.", "").replace("NoneType", "None")
