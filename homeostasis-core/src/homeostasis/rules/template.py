"""`Template`: how a crash is mended, as source text with typed placeholders."""

from __future__ import annotations

import re
from typing import Any, Dict, List, Literal, Tuple, Union

from pydantic import Field, model_validator

from homeostasis.models.patch import Effect, Risk
from homeostasis.rules.condition import RuleModel
from homeostasis.rules.rule import IDENTIFIER

PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
"""`{{name}}` in the text of a template."""

ParameterType = Literal["expression", "identifier", "literal", "statement", "code_block", "string"]


class Applicability(RuleModel):
    """What the template is for; empty means any."""

    error_types: Tuple[str, ...] = ()
    frameworks: Tuple[str, ...] = ()


class Parameter(RuleModel):
    """One placeholder. Whatever is given for it can only become a syntax node of its type."""

    description: str = ""
    required: bool = True
    type: ParameterType
    default: Any = Field(default=None, description="Used when the parameter is not given and not required.")


class TemplateExample(RuleModel):
    """A test and a piece of documentation."""

    before: str = Field(description="Source; what is replaced stands between `<<<` and `>>>`.")
    parameters: Dict[str, Any] = Field(default_factory=dict)
    after: str


class TemplateValidation(RuleModel):
    """Limits that a rendered patch must keep."""

    max_affected_lines: int = Field(default=20, ge=1, description="Lines that the patch may add or remove.")
    imports: Tuple[str, ...] = Field(
        default=(),
        description="Imports that the rendered code needs: `json`, or `flask:abort` for `from flask import abort`.",
    )


class Template(RuleModel):
    """One `<issue>_<fix>.py.template` file with the JSON file beside it."""

    template_id: str = Field(pattern=IDENTIFIER)
    description: str = Field(min_length=1)
    language: Literal["python"] = "python"
    applicability: Applicability = Applicability()
    parameters: Dict[str, Parameter] = Field(default_factory=dict)
    effect: Effect
    risk: Risk = Risk.LOW
    examples: Union[List[TemplateExample], Tuple[TemplateExample, ...]] = ()
    validation: TemplateValidation = TemplateValidation()
    text: str = Field(description="The template itself; read from the `.py.template` file.")

    @model_validator(mode="after")
    def _placeholders_are_declared(self) -> Template:
        used = set(PLACEHOLDER.findall(self.text))
        unknown = sorted(used - set(self.parameters))
        if unknown:
            raise ValueError(f"the text uses {{{{{unknown[0]}}}}}, which parameters does not declare")
        unused = sorted(set(self.parameters) - used)
        if unused:
            raise ValueError(f"the parameter {unused[0]} does not occur in the text")
        return self
