"""`Rule`: when a crash is understood, and which fix it calls for."""

from __future__ import annotations

import re
from typing import Any, Dict, List, Literal, Tuple, Union

from pydantic import Field, TypeAdapter, field_validator, model_validator

from homeostasis.rules.condition import Condition, RuleModel
from homeostasis.rules.regex import checked_regex

IDENTIFIER = r"^[a-z][a-z0-9]*([-_.][a-z0-9]+)*$"
"""Form of rule, template and refactor ids."""

_SPECIFIER = re.compile(r"^\s*(==|!=|<=|>=|<|>|~=)\s*\d+(\.\d+)*(\.\*)?\s*$")
_CONDITION: TypeAdapter[Any] = TypeAdapter(Condition)


class Pattern(RuleModel):
    """What an event must look like."""

    type: Literal["regex", "json_path", "condition"]
    value: Any = Field(
        description="regex: searched in `Type: message`, or an object of field to regex, all of which must be found; "
        "json_path: a path over the event that must select something; condition: `all`, `any`, `not` and comparisons."
    )

    @model_validator(mode="after")
    def _value_fits(self) -> Pattern:
        if self.type == "condition":
            object.__setattr__(self, "value", _CONDITION.validate_python(self.value))
        elif self.type == "regex":
            self._check_regex()
        elif not isinstance(self.value, str) or not self.value.startswith("$"):
            raise ValueError("the value of a json_path must be text that starts with $")
        return self

    def _check_regex(self) -> None:
        if isinstance(self.value, str):
            checked_regex(self.value)
            return
        patterns = list(self.value.values()) if isinstance(self.value, dict) else []
        if not patterns or not all(isinstance(pattern, str) for pattern in patterns):
            raise ValueError("the value of a regex must be text, or an object of field to regex")
        for pattern in patterns:
            checked_regex(pattern)


class ContextRequirements(RuleModel):
    """What an event must bring along; a rule that misses something does not match."""

    stack_trace: bool = Field(default=False, description="At least one frame of the app.")
    code_snippet: bool = Field(default=False, description="The source of the failing expression.")
    variables: Tuple[str, ...] = Field(default=(), description="Local variables that were captured.")


class RuleFix(RuleModel):
    """Exactly one of `template` and `refactor`."""

    template: str | None = Field(default=None, pattern=IDENTIFIER)
    refactor: str | None = Field(default=None, pattern=IDENTIFIER)
    parameters: Dict[str, Any] = Field(
        default_factory=dict,
        description="JSON values; text may hold `{{extraction.x}}`, a fact about the failing code.",
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> RuleFix:
        if (self.template is None) == (self.refactor is None):
            raise ValueError("needs exactly one of template and refactor")
        return self


class ErrorExample(RuleModel):
    """The exception of an example."""

    type: str = Field(description="Name, or dotted name, of the class.")
    message: str = ""


class ExampleFrame(RuleModel):
    """A calling frame of an example, for crashes below the request's handler."""

    path: str = "views.py"
    code: str = Field(description="Source; the call that leads on stands between `<<<` and `>>>`.")
    locals: Dict[str, Any] = Field(default_factory=dict)


class ExampleInput(RuleModel):
    """A compact event: the source with the failing expression between `<<<` and `>>>`, and what was captured."""

    error: ErrorExample
    code: str = Field(description="Source of the crashing file; the failing expression stands between `<<<` and `>>>`.")
    path: str = "app.py"
    callers: Tuple[ExampleFrame, ...] = Field(default=(), description="Outer frames in other files, outermost first.")
    files: Dict[str, str] = Field(default_factory=dict, description="Further files of the project, path to text.")
    locals: Dict[str, Any] = Field(default_factory=dict, description="JSON values of local variables.")
    request: Dict[str, Any] | None = Field(
        default=None, description="`method`, `path`, `query`, `route`, `json` of the HTTP request."
    )
    framework: str | None = Field(default=None, description="Such as `flask` or `fastapi`.")


class RuleExample(RuleModel):
    """A test and a piece of documentation."""

    input: ExampleInput
    expected_match: bool
    expected_parameters: Dict[str, Any] = Field(
        default_factory=dict, description="Parameters of the fix that must be extracted; others are not compared."
    )
    expected_code: str | None = Field(
        default=None, description="Text that the best patch must bring into the changed file."
    )


class Rule(RuleModel):
    """One rule file."""

    rule_id: str = Field(pattern=IDENTIFIER)
    description: str = Field(min_length=1, description="The cause in a sentence.")
    target: str = Field(
        default="python", description="`python`, or the distribution that the rule is about, such as `flask`."
    )
    version_range: str = Field(
        default="", description="Versions of the target, such as `>=3.8` or `>=2,<4`; all if empty."
    )
    pattern: Pattern
    context_requirements: ContextRequirements = ContextRequirements()
    severity: Literal["low", "medium", "high", "critical"] = "medium"
    category: str = "runtime"
    confidence: float = Field(default=0.5, ge=0, le=1)
    fix: RuleFix
    examples: Union[List[RuleExample], Tuple[RuleExample, ...]] = ()

    @field_validator("version_range")
    @classmethod
    def _specifiers(cls, value: str) -> str:
        wrong = [part for part in value.split(",") if value and not _SPECIFIER.match(part)]
        if wrong:
            raise ValueError(f"{wrong[0]!r} is not a version range such as >=2,<4")
        return value
