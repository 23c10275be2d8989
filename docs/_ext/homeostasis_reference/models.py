"""The models, and the JSON Schema of events."""

from __future__ import annotations

import inspect
import json

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from homeostasis import models
from homeostasis.models import Event, Model
from homeostasis_reference.markdown import label, table

ORDER = ("Event", "Incident", "Diagnosis", "Patch", "Trial", "Verdict", "Release")


def model_names() -> list[str]:
    """The models of the stages first, then what they are made of."""
    rest = [
        name
        for name in models.__all__
        if inspect.isclass(getattr(models, name)) and issubclass(getattr(models, name), Model) and name != "Model"
    ]
    return [*ORDER, *(name for name in rest if name not in ORDER)]


def models_page() -> str:
    """The page: one heading for each model."""
    parts = [
        "# Models\n",
        "Frozen values that flow one way through the stages. [The JSON Schema of events](event.schema.json) is for "
        "those who write collectors in other languages.\n",
    ]
    for name in model_names():
        model: type[BaseModel] = getattr(models, name)
        parts += [label("model", name), f"## {name}\n", inspect.cleandoc(model.__doc__ or "") + "\n"]
        rows = ((f"`{key}`", f"`{_type(field)}`", field.description or "") for key, field in model.model_fields.items())
        parts.append(table(("field", "type", "meaning"), rows))
    return "\n".join(parts)


def event_schema() -> str:
    """JSON Schema of `Event`."""
    return json.dumps(Event.model_json_schema(mode="serialization"), indent=2) + "\n"


def _type(field: FieldInfo) -> str:
    annotation = field.annotation
    plain = isinstance(annotation, type) and not getattr(annotation, "__args__", None)
    text = annotation.__name__ if plain and annotation is not None else str(annotation)
    for prefix in ("typing.", "pathlib.", *(f"homeostasis.models.{module}." for module in _modules())):
        text = text.replace(prefix, "")
    return text.replace("NoneType", "None")


def _modules() -> list[str]:
    return ["event", "incident", "diagnosis", "patch", "trial", "verdict", "release", "base"]
