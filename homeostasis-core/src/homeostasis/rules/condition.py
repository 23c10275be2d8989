"""Conditions: `all`, `any` and `not` around comparisons of one field each."""

from __future__ import annotations

from typing import Any, List, Literal, Union

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, field_validator, model_validator
from typing_extensions import Annotated

from homeostasis.rules.regex import checked_regex

ROOTS = (
    "exception",
    "exceptions",
    "frame",
    "frames",
    "locals",
    "request",
    "runtime",
    "framework",
    "module",
    "service",
    "node",
    "extraction",
)
"""What the first part of a field may be; what lies below each is documented by the analyzing plugin."""

OPERATORS = (
    "equals",
    "contains",
    "matches",
    "in",
    "is_type",
    "subclass_of",
    "less",
    "less_equal",
    "greater",
    "greater_equal",
    "exists",
)
"""Names of the comparisons."""


class RuleModel(BaseModel):
    """A part of a rule or template: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Compare(RuleModel):
    """One field and exactly one comparison."""

    field: str = Field(description="Dotted name, such as `exception.type`, `locals.order.type` or `node.kind`.")
    equals: Any = Field(default=None, description="Same JSON value.")
    contains: Any = Field(default=None, description="The text has this part, or the list this item.")
    matches: str | None = Field(default=None, description="`re.search` finds it in the text.")
    in_: List[Any] | None = Field(default=None, alias="in", description="Is one of these JSON values.")
    is_type: str | None = Field(default=None, description="The value's class, by name or dotted name.")
    subclass_of: str | None = Field(
        default=None, description="The exception or one of its bases, by name or dotted name."
    )
    less: float | None = Field(default=None, description="The number is smaller.")
    less_equal: float | None = Field(default=None, description="The number is smaller, or the same.")
    greater: float | None = Field(default=None, description="The number is greater.")
    greater_equal: float | None = Field(default=None, description="The number is greater, or the same.")
    exists: bool | None = Field(default=None, description="Whether the field is known at all.")

    @field_validator("field")
    @classmethod
    def _known_root(cls, field: str) -> str:
        if field.split(".")[0] not in ROOTS:
            raise ValueError(f"must start with one of {', '.join(ROOTS)}")
        return field

    @field_validator("matches")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        return pattern if pattern is None else checked_regex(pattern)

    @model_validator(mode="after")
    def _one_operator(self) -> Compare:
        if len(self.model_fields_set - {"field"}) != 1:
            raise ValueError(f"needs exactly one of {', '.join(OPERATORS)}")
        return self

    @property
    def operator(self) -> str:
        """Name of the comparison."""
        (name,) = self.model_fields_set - {"field"}
        return name.rstrip("_")

    @property
    def operand(self) -> Any:
        """What the field is compared with."""
        return getattr(self, "in_" if self.operator == "in" else self.operator)


class All(RuleModel):
    """Every part holds."""

    all: List[Condition] = Field(min_length=1)


class Any_(RuleModel):  # noqa: N801 - `Any` is taken by typing
    """At least one part holds."""

    any: List[Condition] = Field(min_length=1)


class Not(RuleModel):
    """The part does not hold."""

    not_: Condition = Field(alias="not")


def _shape(value: Any) -> Literal["all", "any", "not", "compare"]:
    if isinstance(value, dict):
        if "all" in value:
            return "all"
        if "any" in value:
            return "any"
        return "not" if "not" in value else "compare"
    if isinstance(value, All):
        return "all"
    if isinstance(value, Any_):
        return "any"
    return "not" if isinstance(value, Not) else "compare"


Condition = Annotated[
    Union[
        Annotated[All, Tag("all")],
        Annotated[Any_, Tag("any")],
        Annotated[Not, Tag("not")],
        Annotated[Compare, Tag("compare")],
    ],
    Discriminator(_shape),
]
"""Any of the four shapes."""

for _model in (All, Any_, Not):
    _model.model_rebuild()
